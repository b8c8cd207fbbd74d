package agent

import (
	"context"
	"fmt"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// publish writes status.
func (a *Agent) publish(ctx context.Context, status v1alpha1.NodeReachabilityStatus) error {
	if err := a.Client.ApplyStatus(ctx, a.NodeName, status); err != nil {
		return fmt.Errorf("applying the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}
