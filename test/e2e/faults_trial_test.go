package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/judge"
)

const (
	// patience is how long a trial waits for the truth before it goes on. What
	// took longer than promised is for the judge.
	patience = 2 * time.Minute

	// relapse is how long what was told is watched for a relapse.
	relapse = 3 * time.Second

	// uneventful is how long it takes every agent to dial everything and to
	// confirm what failed.
	uneventful = 12 * time.Second

	reachable = "Reachable"
)

// undecided is a row for as long as there is no verdict, with pods that are ready
// or without.
var undecided = words("Unknown Pending", "Unknown NoReadyEndpoints")

// records are what came of the faults so far, by name.
var records = make(map[string]*judge.Record)

// rounds is how often each fault is tried that does not take long.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("FAULT_ROUNDS")); err == nil && n > 0 {
		return n
	}
	return 1
}

// fault declares the trials of a fault. Those of the short form are also part of
// the end-to-end tests.
func fault(name string, body func(ctx SpecContext, round int), labels ...any) {
	repeated := rounds()
	if slices.ContainsFunc(labels, func(label any) bool { return fmt.Sprint(label) == fmt.Sprint(slow) }) {
		repeated = (repeated + 2) / 3
	}
	for round := range repeated {
		It(fmt.Sprintf("%s, round %d", name, round+1), append([]any{func(ctx SpecContext) { body(ctx, round) }}, labels...)...)
	}
}

var (
	faults = Label("faults")
	short  = Label("short")
	slow   = Label("slow")
)

// trial is a fault under way, with those who watch.
type trial struct {
	judge.Trial
	name    string
	dials   *oracle
	witness *statusWitness
}

// words are rows that are right.
func words(rows ...string) judge.Words {
	right := make(judge.Words)
	for _, row := range rows {
		right[row] = nil
	}
	return right
}

// telling is a row that is right with texts in its message.
func telling(row string, texts ...string) judge.Words {
	return judge.Words{row: texts}
}

// onAll says that one thing is right of every node.
func onAll(right judge.Words) map[string]judge.Words {
	rows := make(map[string]judge.Words)
	for _, n := range nodes {
		rows[n.name] = right
	}
	return rows
}

// onlyOn says what is right of one node, while every other one is Reachable.
func onlyOn(n node, right judge.Words) map[string]judge.Words {
	rows := onAll(words(reachable))
	rows[n.name] = right
	return rows
}

// try begins the trial of a fault on an app that is reachable everywhere.
func try(ctx SpecContext, name string, a app, ports ...int32) *trial {
	GinkgoHelper()
	Eventually(a.field).WithContext(ctx).WithArguments("exposedapp", "{.status.nodePort}").Should(Equal(fmt.Sprint(ports[0])))
	Eventually(a.rows).WithContext(ctx).WithTimeout(2 * rollout).Should(Equal(everyNode(calmRow())))
	// In the first 5 seconds with a ready pod a failure is Pending, and told by the
	// second.
	Eventually(a.availableFor).WithContext(ctx).Should(BeNumerically(">", 6*time.Second))
	t := begin(ctx, name, a, onAll(words(reachable)), ports...)
	Eventually(t.dials.complete).WithContext(ctx).Should(BeTrue(), "not every node dials")
	Eventually(t.answered).WithContext(ctx).Should(BeTrue(), "curl is not answered")
	return t
}

// availableFor returns how long the app has had ready pods.
func (a app) availableFor(ctx context.Context) (time.Duration, error) {
	object, err := a.get(ctx)
	if err != nil {
		return 0, err
	}
	available := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionAvailable)
	if available == nil || available.Status != metav1.ConditionTrue {
		return 0, nil
	}
	return time.Since(available.LastTransitionTime.Time), nil
}

// begin begins the trial of a fault where something else is right at first.
func begin(ctx SpecContext, name string, a app, right map[string]judge.Words, ports ...int32) *trial {
	GinkgoHelper()
	t := &trial{name: name, witness: witnessStatus(ctx, a), dials: watchPorts(ctx, "/", ports...)}
	t.Phases = []judge.Phase{veiled(judge.Phase{Start: time.Now(), Right: right}, nil)}
	return t
}

// phase begins a phase by an act and waits until the status tells its truth.
func (t *trial) phase(ctx SpecContext, phase judge.Phase, act func()) {
	GinkgoHelper()
	phase.Start = time.Now()
	phase = veiled(phase, t.Phases[len(t.Phases)-1].Right)
	t.Phases = append(t.Phases, phase)
	act()
	if socketLB == unproven {
		t.pass(ctx, uneventful)
	}
	t.await(ctx, func() bool {
		statuses, _ := t.witness.seen()
		return phase.Told(statuses) && t.dials.answered(time.Second, phase.Answering(), t.Deaf)
	})
	t.pass(ctx, relapse)
}

// patch changes the spec of an app.
func (a app) patch(ctx context.Context, spec string) {
	GinkgoHelper()
	a.kubectl(ctx, "patch", "exposedapp", a.name, "--type=merge", `--patch={"spec": `+spec+`}`)
}

// steady begins a phase in which the status has nothing to follow.
func (t *trial) steady(right map[string]judge.Words) {
	t.Phases = append(t.Phases, veiled(judge.Phase{Start: time.Now(), Right: right}, nil))
}

// calm begins a phase by an act that must not change any row, and waits for what
// comes of it.
func (t *trial) calm(ctx SpecContext, act func()) {
	GinkgoHelper()
	t.steady(t.Phases[0].Right)
	act()
	t.pass(ctx, uneventful)
}

// answered tells whether every node answers.
func (t *trial) answered() bool {
	all := judge.Phase{Right: onAll(words(reachable))}
	return t.dials.answered(time.Second, all.Answering(), t.Deaf)
}

// await waits for something, with patience. It is no failure if it does not come.
func (t *trial) await(ctx context.Context, come func() bool) {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil && !come(); {
		t.pass(ctx, 100*time.Millisecond)
	}
}

// pass lets time pass.
func (t *trial) pass(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// end has the trial judged.
func (t *trial) end() {
	GinkgoHelper()
	t.End = time.Now()
	statuses, outages := t.witness.seen()
	t.Outages = outages
	dials := t.dials.heard()
	found := judge.Judge(&t.Trial, dials, statuses)

	record := records[t.name]
	if record == nil {
		record = &judge.Record{Fault: t.name}
		records[t.name] = record
	}
	record.Runs++
	record.False += len(found.False)
	late := false
	for i, took := range found.Took {
		if i == 0 {
			record.Truth = append(record.Truth, took.Time)
		} else {
			record.Recovery = append(record.Recovery, took.Time)
		}
		late = late || took.Time > judge.Promise
		report(fmt.Sprintf("the truth of phase %d after", took.Phase), judge.Tenths(took.Time))
	}
	if late || len(found.False) > 0 {
		for _, change := range judge.Changes(&t.Trial, dials, statuses) {
			GinkgoWriter.Println(change)
		}
	}
	Expect(found.False).To(BeEmpty(), "false words")
	Expect(late).To(BeFalse(), "the truth took %v", found.Took)
}

var _ = ReportAfterSuite("The faults", func(Report) {
	if len(records) == 0 {
		return
	}
	var table []judge.Record
	for _, name := range slices.Sorted(maps.Keys(records)) {
		table = append(table, *records[name])
	}
	fmt.Println()
	Expect(judge.Table(os.Stdout, table)).To(Succeed())
})
