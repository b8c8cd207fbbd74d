package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The operator and the agents", Ordered, func() {
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "operator"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30060}`)
		web.waitReady(ctx)
	})

	It("are known to kubectl", func(ctx SpecContext) {
		Expect(kubectl(ctx, "explain", "exposedapp.spec.nodePort")).To(ContainSubstring("the port on every node"))
		Expect(web.kubectl(ctx, "get", "all", "--output=name")).To(ContainSubstring("exposedapp.exposedapp.dev/web"))
		Expect(web.kubectl(ctx, "get", "xapp", "--output=name")).To(Equal("exposedapp.exposedapp.dev/web"))
	})

	DescribeTable("are small and confined, by the word of the nodes' kernels",
		func(ctx SpecContext, program string, instances, mebibytes int) {
			var found int
			for _, n := range nodes {
				for _, process := range processes(ctx, n, program) {
					found++
					report(program+" on "+n.name, process["VmRSS"])
					kibibytes, err := strconv.Atoi(strings.TrimSuffix(process["VmRSS"], " kB"))
					Expect(err).NotTo(HaveOccurred())
					Expect(kibibytes / 1024).To(BeNumerically("<", mebibytes))
					Expect(process).To(And(
						HaveKeyWithValue("Uid", "65532\t65532\t65532\t65532"),
						HaveKeyWithValue("CapBnd", "0000000000000000"),
						HaveKeyWithValue("NoNewPrivs", "1"),
						HaveKeyWithValue("Seccomp", "2")))
				}
			}
			Expect(found).To(Equal(instances))
		},
		Entry("the operator", "/operator", 2, 64),
		Entry("the agents", "/agent", 3, 32),
	)

	It("show their metrics to those alone who may read them", func(ctx SpecContext) {
		web.kubectl(ctx, "create", "serviceaccount", "prometheus")
		pod, err := leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		address := kubectl(ctx, "get", "pod", "--namespace", system, pod, "--output=jsonpath={.status.podIP}") + ":8443"
		scrape := func(args ...string) (string, error) {
			return nodes[0].run(ctx, append([]string{"curl", "--silent", "--show-error", "--insecure", "--max-time", "5",
				"--write-out", "%{http_code}", "https://" + address + "/metrics"}, args...)...)
		}
		Expect(scrape()).To(HaveSuffix("401"))

		bearer := "Authorization: Bearer " + web.kubectl(ctx, "create", "token", "prometheus")
		Expect(scrape("--header", bearer)).To(HaveSuffix("403"))

		binding := "e2e-metrics-reader"
		kubectl(ctx, "create", "clusterrolebinding", binding, "--clusterrole=exposedapp-metrics-reader",
			"--serviceaccount="+web.namespace+":prometheus")
		DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "clusterrolebinding", binding) })
		Eventually(scrape).WithContext(ctx).WithArguments("--header", bearer).
			Should(And(HaveSuffix("200"), ContainSubstring("controller_runtime_reconcile_total{")))
	})

	It("tell by metrics and Events what the status says", func(ctx SpecContext) {
		metrics := scraper(ctx, web.namespace)
		reachable := func(n node) string {
			return fmt.Sprintf(`exposedapp_node_reachable{family="IPv4",name="web",namespace="%s",node="%s"}`, web.namespace, n.name)
		}
		answered := func(n node) string { return fmt.Sprintf(`exposedapp_probes_total{node="%s",result="Reached"}`, n.name) }
		before, err := metrics(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(web.rows(ctx)).To(HaveEach("Reachable"))
		for _, n := range nodes {
			Expect(before).To(HaveKeyWithValue(reachable(n), 1.0))
			Expect(before).To(HaveKeyWithValue(
				fmt.Sprintf(`exposedapp_report_age_seconds{node="%s"}`, n.name), BeNumerically("<", 30)))
		}
		Expect(before).To(HaveKeyWithValue(
			fmt.Sprintf(`exposedapp_condition{name="web",namespace="%s",status="true",type="Ready"}`, web.namespace), 1.0))

		// New counts come with the next heartbeat, within 10 s.
		Eventually(metrics, "15s", "1s").WithContext(ctx).Should(WithTransform(func(after map[string]float64) []string {
			var grown []string
			for _, n := range nodes {
				if after[answered(n)] > before[answered(n)] {
					grown = append(grown, n.name)
				}
			}
			return grown
		}, HaveLen(len(nodes))))

		silent := nodes[len(nodes)-1]
		mend := inject(ctx, silent, silence(30060))
		Eventually(web.rows).WithContext(ctx).Should(HaveKeyWithValue(silent.name, "Unreachable Timeout"))
		Eventually(metrics).WithContext(ctx).Should(HaveKeyWithValue(reachable(silent), 0.0))
		mend(ctx)
		Eventually(web.rows).WithContext(ctx).Should(HaveEach("Reachable"))
		Eventually(metrics).WithContext(ctx).Should(HaveKeyWithValue(reachable(silent), 1.0))
		Eventually(web.kubectl).WithContext(ctx).WithArguments("get", "events.events.k8s.io",
			"--output=jsonpath={range .items[*]}{.reason} {.related.name}{\"\\n\"}{end}").
			Should(And(ContainSubstring("Timeout "+silent.name), ContainSubstring("Reachable "+silent.name)))
	})

	It("go on when the leader goes", func(ctx SpecContext) {
		noted := web.witness(ctx)
		old, err := leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		kubectl(ctx, "delete", "pod", "--namespace", system, old, "--wait=false")
		web.kubectl(ctx, "scale", "exposedapp", "web", "--replicas=3")

		Eventually(leader).WithContext(ctx).ShouldNot(Equal(old))
		Eventually(web.field).WithContext(ctx).WithArguments("exposedapp", "{.status.replicasSummary}").Should(Equal("3/3"))
		web.waitReady(ctx)
		kubectl(ctx, "rollout", "status", "--namespace", system, "deployment/exposedapp-operator", "--timeout", rollout.String())
		Expect(noted()).To(BeEmpty())
		Expect(web.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})
})

// scraper returns what reads the samples of the leader's metrics, by series, as
// a ServiceAccount of a namespace that may read them.
func scraper(ctx context.Context, namespace string) func(context.Context) (map[string]float64, error) {
	GinkgoHelper()
	pod, err := leader(ctx)
	Expect(err).NotTo(HaveOccurred())
	address := kubectl(ctx, "get", "pod", "--namespace", system, pod, "--output=jsonpath={.status.podIP}") + ":8443"
	kubectl(ctx, "create", "serviceaccount", "--namespace", namespace, "scraper")
	binding := "e2e-scraper"
	kubectl(ctx, "create", "clusterrolebinding", binding, "--clusterrole=exposedapp-metrics-reader",
		"--serviceaccount="+namespace+":scraper")
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "clusterrolebinding", binding) })
	bearer := "Authorization: Bearer " + kubectl(ctx, "create", "token", "--namespace", namespace, "scraper")
	return func(ctx context.Context) (map[string]float64, error) {
		out, err := nodes[0].run(ctx, "curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", "5",
			"--header", bearer, "https://"+address+"/metrics")
		samples := make(map[string]float64)
		for line := range strings.Lines(out) {
			line = strings.TrimSpace(line)
			space := strings.LastIndexByte(line, ' ')
			if space < 0 || strings.HasPrefix(line, "#") {
				continue
			}
			value, parseErr := strconv.ParseFloat(line[space+1:], 64)
			if parseErr != nil {
				return nil, parseErr
			}
			samples[line[:space]] = value
		}
		return samples, err
	}
}

// leader returns the name of the pod that holds the operator's lease.
func leader(ctx context.Context) (string, error) {
	holder, err := run(ctx, "kubectl", "get", "lease", "--namespace", system, "exposedapp-operator",
		"--output=jsonpath={.spec.holderIdentity}")
	if err == nil && holder == "" {
		err = fmt.Errorf("nobody leads")
	}
	pod, _, _ := strings.Cut(holder, "_")
	return pod, err
}

// processes returns what the kernel says of a program's processes on a node, by
// the fields of /proc/<pid>/status.
func processes(ctx context.Context, n node, program string) []map[string]string {
	GinkgoHelper()
	out, err := n.run(ctx, "sh", "-c", `for pid in $(pgrep --full "^`+program+`( |$)"); do cat /proc/$pid/status; done`)
	Expect(err).NotTo(HaveOccurred())
	var found []map[string]string
	for _, field := range regexp.MustCompile(`(?m)^(\w+):\t(.*)$`).FindAllStringSubmatch(out, -1) {
		if field[1] == "Name" {
			found = append(found, make(map[string]string))
		}
		found[len(found)-1][field[1]] = strings.TrimSpace(field[2])
	}
	return found
}
