package report

import (
	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// Configuration returns what to apply for a status, of which RenewTime and Probes
// must be set.
func Configuration(status v1alpha1.NodeReachabilityStatus) *applyv1alpha1.NodeReachabilityStatusApplyConfiguration {
	apply := applyv1alpha1.NodeReachabilityStatus().
		WithObservedGeneration(status.ObservedGeneration).
		WithRenewTime(*status.RenewTime).
		WithRecheckRound(status.RecheckRound).
		WithServicesResourceVersion(status.ServicesResourceVersion).
		WithAddresses(status.Addresses...).
		WithNodePorts(status.NodePorts).
		WithProbes(probesOf(status.Probes))
	for _, failure := range status.Failures {
		finding := applyv1alpha1.ProbeFailure().
			WithReason(failure.Reason).
			WithMessage(failure.Message).
			WithNodePorts(failure.NodePorts).
			WithAddresses(failure.Addresses...)
		if failure.Evidence != nil {
			finding.WithEvidence(evidenceConfigurationOf(*failure.Evidence))
		}
		apply.WithFailures(finding)
	}
	for _, pending := range status.Pending {
		apply.WithPending(applyv1alpha1.PendingProbes().
			WithNodePorts(pending.NodePorts).
			WithAddresses(pending.Addresses...))
	}
	return apply
}

// evidenceConfigurationOf leaves out what is empty.
func evidenceConfigurationOf(evidence v1alpha1.Evidence) *applyv1alpha1.EvidenceApplyConfiguration {
	apply := applyv1alpha1.Evidence()
	if evidence.Pod != "" {
		apply.WithPod(evidence.Pod)
	}
	if evidence.ClusterIP != "" {
		apply.WithClusterIP(evidence.ClusterIP)
	}
	if evidence.KubeProxy != "" {
		apply.WithKubeProxy(evidence.KubeProxy)
	}
	return apply
}

func probesOf(statistics *v1alpha1.ProbeStatistics) *applyv1alpha1.ProbeStatisticsApplyConfiguration {
	apply := applyv1alpha1.ProbeStatistics().WithStartTime(statistics.StartTime)
	for _, count := range statistics.Results {
		apply.WithResults(applyv1alpha1.ProbeCount().WithResult(count.Result).WithCount(count.Count))
	}
	if latency := statistics.Latency; latency != nil {
		apply.WithLatency(applyv1alpha1.ProbeLatency().
			WithBoundsMilliseconds(latency.BoundsMilliseconds...).
			WithCounts(latency.Counts...).
			WithSumMicroseconds(latency.SumMicroseconds))
	}
	return apply
}
