package exposedapp

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// settledStatus is that of an app whose reachability is known.
func settledStatus(readyReplicas, reachable int32) *v1alpha1.ExposedAppStatus {
	return &v1alpha1.ExposedAppStatus{
		ObservedGeneration: 1, NodePort: 31000, ReadyReplicas: readyReplicas,
		Reachability: &v1alpha1.ReachabilitySummary{Expected: 3, Reachable: reachable},
		Conditions:   []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue}},
	}
}

// writes plays five minutes in which a status differs every second, and returns
// the number of times that it may be written.
func writes(throttle *throttle, before, next *v1alpha1.ExposedAppStatus) (n int, longest time.Duration) {
	start := time.Unix(0, 0)
	for second := range 300 {
		pause := throttle.wait(types.NamespacedName{Name: "web"}, before, next, start.Add(time.Duration(second)*time.Second))
		if pause == 0 {
			n++
		}
		longest = max(longest, pause)
	}
	return n, longest
}

func TestVerdictsThatGoToAndFroAreWrittenSeldom(t *testing.T) {
	g := NewWithT(t)
	n, longest := writes(newThrottle(), settledStatus(1, 3), settledStatus(1, 2))
	g.Expect(n).To(And(BeNumerically("<=", 60), BeNumerically(">", 50)))
	g.Expect(longest).To(BeNumerically("<=", verdictPause))
}

func TestWhatDoesNotWait(t *testing.T) {
	unknown := settledStatus(1, 0)
	unknown.Conditions[0].Status = metav1.ConditionUnknown
	newGeneration := settledStatus(1, 2)
	newGeneration.ObservedGeneration = 2
	moved := settledStatus(1, 2)
	moved.NodePort = 31001
	stalled := settledStatus(1, 2)
	stalled.Conditions = append(stalled.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue})
	for name, tc := range map[string]struct{ before, next *v1alpha1.ExposedAppStatus }{
		"a new app":        {&v1alpha1.ExposedAppStatus{}, settledStatus(0, 0)},
		"the first proof":  {unknown, settledStatus(1, 3)},
		"a new generation": {settledStatus(1, 3), newGeneration},
		"another port":     {settledStatus(1, 3), moved},
		"a refusal":        {settledStatus(1, 3), stalled},
		"replicas":         {settledStatus(1, 3), settledStatus(2, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := writes(newThrottle(), tc.before, tc.next)
			NewWithT(t).Expect(n).To(Equal(300))
		})
	}
}

func TestAChangeOfEveryAppIsWrittenAtABoundedRate(t *testing.T) {
	g := NewWithT(t)
	throttle, start := newThrottle(), time.Unix(0, 0)
	waiting := make(map[types.NamespacedName]bool)
	for i := range 2768 {
		waiting[types.NamespacedName{Name: fmt.Sprint(i)}] = true
	}
	var perSecond []int
	for second := 0; len(waiting) > 0; second++ {
		written := 0
		for key := range waiting {
			if throttle.wait(key, settledStatus(1, 3), settledStatus(1, 2), start.Add(time.Duration(second)*time.Second)) == 0 {
				delete(waiting, key)
				written++
			}
		}
		perSecond = append(perSecond, written)
	}
	g.Expect(perSecond[0]).To(Equal(statusBurst))
	g.Expect(perSecond[1:]).To(HaveEach(BeNumerically("<=", statusesPerSecond)))
	g.Expect(len(perSecond)).To(BeNumerically("<", 60))
}

func TestAnAppThatIsGoneLeavesNoTurnBehind(t *testing.T) {
	g := NewWithT(t)
	throttle := newThrottle()
	writes(throttle, settledStatus(1, 3), settledStatus(1, 2))
	throttle.forget(types.NamespacedName{Name: "web"})
	g.Expect(throttle.apps).To(BeEmpty())
}
