package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// proxied marks the specs that depend on how kube-proxy works. They are told in
// each of its modes.
var proxied = Label("proxy")

// nftables is one of kube-proxy's modes.
const nftables = "nftables"

var _ = Describe("kube-proxy", Ordered, proxied, func() {
	const nodePort = 30035
	var web app

	BeforeAll(func(ctx SpecContext) {
		web = app{newNamespace(ctx, "proxy"), "web"}
		apply(ctx, web.namespace, `
apiVersion: exposedapp.dev/v1alpha1
kind: ExposedApp
metadata: {name: web}
spec: {nodePort: 30035, app: {replicas: 2}}`)
		web.waitReady(ctx)
		Eventually(web.rows).WithContext(ctx).Should(Equal(everyNode("Reachable")))
	})

	// As it starts it takes over what it left behind: what it does not know again
	// is gone with every second start.
	It("can start anew, three times, and clients are answered", func(ctx SpecContext) {
		noted := web.witness(ctx)
		dials := watchPorts(ctx, "/", nodePort)
		Eventually(dials.complete).WithContext(ctx).Should(BeTrue(), "not every node dials")
		for range 3 {
			since := time.Now()
			kubectl(ctx, "delete", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-proxy")
			for _, n := range nodes {
				Eventually(syncTime).WithContext(ctx).WithArguments(n).Should(BeTemporally(">", since))
			}
			// Each of them dials twice a second.
			settled := time.Now()
			Eventually(func() bool { return dials.answered(time.Since(settled), namesOf(nodes), nil) }).
				WithContext(ctx).WithTimeout(5 * time.Second).Should(BeTrue())
		}
		heard, lost := dials.heard(), []string{}
		for _, dial := range heard {
			if !dial.Answered {
				lost = append(lost, fmt.Sprintf("%s → %s at %s: %s",
					dial.Source, dial.Node, dial.Start.Format("15:04:05.000"), dial.Word))
			}
		}
		report(proxyMode(ctx)+": dials without an answer through three starts", fmt.Sprintf("%d of %d: %q", len(lost), len(heard), lost))
		// A node that lost its elements answers nobody, which is a third of all dials. That a
		// few are lost beside was seen in both modes, in few runs; why is not known.
		Expect(len(lost)).To(BeNumerically("<=", len(heard)/100))
		Expect(noted()).To(BeEmpty())
	})
})

// proxyMode returns kube-proxy's mode.
func proxyMode(ctx context.Context) string {
	GinkgoHelper()
	config := kubectl(ctx, "get", "configmap", "--namespace=kube-system", "kube-proxy", `--output=jsonpath={.data.config\.conf}`)
	found := regexp.MustCompile(`(?m)^mode: "?(\w+)"?$`).FindStringSubmatch(config)
	Expect(found).To(HaveLen(2), config)
	return found[1]
}

// syncTime returns when a node's kube-proxy last brought its rules up to date.
// It is an error while there is no kube-proxy.
func syncTime(ctx context.Context, n node) (time.Time, error) {
	metrics, err := n.run(ctx, "curl", "--silent", "--show-error", "--fail", "http://127.0.0.1:10249/metrics")
	if err != nil {
		return time.Time{}, err
	}
	found := regexp.MustCompile(`(?m)^kubeproxy_sync_proxy_rules_last_timestamp_seconds(?:\{.*\})? (\S+)$`).FindStringSubmatch(metrics)
	if len(found) != 2 {
		return time.Time{}, fmt.Errorf("kube-proxy on %s has not told when it synced", n.name)
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	return time.UnixMilli(int64(seconds * 1000)), err
}

// iptablesWay returns the rules of kube-proxy in iptables mode by which a packet
// to a node port goes to a pod, and the two by which its answer comes back.
func iptablesWay(ctx context.Context, n node, nodePort int) (dnat, masquerade []string) {
	GinkgoHelper()
	table, err := n.run(ctx, "iptables-save", "--table", "nat")
	Expect(err).NotTo(HaveOccurred())
	rules := followed(table, fmt.Sprintf("-A KUBE-NODEPORTS .*--dport %d ", nodePort))
	dnat = matching(rules, "-j DNAT --to-destination ")
	masquerade = matching(rules, `^-A KUBE-EXT-\w+ .*-j KUBE-MARK-MASQ$`)
	return dnat, append(masquerade, matching(strings.Split(table, "\n"), "^-A KUBE-POSTROUTING .*-j MASQUERADE")...)
}

// followed returns the rules of an iptables-save that match first, and those of
// the chains that they jump to.
func followed(table, first string) []string {
	jump := regexp.MustCompile(` -[jg] (KUBE-[\w-]+)`)
	var rules []string
	follow := []string{first}
	for len(follow) > 0 {
		matches := regexp.MustCompile(`(?m)^`+follow[0]+`.*$`).FindAllString(table, -1)
		follow = follow[1:]
		for _, rule := range matches {
			if slices.Contains(rules, rule) {
				continue
			}
			rules = append(rules, rule)
			if chain := jump.FindStringSubmatch(rule); chain != nil {
				follow = append(follow, "-A "+chain[1]+" ")
			}
		}
	}
	return rules
}

// nftablesWay is iptablesWay for kube-proxy in nftables mode.
func nftablesWay(ctx context.Context, n node, nodePort int) (dnat, masquerade []string) {
	GinkgoHelper()
	table, err := n.run(ctx, "nft", "list", "table", "ip", "kube-proxy")
	Expect(err).NotTo(HaveOccurred())
	entry := regexp.MustCompile(fmt.Sprintf(`tcp \. %d .*?: goto (external-\S+?),?\s`, nodePort)).FindStringSubmatch(table)
	Expect(entry).To(HaveLen(2), "no such node port on "+n.name)
	external := chainOf(table, entry[1])
	for _, rule := range external {
		if next := regexp.MustCompile(`goto (service-\S+)`).FindStringSubmatch(rule); next != nil {
			dnat = append(dnat, matching(chainOf(table, next[1]), `\bdnat `)...)
		}
	}
	masquerade = matching(external, `mark set `)
	// The second rule is about pods that reach themselves.
	return dnat, append(masquerade, matching(chainOf(table, "masquerading"), "^meta mark .*masquerade")...)
}

// chainOf returns the rules of a chain, as nft prints them.
func chainOf(table, name string) []string {
	_, chain, _ := strings.Cut(table, "\tchain "+name+" {\n")
	chain, _, _ = strings.Cut(chain, "\n\t}")
	var rules []string
	for rule := range strings.Lines(chain) {
		rules = append(rules, strings.TrimSpace(rule))
	}
	return rules
}

// matching returns the rules that match.
func matching(rules []string, expression string) []string {
	match := regexp.MustCompile(expression)
	return slices.DeleteFunc(slices.Clone(rules), func(rule string) bool { return !match.MatchString(rule) })
}
