package reachability_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability/verdict"
)

func client(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: name}
}

// knows adds evidence to an observer's failures.
func knows(evidence v1alpha1.Evidence) func(*v1alpha1.NodeReachability) {
	return func(r *v1alpha1.NodeReachability) {
		for i := range r.Status.Failures {
			r.Status.Failures[i].Evidence = &evidence
		}
	}
}

// Node a does not answer. What is said of the cause must follow from all steps
// of all observers.
func TestLikelyCause(t *testing.T) {
	const ok, refused, timeout, status = "Reached", "ConnectionRefused", "Timeout", "HTTPStatus"
	healthy := v1alpha1.Evidence{Pod: ok, ClusterIP: ok, KubeProxy: ok}
	proxy := func(said string) v1alpha1.Evidence {
		return v1alpha1.Evidence{Pod: ok, ClusterIP: ok, KubeProxy: said}
	}
	tests := map[string]struct {
		reason string
		b, c   v1alpha1.Evidence
		// itself is the node's own report.
		itself *v1alpha1.NodeReachability
		// others is whether b and c fail on the port of another app, too.
		others bool
		want   string
	}{
		"nothing is known":                       {reason: timeout},
		"a node that answers itself, no other":   {reason: timeout, b: healthy, c: healthy, itself: answers("a"), want: "a firewall on a drops the port"},
		"the same, refused":                      {reason: refused, b: healthy, c: healthy, itself: answers("a"), want: "a firewall on a rejects the port"},
		"the same, but the observers disagree":   {reason: timeout, b: healthy, c: proxy(timeout), itself: answers("a")},
		"silence, also of kube-proxy":            {reason: timeout, b: proxy(timeout), c: proxy(timeout), want: "a is down or cut off"},
		"silence, though the node has a word":    {reason: timeout, b: proxy(timeout), c: proxy(timeout), itself: fails("a", timeout)},
		"no kube-proxy":                          {reason: refused, b: proxy(refused), c: proxy(refused), itself: fails("a", refused), want: "kube-proxy does not run on a"},
		"no kube-proxy, but the node is served":  {reason: timeout, b: proxy(refused), c: proxy(refused), itself: answers("a")},
		"kube-proxy is behind":                   {reason: refused, b: proxy(status), c: proxy(status), itself: fails("a", refused), want: "kube-proxy on a is behind, by its own word"},
		"a healthy kube-proxy without the port":  {reason: refused, b: healthy, c: healthy, itself: fails("a", refused), want: "kube-proxy on a has not programmed the port"},
		"a healthy kube-proxy without the ports": {reason: refused, b: healthy, c: healthy, itself: fails("a", refused), others: true, want: "kube-proxy on a does not serve this address (nodePortAddresses)"},
		"the app answers so by itself":           {reason: status, b: v1alpha1.Evidence{Pod: status, ClusterIP: status}, c: v1alpha1.Evidence{Pod: status, ClusterIP: status}, want: "the app itself: its pod answers the same"},
		"the app refuses by itself":              {reason: refused, b: v1alpha1.Evidence{Pod: refused, ClusterIP: refused}, c: v1alpha1.Evidence{Pod: refused, ClusterIP: refused}, want: "the app itself: its pod answers the same"},
		"the cluster IP does not answer either":  {reason: timeout, b: v1alpha1.Evidence{Pod: ok, ClusterIP: timeout, KubeProxy: ok}, c: healthy, itself: answers("a")},
		"the app answers elsewhere, not here":    {reason: status, b: healthy, c: healthy, want: "something else than the app answers on the port of a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			other := webApp()
			other.Service.NodePort = 31001
			r.reported.SetApp(client("other"), other, start)
			if test.itself != nil {
				r.hear(test.itself)
			}
			b, c := with(fails("b", test.reason), knows(test.b)), with(fails("c", test.reason), knows(test.c))
			if test.others {
				for _, report := range reports(b, c) {
					report.Status.Failures[0].NodePorts = "31000-31001"
				}
			}
			r.hear(b, c)
			verdict := r.verdict("a")
			r.Expect(verdict.Reason).To(Equal(test.reason))
			if test.want == "" {
				r.Expect(verdict.Message).NotTo(ContainSubstring("likely"))
				return
			}
			r.Expect(verdict.Message).To(ContainSubstring("; likely " + test.want))
			if strings.HasPrefix(test.want, "the app itself") {
				r.Expect(verdict.Message).To(HaveSuffix("; check the app's logs, and spec.probe.path"))
			}
		})
	}
}

// A node that recovers notices that before the others do.
func TestLikelyCauseWaitsUntilAllWordsAreNewerThanTheNodesOwn(t *testing.T) {
	r := newRoom(t)
	failing := func(observer string) *v1alpha1.NodeReachability {
		return with(fails(observer, "ConnectionRefused"), knows(v1alpha1.Evidence{Pod: "Reached", ClusterIP: "Reached", KubeProxy: "Reached"}))
	}
	r.hear(failing("a"), failing("b"), failing("c"))
	r.Expect(r.verdict("a").Message).To(ContainSubstring("likely kube-proxy on a has not programmed the port"))
	r.hear(answers("a"))
	r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("likely"))
	r.reported.SetNodes(r.nodes)
	_, holds := verdict.Append(nil, r.reported, web, r.now)
	r.Expect(holds).To(Equal(15 * time.Second))
	r.now = r.now.Add(holds)
	r.Expect(r.verdict("a").Message).To(ContainSubstring("likely a firewall on a rejects the port"))
}

func TestLikelyCauseOfADisagreement(t *testing.T) {
	tests := map[string]struct{ kubeProxy, want string }{
		"the port is lost":          {"Reached", "; likely a firewall between c and a that drops the port"},
		"all is lost":               {"Timeout", "; likely a firewall or a broken route between c and a"},
		"kube-proxy is not to find": {"ConnectionRefused", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			failing := func() *v1alpha1.NodeReachability {
				return with(fails("c", "Timeout"), knows(v1alpha1.Evidence{KubeProxy: test.kubeProxy}))
			}
			r.hear(answers("b"), failing())
			r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("likely"), "nobody knows yet who is right")
			r.hear(r.asked(answers("b")), r.asked(failing()))
			r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"))
			if test.want == "" {
				r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("likely"))
				return
			}
			r.Expect(r.verdict("a").Message).To(ContainSubstring(test.want))
		})
	}
}
