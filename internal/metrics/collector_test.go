package metrics_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/metrics"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// cached are the objects that a cache holds.
type cached struct {
	client.Reader
	apps    []v1alpha1.ExposedApp
	reports []v1alpha1.NodeReachability
	err     error
}

func (c cached) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*v1alpha1.ExposedAppList).Items = c.apps
	return c.err
}

func (c cached) Reports() []*reachability.Report {
	var reports []*reachability.Report
	for i := range c.reports {
		reports = append(reports, reachability.Read(c.reports[i].DeepCopy()))
	}
	return reports
}

func now() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC) }

// collector is elected.
func collector(c cached) *metrics.Collector {
	elected := make(chan struct{})
	close(elected)
	return metrics.New(c, c, elected, clocktesting.NewFakePassiveClock(now()))
}

// mixed has one of everything.
func mixed() cached {
	return cached{
		apps:    []v1alpha1.ExposedApp{mixedApp(), {ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "fresh"}}},
		reports: []v1alpha1.NodeReachability{busyReport(), aheadReport(), {ObjectMeta: metav1.ObjectMeta{Name: "silent"}}},
	}
}

func mixedApp() v1alpha1.ExposedApp {
	app := v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	app.Status.Reachability = &v1alpha1.ReachabilitySummary{Expected: 4, Reachable: 2}
	app.Status.Nodes = []v1alpha1.NodeVerdict{
		{Node: "silent", Family: corev1.IPv4Protocol, Expected: true, State: v1alpha1.NodeUnreachable},
		{Node: "new", Family: corev1.IPv4Protocol, Expected: true, State: v1alpha1.NodeUnknown},
		{Node: "gone", Family: corev1.IPv4Protocol, State: v1alpha1.NodeUnreachable},
		{Node: "busy", Family: corev1.IPv4Protocol, Expected: true, State: v1alpha1.NodeReachable},
		{Node: "busy", Family: corev1.IPv6Protocol, Expected: true, State: v1alpha1.NodeReachable},
	}
	app.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse},
		{Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionTrue},
		{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionUnknown},
		{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue},
	}
	return app
}

func busyReport() v1alpha1.NodeReachability {
	report := v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Name: "busy"}}
	report.Status.RenewTime = new(metav1.NewMicroTime(now().Add(-7500 * time.Millisecond)))
	report.Status.Probes = &v1alpha1.ProbeStatistics{
		StartTime: metav1.NewTime(now().Add(-time.Hour)),
		Results:   []v1alpha1.ProbeCount{{Result: "Reached", Count: 15}, {Result: "HTTPStatus", Count: 2}},
		Dials:     []v1alpha1.DialCount{{Path: v1alpha1.DialDirect, Count: 12}, {Path: v1alpha1.DialUnverified, Count: 5}},
		Latency: &v1alpha1.ProbeLatency{
			BoundsMilliseconds: []int32{1, 30, 10_000},
			Counts:             []int64{10, 4, 0, 1},
			SumMicroseconds:    12_345_678,
		},
	}
	return report
}

// aheadReport is of a node whose clock is ahead, and makes no sense otherwise.
func aheadReport() v1alpha1.NodeReachability {
	report := v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Name: "ahead"}}
	report.Status.RenewTime = new(metav1.NewMicroTime(now().Add(time.Second)))
	report.Status.Probes = &v1alpha1.ProbeStatistics{
		StartTime: metav1.NewTime(now()),
		Results: []v1alpha1.ProbeCount{
			{Result: "Timeout", Count: 1}, {Result: "Timeout", Count: 2}, {Result: "NotDialled", Count: 4},
			{Result: "of its own making", Count: 5}, {Result: "\x1b[2J", Count: 6},
		},
		Dials:   []v1alpha1.DialCount{{Path: v1alpha1.DialTranslated, Count: 1}, {Path: v1alpha1.DialTranslated, Count: 2}},
		Latency: &v1alpha1.ProbeLatency{BoundsMilliseconds: []int32{1, 30}, Counts: []int64{1}},
	}
	return report
}

func TestCollector(t *testing.T) {
	g := NewWithT(t)
	golden, err := os.Open(filepath.Join("testdata", "mixed.txt"))
	g.Expect(err).NotTo(HaveOccurred())
	defer golden.Close()
	g.Expect(testutil.CollectAndCompare(collector(mixed()), golden)).To(Succeed())
}

func TestNamesAndUnits(t *testing.T) {
	g := NewWithT(t)
	g.Expect(testutil.CollectAndLint(collector(mixed()))).To(BeEmpty())
}

// TestCreatedTimestamps: the counts of an agent that restarted begin anew, and
// say since when they count.
func TestCreatedTimestamps(t *testing.T) {
	g := NewWithT(t)
	families, err := registered(collector(mixed())).Gather()
	g.Expect(err).NotTo(HaveOccurred())
	started := now().Add(-time.Hour)
	var found int
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() != "busy" {
				continue
			}
			switch family.GetName() {
			case "exposedapp_probes_total":
				g.Expect(metric.GetCounter().GetCreatedTimestamp().AsTime()).To(Equal(started))
				found++
			case "exposedapp_probe_duration_seconds":
				g.Expect(metric.GetHistogram().GetCreatedTimestamp().AsTime()).To(Equal(started))
				found++
			}
		}
	}
	g.Expect(found).To(Equal(3))
}

// TestStandby: two replicas with the same samples would count everything twice.
func TestStandby(t *testing.T) {
	g := NewWithT(t)
	elected := make(chan struct{})
	standby := metrics.New(mixed(), mixed(), elected, clocktesting.NewFakePassiveClock(now()))
	g.Expect(testutil.CollectAndCount(standby)).To(BeZero())
	close(elected)
	g.Expect(testutil.CollectAndCount(standby)).To(BeNumerically(">", 0))
}

// TestUnreadableCache: no sample is no news, so a scrape that cannot read fails.
func TestUnreadableCache(t *testing.T) {
	g := NewWithT(t)
	_, err := registered(collector(cached{err: errors.New("the cache is not started")})).Gather()
	g.Expect(err).To(MatchError(ContainSubstring("the cache is not started")))
}

// TestNodesBeyondTheList: what the status does not list is not counted as
// anything that it may not be, and all states together are all that is expected.
func TestNodesBeyondTheList(t *testing.T) {
	rows := func(unreachable, unknown, unexpected int) (rows []v1alpha1.NodeVerdict) {
		for range unreachable {
			rows = append(rows, v1alpha1.NodeVerdict{Expected: true, State: v1alpha1.NodeUnreachable})
		}
		for range unknown {
			rows = append(rows, v1alpha1.NodeVerdict{Expected: true, State: v1alpha1.NodeUnknown})
		}
		for range unexpected {
			rows = append(rows, v1alpha1.NodeVerdict{State: v1alpha1.NodeUnreachable})
		}
		for i := range rows {
			rows[i].Node, rows[i].Family = string(rune('a'+i)), corev1.IPv4Protocol
		}
		return rows
	}
	for name, test := range map[string]struct {
		expected, reachable int32
		rows                []v1alpha1.NodeVerdict
		want                map[string]float64
	}{
		"the reachable are left out": {
			5000, 4998, rows(1, 1, 1),
			map[string]float64{"Reachable": 4998, "Unreachable": 1, "Unknown": 1, "Unlisted": 0},
		},
		"more than the list holds": {
			5000, 100, rows(24, 0, 0),
			map[string]float64{"Reachable": 100, "Unreachable": 24, "Unknown": 0, "Unlisted": 4876},
		},
		"nobody is expected": {
			0, 0, rows(0, 0, 3),
			map[string]float64{"Reachable": 0, "Unreachable": 0, "Unknown": 0, "Unlisted": 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			app := v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
			app.Status.Reachability = &v1alpha1.ReachabilitySummary{Expected: test.expected, Reachable: test.reachable}
			app.Status.Nodes = test.rows
			g.Expect(countsByState(t, cached{apps: []v1alpha1.ExposedApp{app}})).To(Equal(test.want))
		})
	}
}

func countsByState(t *testing.T, c cached) map[string]float64 {
	t.Helper()
	families, err := registered(collector(c)).Gather()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "exposedapp_nodes" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "state" {
					counts[label.GetValue()] = metric.GetGauge().GetValue()
				}
			}
		}
	}
	return counts
}

// registered is a registry that checks each sample against its description.
func registered(c prometheus.Collector) *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	return registry
}
