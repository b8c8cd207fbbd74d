package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("A steady cluster", Ordered, func() {
	const (
		window    = time.Minute
		heartbeat = 10 * time.Second
		// idle apps have no pod. A node refuses for them by ICMP messages, which
		// its kernel rations: some dials of so many time out.
		idle = 12
	)
	var web app

	BeforeAll(func(ctx SpecContext) {
		// So many apps that go at once burden the machine, and dials of the next story's
		// app were seen to time out.
		DeferCleanup(func(ctx SpecContext) {
			Eventually(func() (string, error) {
				return run(ctx, "kubectl", "get", "namespaces", "--selector", storyLabel+"=quiet", "--output=name")
			}).WithContext(ctx).Should(BeEmpty())
		})
		web = app{newNamespace(ctx, "quiet"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30050, app: {replicas: 2}}`)
		for i := range idle {
			apply(ctx, web.namespace, fmt.Sprintf(`
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: idle-%d}
spec: {app: {replicas: 0}}`, i))
		}
		web.waitReady(ctx)
		for i := range idle {
			Eventually(app{web.namespace, fmt.Sprintf("idle-%d", i)}.rows).WithContext(ctx).
				Should(Equal(everyNode("Unreachable " + v1alpha1.ReasonNoReadyEndpoints)))
		}

		// The API server's own counters tell who asks it for what.
		kubectl(ctx, "apply", "--filename=flowschemas.yaml")
		DeferCleanup(func(ctx SpecContext) {
			kubectl(ctx, "delete", "--filename=flowschemas.yaml")
		})
	})

	It("is left alone", func(ctx SpecContext) {
		By("waiting until the other stories are cleared away")
		Eventually(func() (string, error) {
			return run(ctx, "kubectl", "get", "namespaces", "--selector", storyLabel+"!=quiet,"+storyLabel, "--output=name")
		}).WithContext(ctx).Should(BeEmpty())

		By("waiting until the counters count")
		start, err := requests(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(requests).WithContext(ctx).Should(And(
			HaveKeyWithValue("operator-lease", BeNumerically(">", start["operator-lease"])),
			HaveKeyWithValue("agent-report", BeNumerically(">", start["agent-report"]))))

		By("waiting until the last word is written")
		var versions map[string]string
		Eventually(func() (steady bool, err error) {
			before := versions
			versions, err = resourceVersions(ctx)
			return maps.Equal(before, versions), err
		}).WithContext(ctx).WithPolling(10 * time.Second).Should(BeTrue())
		for _, kind := range []string{"ExposedApp", "Deployment", "Service"} {
			Expect(versions).To(HaveKey(kind + " " + web.key().String()))
		}
		start, err = requests(ctx)
		Expect(err).NotTo(HaveOccurred())

		Consistently(resourceVersions).WithContext(ctx).WithTimeout(window).WithPolling(5 * time.Second).
			Should(Equal(versions))

		sent, err := requests(ctx)
		Expect(err).NotTo(HaveOccurred())
		for flow := range sent {
			sent[flow] -= start[flow]
		}
		report("requests in "+window.String(), sent)
		Expect(sent["operator-else"]).To(BeZero(), "the operator's requests but for its lease, watches and Events")
		Expect(sent["agent-else"]).To(BeZero(), "the agents' requests but for reports and watches")
		// An agent shortens each of its heartbeats by up to a tenth.
		most := len(nodes) * int(window/(heartbeat*9/10)+1)
		Expect(sent["agent-report"]).To(And(BeNumerically(">", 0), BeNumerically("<=", most)))
	})

	It("is Current to GitOps tools", func(ctx SpecContext) {
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})
})

// requests returns how many requests of ours the API server has dispatched, by
// the names of flowschemas.yaml.
func requests(ctx context.Context) (map[string]int, error) {
	metrics, err := run(ctx, "kubectl", "get", "--raw=/metrics")
	counter := regexp.MustCompile(
		`(?m)^apiserver_flowcontrol_dispatched_requests_total\{flow_schema="e2e-([\w-]+)",.*\} ([\d.e+]+)$`)
	counts := make(map[string]int)
	for _, line := range counter.FindAllStringSubmatch(metrics, -1) {
		count, err := strconv.ParseFloat(line[2], 64)
		if err != nil {
			return nil, err
		}
		counts[line[1]] = int(count)
	}
	return counts, err
}

// resourceVersions returns those of every ExposedApp and its children.
func resourceVersions(ctx context.Context) (map[string]string, error) {
	versions := make(map[string]string)
	managed := client.MatchingLabels{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}
	for kind, list := range map[string]struct {
		client.ObjectList
		options []client.ListOption
	}{
		"ExposedApp": {&v1alpha1.ExposedAppList{}, nil},
		"Deployment": {&appsv1.DeploymentList{}, []client.ListOption{managed}},
		"Service":    {&corev1.ServiceList{}, []client.ListOption{managed}},
	} {
		if err := cluster.List(ctx, list.ObjectList, list.options...); err != nil {
			return nil, err
		}
		if err := meta.EachListItem(list.ObjectList, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err == nil {
				versions[kind+" "+object.GetNamespace()+"/"+object.GetName()] = object.GetResourceVersion()
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return versions, nil
}
