package agent

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// publish writes status to the object that asked for it.
func (a *Agent) publish(ctx context.Context, uid types.UID, status v1alpha1.NodeReachabilityStatus) error {
	if err := a.Client.ReplaceStatus(ctx, a.NodeName, uid, status); err != nil {
		return fmt.Errorf("writing the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}
