package agent

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/report"
)

// writeTimeout is how long a write may take before it counts as failed.
const writeTimeout = 10 * time.Second

// publish writes status. It takes over fields that others may have set: nobody
// else has a say in it.
func (a *Agent) publish(ctx context.Context, status v1alpha1.NodeReachabilityStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	wanted := applyv1alpha1.NodeReachability(a.NodeName).WithStatus(report.Configuration(status))
	if err := a.Client.Status().Apply(ctx, wanted, client.ForceOwnership); err != nil {
		return fmt.Errorf("applying the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}
