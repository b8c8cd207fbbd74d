package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// The workshop's page, line by line. It is the one story in the default
// namespace: the lab publishes 31000, and no other node port, on this machine.
var _ = Describe("The workshop", Ordered, func() {
	const nodePort = 31000
	podinfo := app{"default", "podinfo"}
	// What the lab's kind.yaml publishes the node port on.
	published := []string{"127.0.0.1:31000", "127.0.0.1:31001", "127.0.0.1:31002"}

	BeforeAll(func(ctx SpecContext) {
		found := podinfo.kubectl(ctx, "get", "exposedapp", "podinfo", "--ignore-not-found", "--output=json")
		DeferCleanup(func(ctx SpecContext) { putBack(ctx, podinfo, found) })
	})

	It("applies the sample and waits until it is Ready", func(ctx SpecContext) {
		podinfo.kubectl(ctx, "apply", "--filename=../../config/samples/podinfo.yaml")
		podinfo.waitReady(ctx)
	})

	It("sees all of it in one line", func(ctx SpecContext) {
		line := strings.Fields(podinfo.kubectl(ctx, "get", "exposedapp", "podinfo", "--no-headers"))
		Expect(line[:len(line)-1]).To(Equal([]string{"podinfo", "True", "31000", "3/3", "3/3"}))
	})

	It("finds the Service", func(ctx SpecContext) {
		Expect(podinfo.field(ctx, "service", `{.spec.type} {.spec.ports[0]['port','targetPort','nodePort']}`)).
			To(Equal("NodePort 80 9898 31000"))
	})

	It("finds three ready endpoints, which are the pods", func(ctx SpecContext) {
		pods, err := podinfo.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(pods).To(HaveLen(3))
		var ready []string
		for pod := range maps.Keys(pods) {
			ready = append(ready, pod+" true")
		}
		Expect(strings.Split(podinfo.kubectl(ctx, "get", "endpointslices", "--selector=app=podinfo", "--output=jsonpath="+
			`{range .items[*].endpoints[*]}{.targetRef.name} {.conditions.ready}{"\n"}{end}`), "\n")).
			To(ConsistOf(ready))
	})

	It("is answered on every published address", func(ctx SpecContext) {
		for _, address := range published {
			Expect(fetch(ctx, address)).To(HaveHTTPStatus(http.StatusOK), address)
		}
	})

	It("reaches every node from every other, as the status says", func(ctx SpecContext) {
		said, err := dialAll(ctx, nodePort)
		Expect(err).NotTo(HaveOccurred())
		Expect(said).To(HaveLen(len(nodes) * (len(nodes) - 1)))
		Expect(said).To(HaveEach(HaveSuffix(": 200")))

		object, err := podinfo.get(ctx)
		Expect(err).NotTo(HaveOccurred())
		var rows, want []string
		for _, row := range object.Status.Nodes {
			rows = append(rows, fmt.Sprint(row.Node, row.Family, row.Address, row.Expected, row.State, row.Observers))
		}
		for _, n := range nodes {
			want = append(want, fmt.Sprint(n.name, "IPv4", n.address, true, v1alpha1.NodeReachable, "2/2"))
		}
		Expect(rows).To(ConsistOf(want))
	})

	It("meets several pods, each of which tells its node", func(ctx SpecContext) {
		pods, err := podinfo.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		met := make(map[string]string)
		// 30 connections that meet the same one of three pods are as likely as
		// 1 in 3²⁹.
		for i := range 30 {
			response := fetch(ctx, published[i%len(published)])
			var answer struct{ Hostname, Message string }
			Expect(json.NewDecoder(response.Body).Decode(&answer)).To(Succeed())
			met[answer.Hostname] = answer.Message
		}
		Expect(len(met)).To(BeNumerically(">", 1))
		for pod, message := range met {
			Expect(pods).To(HaveKeyWithValue(pod, message))
		}
	})

	It("shows a browser the page of one pod, and later of another", func(ctx SpecContext) {
		pods, err := podinfo.pods(ctx)
		Expect(err).NotTo(HaveOccurred())
		// Chromium keeps its connection while it runs, and with it the pod.
		first := title(ctx, published[0])
		Expect(pods).To(HaveKey(first))
		Eventually(title).WithContext(ctx).WithArguments(published[0]).Should(And(
			BeKeyOf(pods), Not(Equal(first))))
	})

	It("finds the way of a packet in every node's NAT tables", func(ctx SpecContext) {
		addresses := strings.Fields(podinfo.kubectl(ctx, "get", "pods", "--selector=app=podinfo",
			"--output=jsonpath={.items[*].status.podIP}"))
		Expect(addresses).To(HaveLen(3))
		way := iptablesWay
		if proxyMode(ctx) == nftables {
			way = nftablesWay
		}
		for _, n := range nodes {
			dnat, masquerade := way(ctx, n, nodePort)
			for _, address := range addresses {
				Expect(dnat).To(ContainElement(ContainSubstring(address)), n.name)
			}
			// The node takes the client's place, so that the answer comes back
			// the same way: marked first, masqueraded on the way out.
			Expect(masquerade).To(HaveLen(2), n.name)
		}
	})

	It("is Current to GitOps tools, with all that belongs to it", func(ctx SpecContext) {
		Expect(podinfo.kstatus(ctx)).To(Equal(status.CurrentStatus))
	})
})

// putBack leaves the ExposedApp as it was found.
func putBack(ctx context.Context, a app, found string) {
	GinkgoHelper()
	if found == "" {
		a.kubectl(ctx, "delete", "exposedapp", a.name)
		a.kubectl(ctx, "wait", "--for=delete", "deployment/"+a.name, "--timeout", rollout.String())
		return
	}
	object := &unstructured.Unstructured{}
	Expect(object.UnmarshalJSON([]byte(found))).To(Succeed())
	object.SetResourceVersion("")
	manifest, err := object.MarshalJSON()
	Expect(err).NotTo(HaveOccurred())
	_, err = runWith(ctx, string(manifest), "kubectl", "replace", "--filename=-")
	Expect(err).NotTo(HaveOccurred())
}

// fetch requests a page on a fresh connection.
func fetch(ctx context.Context, address string) *http.Response {
	GinkgoHelper()
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	response, err := web.Do(request)
	Expect(err).NotTo(HaveOccurred(), address)
	DeferCleanup(response.Body.Close)
	return response
}

// title returns the title of the page that a browser, just started, shows.
func title(ctx context.Context, address string) string {
	GinkgoHelper()
	browser := os.Getenv("CHROMIUM")
	Expect(browser).NotTo(BeEmpty(), "run make test-e2e, which names the browser")
	page, err := run(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--user-data-dir="+GinkgoT().TempDir(), "--timeout=10000", "--dump-dom", "http://"+address+"/")
	Expect(err).NotTo(HaveOccurred())
	found := regexp.MustCompile("<title>(.+)</title>").FindStringSubmatch(page)
	Expect(found).To(HaveLen(2), page)
	return found[1]
}
