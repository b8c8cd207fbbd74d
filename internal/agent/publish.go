package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// writeTimeout is how long a write may take before it counts as failed.
const writeTimeout = 10 * time.Second

// publish writes status.
func (a *Agent) publish(ctx context.Context, status v1alpha1.NodeReachabilityStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := a.Client.ApplyStatus(ctx, a.NodeName, status); err != nil {
		return fmt.Errorf("applying the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}
