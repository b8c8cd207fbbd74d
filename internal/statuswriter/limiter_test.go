package statuswriter

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// settledStatus is that of an app whose reachability is known.
func settledStatus(readyReplicas, reachable int32) *v1alpha1.ExposedAppStatus {
	return &v1alpha1.ExposedAppStatus{
		ObservedGeneration: 1, NodePort: 31000, ReadyReplicas: readyReplicas,
		Reachability: &v1alpha1.ReachabilitySummary{Expected: 3, Reachable: reachable},
		Conditions:   []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: allOrNot(reachable == 3)}},
	}
}

func allOrNot(all bool) metav1.ConditionStatus {
	if all {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// play has an app go through what is found of it, one sight after the other, and
// returns when its status was written. A write that waits is tried again.
func play(throttle *limiter, status *v1alpha1.ExposedAppStatus, every, over time.Duration,
	find func(at time.Duration) *v1alpha1.ExposedAppStatus,
) (written []time.Duration) {
	start, due := time.Unix(0, 0), time.Duration(0)
	for at := time.Duration(0); at < over; at += 100 * time.Millisecond {
		if at%every != 0 && (due == 0 || at < due) {
			continue
		}
		next := find(at)
		pause := throttle.wait(types.NamespacedName{Name: "web"}, status, next, start.Add(at))
		due = 0
		if pause > 0 {
			due = at + pause
		} else if !equality.Semantic.DeepEqual(status, next) {
			written = append(written, at)
			status = next
		}
	}
	return written
}

func TestANodeThatGoesToAndFroIsWrittenSeldom(t *testing.T) {
	const end = 5 * time.Minute
	for name, words := range map[string][]*v1alpha1.ExposedAppStatus{
		"one of three nodes": {settledStatus(1, 2), settledStatus(1, 3)},
		"all of them":        {settledStatus(1, 0), settledStatus(1, 3)},
		"more and less of them": {
			settledStatus(1, 0), settledStatus(1, 1), settledStatus(1, 2), settledStatus(1, 1),
			forAnotherReason(settledStatus(1, 0)), settledStatus(1, 2),
		},
		"or nobody can tell": {
			settledStatus(1, 1), unknownTo(settledStatus(1, 0)), settledStatus(1, 2), unknownTo(settledStatus(1, 0)),
		},
		"one or another":    {settledStatus(1, 2), reworded(settledStatus(1, 2))},
		"for other reasons": {settledStatus(1, 2), forAnotherReason(settledStatus(1, 2))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			well := settledStatus(1, 3)
			written := play(newLimiter(), well, time.Second, end+20*time.Second,
				func(at time.Duration) *v1alpha1.ExposedAppStatus {
					if at >= end {
						return well
					}
					return words[int(at/time.Second)%len(words)]
				})
			g.Expect(len(written)).To(And(BeNumerically("<=", 60), BeNumerically(">", 3)))
			g.Expect(written[len(written)-1]).To(BeNumerically("~", end+3*time.Second, 3*time.Second), "it is well in the end")
		})
	}
}

func TestTheFirstRecoveriesDoNotWait(t *testing.T) {
	g := NewWithT(t)
	well, ill := settledStatus(1, 3), settledStatus(1, 2)
	written := play(newLimiter(), well, 100*time.Millisecond, 2*time.Minute,
		func(at time.Duration) *v1alpha1.ExposedAppStatus {
			if at/(10*time.Second)%2 == 1 {
				return ill
			}
			return well
		})
	g.Expect(written).To(HaveLen(11))
	for i, at := range written {
		g.Expect(at).To(Equal(time.Duration(i+1) * 10 * time.Second))
	}
}

// reworded is a status by which as many nodes answer.
func reworded(status *v1alpha1.ExposedAppStatus) *v1alpha1.ExposedAppStatus {
	status.Conditions[0].Message = "other words"
	return status
}

// unknownTo is a status by which nobody can tell.
func unknownTo(status *v1alpha1.ExposedAppStatus) *v1alpha1.ExposedAppStatus {
	status.Conditions[0].Status = metav1.ConditionUnknown
	return status
}

func forAnotherReason(status *v1alpha1.ExposedAppStatus) *v1alpha1.ExposedAppStatus {
	status.Conditions[0].Reason = "Another"
	return status
}

func promptly(wait time.Duration) bool { return wait <= time.Second }

func TestWordsHoldUpNothingElse(t *testing.T) {
	const talk = time.Minute
	ill := settledStatus(1, 2)
	for name, tc := range map[string]struct {
		news   *v1alpha1.ExposedAppStatus
		atOnce bool
	}{
		"a node less":    {settledStatus(1, 1), true},
		"another reason": {forAnotherReason(settledStatus(1, 2)), true},
		"other words":    {reworded(settledStatus(1, 2)), false},
	} {
		t.Run(name, func(t *testing.T) {
			g, words := NewWithT(t), 0
			written := play(newLimiter(), ill, time.Second, 2*talk, func(at time.Duration) *v1alpha1.ExposedAppStatus {
				if at >= talk+500*time.Millisecond {
					return tc.news
				}
				status := settledStatus(1, 2)
				status.Conditions[0].Message = fmt.Sprint(words)
				words++
				return status
			})
			last := written[len(written)-1]
			g.Expect(last).To(And(BeNumerically(">", talk), BeNumerically("<=", talk+rewordPause+time.Second)))
			g.Expect(last - talk).To(WithTransform(promptly, Equal(tc.atOnce)))
		})
	}
}

func TestWhatDoesNotWait(t *testing.T) {
	newGeneration := settledStatus(1, 2)
	newGeneration.ObservedGeneration = 2
	moved := settledStatus(1, 2)
	moved.NodePort = 31001
	stalled := settledStatus(1, 2)
	stalled.Conditions = append(stalled.Conditions,
		metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue})
	for name, tc := range map[string]struct{ before, next *v1alpha1.ExposedAppStatus }{
		"a new app":        {&v1alpha1.ExposedAppStatus{}, settledStatus(0, 0)},
		"a new generation": {settledStatus(1, 3), newGeneration},
		"another port":     {settledStatus(1, 3), moved},
		"a refusal":        {settledStatus(1, 3), stalled},
		"replicas":         {settledStatus(1, 3), settledStatus(2, 3)},
		"a node less":      {settledStatus(1, 3), settledStatus(1, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			g, throttle, start := NewWithT(t), newLimiter(), time.Unix(0, 0)
			for i := range 300 {
				at := start.Add(time.Duration(i) * time.Second)
				g.Expect(throttle.wait(types.NamespacedName{Name: "web"}, tc.before, tc.next, at)).To(BeZero())
			}
		})
	}
}

// TestWhatGetsBetterBitByBitDoesNotWait: nodes are found to answer one after the other,
// for the first time or again.
func TestWhatGetsBetterBitByBitDoesNotWait(t *testing.T) {
	for name, before := range map[string]func(*v1alpha1.ExposedAppStatus) *v1alpha1.ExposedAppStatus{
		"for the first time": unknownTo,
		"again":              func(status *v1alpha1.ExposedAppStatus) *v1alpha1.ExposedAppStatus { return status },
	} {
		t.Run(name, func(t *testing.T) {
			g, many := NewWithT(t), int32(20)
			found := func(reachable int32) *v1alpha1.ExposedAppStatus {
				status := settledStatus(1, reachable)
				status.Reachability.Expected = many
				status.Conditions[0].Status = allOrNot(reachable == many)
				if reachable < many {
					return before(status)
				}
				return status
			}
			written := play(newLimiter(), found(0), 4*time.Second, 4*time.Second*time.Duration(many+1),
				func(at time.Duration) *v1alpha1.ExposedAppStatus { return found(int32(at / (4 * time.Second))) })
			g.Expect(written).To(HaveLen(int(many)))
			g.Expect(written).To(HaveEach(WithTransform(
				func(at time.Duration) time.Duration { return at % (4 * time.Second) }, BeZero())))
		})
	}
}

func TestTheFirstProofDoesNotWait(t *testing.T) {
	g, throttle := NewWithT(t), newLimiter()
	for i := range 1000 {
		key := types.NamespacedName{Name: fmt.Sprint(i)}
		g.Expect(throttle.wait(key, unknownTo(settledStatus(1, 0)), settledStatus(1, 3), time.Unix(0, 0))).To(BeZero())
	}
}

func TestAChangeOfEveryAppIsWrittenAtABoundedRate(t *testing.T) {
	g := NewWithT(t)
	throttle, start := newLimiter(), time.Unix(0, 0)
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

// TestOtherWordsOnEveryAppHoldUpNothing: every app has other words, and half of them
// then have something to tell.
func TestOtherWordsOnEveryAppHoldUpNothing(t *testing.T) {
	const apps = 2000
	g := NewWithT(t)
	throttle, start := newLimiter(), time.Unix(0, 0)
	news := func(i int, second int) *v1alpha1.ExposedAppStatus {
		if second > 0 && i%2 == 0 {
			return settledStatus(1, 1)
		}
		return reworded(settledStatus(1, 2))
	}
	last, waiting := map[bool]int{}, make(map[int]bool)
	for i := range apps {
		waiting[i] = true
	}
	for second := 0; len(waiting) > 0; second++ {
		for i := range waiting {
			key := types.NamespacedName{Name: fmt.Sprint(i)}
			if throttle.wait(key, settledStatus(1, 2), news(i, second), start.Add(time.Duration(second)*time.Second)) == 0 {
				delete(waiting, i)
				last[i%2 == 0] = second
			}
		}
	}
	g.Expect(last[true]).To(BeNumerically("~", (apps/2-statusBurst)/statusesPerSecond, 3), "of those with news")
	g.Expect(last[false]).To(BeNumerically(">", (apps/2-messageBurst)/messagesPerSecond), "of those with other words")
}

func TestAnAppThatIsGoneLeavesNoTurnBehind(t *testing.T) {
	g := NewWithT(t)
	throttle := newLimiter()
	throttle.wait(types.NamespacedName{Name: "web"}, settledStatus(1, 3), settledStatus(1, 2), time.Unix(0, 0))
	throttle.Forget(types.NamespacedName{Name: "web"})
	g.Expect(throttle.apps).To(BeEmpty())
}
