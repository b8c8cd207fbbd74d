package agent

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// writeTimeout is how long a write may take before it counts as failed.
const writeTimeout = 10 * time.Second

// publish writes status. It takes over fields that others may have set: nobody
// else has a say in it.
func (a *Agent) publish(ctx context.Context, status v1alpha1.NodeReachabilityStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	report := applyv1alpha1.NodeReachability(a.NodeName).WithStatus(applyConfigurationOf(status))
	if err := a.Client.Status().Apply(ctx, report, client.ForceOwnership); err != nil {
		return fmt.Errorf("applying the status of NodeReachability %s: %w", a.NodeName, err)
	}
	return nil
}

func applyConfigurationOf(
	status v1alpha1.NodeReachabilityStatus,
) *applyv1alpha1.NodeReachabilityStatusApplyConfiguration {
	apply := applyv1alpha1.NodeReachabilityStatus().
		WithObservedGeneration(status.ObservedGeneration).
		WithRenewTime(*status.RenewTime).
		WithServicesResourceVersion(status.ServicesResourceVersion).
		WithAddresses(status.Addresses...).
		WithNodePorts(status.NodePorts)
	for _, failure := range status.Failures {
		apply.WithFailures(applyv1alpha1.ProbeFailure().
			WithReason(failure.Reason).
			WithMessage(failure.Message).
			WithNodePorts(failure.NodePorts).
			WithAddresses(failure.Addresses...))
	}
	for _, pending := range status.Pending {
		apply.WithPending(applyv1alpha1.PendingProbes().
			WithNodePorts(pending.NodePorts).
			WithAddresses(pending.Addresses...))
	}
	return apply
}
