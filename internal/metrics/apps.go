package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// stateUnlisted is the state of expected nodes that are not Reachable, and of
// which the status does not say more, because it has no room for their rows.
const stateUnlisted = "Unlisted"

// appMetrics are about ExposedApps.
type appMetrics struct {
	nodeReachable, nodes, condition *prometheus.Desc
}

func newAppMetrics() appMetrics {
	return appMetrics{
		nodeReachable: prometheus.NewDesc("exposedapp_node_reachable",
			"Whether an expected node answers on the app's node port: 1 for Reachable, 0 for Unreachable. "+
				"An Unknown node has no sample, nor one that status.nodes does not list.",
			[]string{"namespace", "name", "node", "family"}, nil),
		nodes: prometheus.NewDesc("exposedapp_nodes",
			"Number of nodes that are expected to answer, in each IP family, by state: Reachable, Unreachable, Unknown, "+
				"or Unlisted for those that are not Reachable and that status.nodes has no room for.",
			[]string{"namespace", "name", "state"}, nil),
		condition: prometheus.NewDesc("exposedapp_condition",
			"Conditions of the app: 1 for the status that the condition has, 0 for the others. "+
				"Reconciling and Stalled have samples only while they are true.",
			[]string{"namespace", "name", "type", "status"}, nil),
	}
}

func (m *appMetrics) describe(descs chan<- *prometheus.Desc) {
	descs <- m.nodeReachable
	descs <- m.nodes
	descs <- m.condition
}

func (m *appMetrics) collect(metrics chan<- prometheus.Metric, scrape labels, app *v1alpha1.ExposedApp) {
	namespace, name := scrape.pair("namespace", app.Namespace), scrape.pair("name", app.Name)
	for i := range app.Status.Nodes {
		row := &app.Status.Nodes[i]
		if row.Expected && row.State != v1alpha1.NodeUnknown {
			metrics <- newGauge(m.nodeReachable, truth(row.State == v1alpha1.NodeReachable),
				scrape.pair("family", string(row.Family)), name, namespace, scrape.pair("node", row.Node))
		}
	}
	if app.Status.Reachability != nil {
		for state, count := range countNodes(&app.Status) {
			metrics <- newGauge(m.nodes, float64(count), name, namespace, scrape.pair("state", state))
		}
	}
	for i := range app.Status.Conditions {
		condition := &app.Status.Conditions[i]
		kind := scrape.pair("type", condition.Type)
		for _, status := range []metav1.ConditionStatus{
			metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown,
		} {
			metrics <- newGauge(m.condition, truth(condition.Status == status),
				name, namespace, scrape.pair("status", strings.ToLower(string(status))), kind)
		}
	}
}

// countNodes counts the expected nodes by state. The summary counts all of them,
// while rows may be missing: those of most nodes that are Reachable, and on a bad
// day some that are not.
func countNodes(status *v1alpha1.ExposedAppStatus) map[string]int32 {
	var unreachable, unknown int32
	for i := range status.Nodes {
		switch row := &status.Nodes[i]; {
		case !row.Expected:
		case row.State == v1alpha1.NodeUnreachable:
			unreachable++
		case row.State == v1alpha1.NodeUnknown:
			unknown++
		}
	}
	all := status.Reachability
	return map[string]int32{
		string(v1alpha1.NodeReachable):   all.Reachable,
		string(v1alpha1.NodeUnreachable): unreachable,
		string(v1alpha1.NodeUnknown):     unknown,
		stateUnlisted:                    all.Expected - all.Reachable - unreachable - unknown,
	}
}
