package reachability_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/reachability"
)

// An agent may be taken over. It then speaks of what it was given to dial, and of nothing
// else.
func TestObserverSpeaksOfWhatItWasGiven(t *testing.T) {
	for name, report := range map[string]*v1alpha1.NodeReachability{
		"failures":         fails("c", "Timeout"),
		"answers":          answers("c"),
		"nothing yet":      waits("c"),
		"translated dials": translates("c", backend),
		"its own address":  isAt("c"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			report.Spec.Targets = targets("b", "c")
			r.hear(answers("b"), report)
			r.Expect(r.verdict("a").Observers).To(Equal("1/1"))
			r.Expect(r.row("a")).To(Equal("Reachable "))
			r.Expect(r.verdict("b").Observers).To(Equal("1/1"))
		})
	}
}

// A round that an observer was not asked says nothing, neither of the observer itself nor
// of what others are asked next.
func TestRoundsThatNobodyAsked(t *testing.T) {
	for _, claimed := range []int64{math.MaxInt64, math.MaxInt64 - 2, 1 << 60} {
		t.Run(fmt.Sprint(claimed), func(t *testing.T) {
			r := newRoom(t)
			claims := func(report *v1alpha1.NodeReachability) *v1alpha1.NodeReachability {
				report.Status.RecheckRound = claimed
				return report
			}
			r.hear(answers("b"), claims(fails("c", "Timeout")))
			for observer, request := range r.reported.Requests() {
				r.Expect(request.Round).To(BeNumerically("~", r.now.UnixMilli(), 60_000), observer)
			}
			r.hear(r.asked(answers("b")))
			r.Expect(r.row("a")).To(Equal("Unreachable PartiallyReachable"), "what c says began just before")

			r.hear(claims(answers("c")))
			r.now = r.now.Add(time.Hour)
			r.hear(claims(answers("b")), fails("c", "Timeout"))
			r.Expect(r.row("a")).To(Equal("Unreachable Timeout"), "b has not looked again")
			r.Expect(r.reported.Requests()).To(HaveKey("b"))
		})
	}
}

// What is longer than any agent writes is not even parsed.
func TestReportThatIsTooLong(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("1", 16<<10)
	for name, grow := range map[string]func(*v1alpha1.NodeReachability){
		"node ports":    func(r *v1alpha1.NodeReachability) { r.Status.NodePorts = long },
		"failing ports": func(r *v1alpha1.NodeReachability) { r.Status.Failures[0].NodePorts = long },
		"messages":      func(r *v1alpha1.NodeReachability) { r.Status.Failures[0].Message = long },
		"addresses":     func(r *v1alpha1.NodeReachability) { r.Status.Addresses = slices.Repeat([]string{"10.0.0.1"}, 2049) },
		"failing addresses": func(r *v1alpha1.NodeReachability) {
			r.Status.Failures[0].Addresses = slices.Repeat([]string{"10.0.0.1"}, 2049)
		},
		"all together": func(r *v1alpha1.NodeReachability) {
			r.Status.Failures = slices.Repeat(r.Status.Failures, 128)
			for i := range r.Status.Failures {
				r.Status.Failures[i].Message = long[:128]
			}
		},
	} {
		_, err := reachability.NewState().Report(with(fails("b", "Timeout"), grow), later)
		g.Expect(err).To(MatchError(MatchRegexp("status: it has [0-9]+ characters of text, more than 16384")), name)
	}
}

// Whatever an agent writes goes on into statuses and Events, which people read.
func TestTextsOfReports(t *testing.T) {
	for name, test := range map[string]struct{ reason, message, want, prefix string }{
		"an unknown reason":    {"A\x1b[2J\nB", "gone", "Other", "not from b (Other: gone)"},
		"no reason":            {"", "gone", "Other", "not from b (Other: gone)"},
		"a verdict's reason":   {"NoReadyEndpoints", "gone", "Other", "not from b (Other: gone)"},
		"escapes":              {"Timeout", "\x1b]0;x\x07a\nb\tc\x7f\u0085d", "Timeout", "not from b (Timeout: ]0;xabcd)"},
		"marks of direction":   {"Timeout", "\u202eevil\u2066\u200f\ufeff\u2028!", "Timeout", "not from b (Timeout: evil!)"},
		"what is no text":      {"Timeout", "a\xffb\ufffdc", "Timeout", "not from b (Timeout: abc)"},
		"letters of all kinds": {"Timeout", "übergroß, 時間切れ", "Timeout", "not from b (Timeout: übergroß, 時間切れ)"},
		"very much of it":      {"Timeout", strings.Repeat("é", 160), "Timeout", "not from b (Timeout: " + strings.Repeat("é", 80) + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			report := fails("b", test.reason)
			report.Status.Failures[0].Message = test.message
			r.hear(report)
			r.Expect(r.row("a")).To(Equal("Unreachable " + test.want))
			r.Expect(r.verdict("a").Message).To(HavePrefix(test.prefix))
		})
	}
}

// Evidence that is not known is none.
func TestUnknownEvidence(t *testing.T) {
	r := newRoom(t)
	odd := v1alpha1.Evidence{Pod: "Odd", ClusterIP: "Odd", KubeProxy: "Odd"}
	r.hear(with(fails("b", "Odd"), knows(odd)), with(fails("c", "Odd"), knows(odd)))
	r.Expect(r.row("a")).To(Equal("Unreachable Other"))
	r.Expect(r.verdict("a").Message).NotTo(ContainSubstring("likely"))
}
