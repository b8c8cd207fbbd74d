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
