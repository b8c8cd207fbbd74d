package podsampler

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/test/gen"
)

// A lack of pods is looked into after five seconds, and ever less often.
func TestLooksAreSeldom(t *testing.T) {
	g := NewWithT(t)
	pods := &podLister{pods: []corev1.Pod{failingPod("web", 0, "not found")}}
	seconds := pods.follow(t.Context(), New(pods), gen.ExposedApp("web", gen.WithReplicas(3)), rolled(gen.Unavailable), 300)
	g.Expect(seconds).To(Equal([]int{5, 15, 35, 75, 135, 195, 255}))
	for _, asked := range pods.options {
		g.Expect(asked.Namespace).To(Equal("default"))
		g.Expect(asked.LabelSelector.String()).To(Equal("exposedapp.dev/name=web"))
		g.Expect(asked.FieldSelector.String()).To(Equal("status.phase!=Failed,status.phase!=Succeeded"))
		g.Expect(asked.Limit).To(Equal(int64(5)))
		g.Expect(asked.Continue).To(BeEmpty())
	}
}

func TestNothingIsLookedIntoWhereNoPodLacks(t *testing.T) {
	replicaFailure := func(d *appsv1.Deployment) {
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure})
	}
	for name, test := range map[string]struct {
		seen    *appstatus.Observed
		options []gen.Option
	}{
		"all is well":           {seen: rolled()},
		"nothing is made":       {seen: &appstatus.Observed{}},
		"scaled to zero":        {seen: &appstatus.Observed{Deployment: gen.RolledOut(0)}, options: []gen.Option{gen.WithReplicas(0)}},
		"being deleted":         {seen: rolled(gen.Unavailable, func(d *appsv1.Deployment) { d.DeletionTimestamp = new(gen.At(0)) })},
		"the Deployment tells":  {seen: rolled(gen.Unavailable, replicaFailure)},
		"paused, and all ready": {seen: rolled(gen.Paused, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 0 })},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			pods := &podLister{}
			app := gen.ExposedApp("web", append([]gen.Option{gen.WithReplicas(3)}, test.options...)...)
			inquirer := New(pods)
			g.Expect(pods.follow(t.Context(), inquirer, app, test.seen, 120)).To(BeEmpty())
			g.Expect(inquirer.apps).To(BeEmpty(), "nothing is remembered")
		})
	}
}

// However many apps lack pods, and however late the operator comes to them, no more than
// five are looked into in a second, and each in its turn.
func TestLooksOfAllAppsHaveABound(t *testing.T) {
	for name, every := range map[string]time.Duration{"in time": 20 * time.Millisecond, "late": 1700 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			const apps = 50
			pods := &podLister{}
			inquirer := New(pods)
			due := make([]time.Time, apps)
			for now := gen.At(0).Time; now.Before(gen.At(2).Time); now = now.Add(every) {
				pods.now = now
				for i := range apps {
					if now.Before(due[i]) {
						continue
					}
					app := gen.ExposedApp(fmt.Sprintf("web-%d", i), gen.WithReplicas(3))
					due[i] = now.Add(inquire(t.Context(), inquirer, app, rolled(gen.Unavailable), now))
				}
			}
			looked := make(map[string]bool)
			for i, when := range pods.when {
				looked[pods.options[i].LabelSelector.String()] = true
				g.Expect(when).To(BeTemporally(">=", gen.At(0).Add(sampleAfter)))
				if i >= 5 {
					g.Expect(when.Sub(pods.when[i-5])).To(BeNumerically(">=", time.Second))
				}
			}
			g.Expect(looked).To(HaveLen(apps))
		})
	}
}

// An API server that does not answer holds up one app, not all workers.
func TestLooksAreTakenOneAtATime(t *testing.T) {
	g := NewWithT(t)
	looks, seen := New(&podLister{}), rolled(gen.Unavailable)
	first, second := gen.ExposedApp("first", gen.WithReplicas(3)), gen.ExposedApp("second", gen.WithReplicas(3))
	now := gen.At(0).Time
	for _, app := range []*v1alpha1.ExposedApp{first, second} {
		g.Expect(looks.due(app, seen.Deployment, now)).To(Equal(sampleAfter))
	}
	now = now.Add(sampleAfter)
	g.Expect(looks.due(first, seen.Deployment, now)).To(BeZero())
	now = now.Add(time.Second)
	g.Expect(looks.due(second, seen.Deployment, now)).To(Equal(sampleEvery), "the first is still at it")
	looks.list(t.Context(), first, seen.Deployment, now)
	g.Expect(looks.due(second, seen.Deployment, now)).To(BeZero())
}

func TestWhatALookFinds(t *testing.T) {
	g := NewWithT(t)
	pods := &podLister{pods: []corev1.Pod{failingPod("web", 0, "dial tcp 10.0.0.1:5001: i/o timeout")}}
	inquirer, app := New(pods), gen.ExposedApp("web", gen.WithReplicas(3))
	at := func(second int, seen *appstatus.Observed) string {
		inquire(t.Context(), inquirer, app, seen, gen.At(0).Add(time.Duration(second)*time.Second))
		return seen.PodTrouble
	}
	const timeout = `image "web:1" cannot be pulled: ErrImagePull: dial tcp 10.0.0.1:5001: i/o timeout`
	seen := rolled(gen.Unavailable)
	g.Expect(at(0, seen)).To(BeEmpty())
	g.Expect(at(5, seen)).To(Equal(timeout))

	pods.pods = []corev1.Pod{failingPod("web", 0, "dial tcp 10.0.0.1:6002: i/o timeout")}
	g.Expect(at(15, seen)).To(Equal(timeout), "another try is no news")
	pods.err = errors.New("busy")
	g.Expect(at(35, seen)).To(Equal(timeout), "a look that fails takes nothing back")
	pods.err = nil
	pods.pods = []corev1.Pod{failingPod("web", 0, "unauthorized")}
	g.Expect(at(75, seen)).To(HaveSuffix("ErrImagePull: unauthorized"))

	more := rolled(gen.Unavailable, func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 2 })
	pods.pods = nil
	g.Expect(at(76, more)).To(HaveSuffix("unauthorized"))
	g.Expect(at(86, more)).To(BeEmpty(), "another count of ready pods has it looked into soon")

	pods.pods = []corev1.Pod{failingPod("web", 0, "unauthorized")}
	g.Expect(at(96, more)).To(HaveSuffix("unauthorized"))
	next := rolled(gen.Unavailable, func(d *appsv1.Deployment) { d.Generation, d.Status.ObservedGeneration = 8, 8 })
	g.Expect(at(107, next)).To(BeEmpty(), "what was wrong with another revision")
	g.Expect(at(112, next)).To(HaveSuffix("unauthorized"))

	g.Expect(at(113, rolled())).To(BeEmpty())
	g.Expect(inquirer.apps).To(BeEmpty())

	pods.err = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no"))
	at(120, seen)
	g.Expect(at(125, seen)).To(Equal("the operator may not list pods, so it cannot tell why"))
}

// Of many pods a few are listed at a time: those that wait first, then those that run,
// and the next time in the same place.
func TestLooksOfALargeApp(t *testing.T) {
	g := NewWithT(t)
	pods := &podLister{}
	for i := range 40 {
		pods.pods = append(pods.pods, readyPod("web", i))
	}
	pods.pods[12] = failingPod("web", 12, "not found")
	pods.pods[12].Status.Phase = corev1.PodRunning
	seen := &appstatus.Observed{Deployment: gen.RolledOut(40, func(d *appsv1.Deployment) { d.Status.ReadyReplicas, d.Status.AvailableReplicas = 39, 39 })}
	inquirer, app := New(pods), gen.ExposedApp("web", gen.WithReplicas(40))
	pods.follow(t.Context(), inquirer, app, seen, 10)
	g.Expect(pods.asked()).To(Equal([]string{
		"status.phase=Pending ", "status.phase=Running ", "status.phase=Running 5", "status.phase=Running 10",
	}))
	g.Expect(seen.PodTrouble).To(HavePrefix(`image "web:1" cannot be pulled`))

	pods.follow(t.Context(), inquirer, app, seen, 20)
	g.Expect(pods.asked()[4:]).To(HaveExactElements("status.phase=Running ", "status.phase=Running 5", "status.phase=Running 10"))

	pods.pods[12] = readyPod("web", 12)
	pods.when, pods.options = nil, nil
	inquirer = New(pods)
	pods.follow(t.Context(), inquirer, app, seen, 10)
	g.Expect(pods.asked()).To(HaveLen(5), "a look ends, also where nothing is found")
	g.Expect(seen.PodTrouble).To(BeEmpty())
}

// An operator that starts anew keeps what the status says of why pods are missing, until
// it has looked itself. So nothing is written.
func TestWhatWasFoundOutlivesTheOperator(t *testing.T) {
	deadline := gen.Progressing("False", "ProgressDeadlineExceeded")
	for name, seen := range map[string]*appstatus.Observed{
		"too few pods":           rolled(gen.Unavailable),
		"a rollout":              rolled(gen.Unavailable, gen.Progressing("True", "ReplicaSetUpdated")),
		"a rollout that is late": rolled(gen.Unavailable, deadline),
		"while paused":           rolled(gen.Unavailable, gen.Paused),
		"fewer than declared":    rolled(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 2 }),
		"without a node port":    rolled(gen.Unavailable, func(*appsv1.Deployment) {}),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			pods := &podLister{pods: []corev1.Pod{failingPod("web", 0, "dial tcp 10.0.0.1:5001: i/o timeout")}}
			if name == "without a node port" {
				seen.Service, seen.Verdicts = nil, nil
			}
			app := gen.ExposedApp("web", gen.WithReplicas(3), gen.WithIdentity("9f3c", 4))
			now := gen.At(0).Time
			tell := func(inquirer *Sampler, pause time.Duration) v1alpha1.ExposedAppStatus {
				now = now.Add(pause)
				inquire(t.Context(), inquirer, app, seen, now)
				return appstatus.Of(app, seen, metav1.NewTime(now))
			}
			first := New(pods)
			app.Status = tell(first, 0)
			plain := app.Status
			app.Status = tell(first, sampleAfter)
			g.Expect(equality.Semantic.DeepEqual(plain, app.Status)).To(BeFalse(), "it was looked into")

			second := New(pods)
			pods.pods = []corev1.Pod{failingPod("web", 0, "dial tcp 10.0.0.1:6002: i/o timeout")}
			g.Expect(tell(second, time.Second)).To(Equal(app.Status))
			g.Expect(tell(second, sampleAfter)).To(Equal(app.Status))

			app.Generation++
			g.Expect(New(pods).due(app, seen.Deployment, now)).To(Equal(sampleAfter))
			g.Expect(appstatus.KnownCause(app, seen.Deployment)).To(BeEmpty(), "what was said of another spec")
		})
	}
}

// rolled is what is observed of an app of three pods that nodes answer for.
func rolled(changes ...func(*appsv1.Deployment)) *appstatus.Observed {
	return &appstatus.Observed{
		Deployment: gen.RolledOut(3, changes...), Service: gen.ServiceHolding(31000),
		Verdicts: []v1alpha1.NodeVerdict{gen.Reachable("a"), gen.Reachable("b")},
	}
}

// inquire has the pods of an app looked at, if that is due, as a reconciliation does.
func inquire(ctx context.Context, pods *Sampler, app *v1alpha1.ExposedApp, seen *appstatus.Observed, now time.Time) (due time.Duration) {
	seen.PodTrouble, due = pods.Explain(ctx, app, seen.Deployment, now)
	return due
}

// podLister lists pods as the API server does, and notes when it was asked for what.
type podLister struct {
	pods []corev1.Pod
	err  error

	now     time.Time
	when    []time.Time
	options []*client.ListOptions
}

func (*podLister) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("pods are listed")
}

func (l *podLister) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	l.when, l.options = append(l.when, l.now), append(l.options, asked)
	if l.err != nil {
		return l.err
	}
	list, ok := into.(*corev1.PodList)
	if !ok {
		return fmt.Errorf("%T is no list of pods", into)
	}
	var found []corev1.Pod
	for i := range l.pods {
		if asked.FieldSelector.Matches(fields.Set{"status.phase": string(l.pods[i].Status.Phase)}) {
			found = append(found, l.pods[i])
		}
	}
	from, _ := strconv.Atoi(asked.Continue)
	end := min(from+int(asked.Limit), len(found))
	if list.Items = found[from:end]; end < len(found) {
		list.Continue = strconv.Itoa(end)
	}
	return nil
}

// follow has an app inquired about for some seconds, whenever that is due, and returns
// the seconds at which its pods were listed.
func (l *podLister) follow(
	ctx context.Context, inquirer *Sampler, app *v1alpha1.ExposedApp, seen *appstatus.Observed, seconds int,
) (listed []int) {
	if l.now.IsZero() {
		l.now = gen.At(0).Time
	}
	start, before := l.now, len(l.when)
	for l.now.Sub(start) <= time.Duration(seconds)*time.Second {
		due := inquire(ctx, inquirer, app, seen, l.now)
		if due == 0 {
			break
		}
		l.now = l.now.Add(due)
	}
	for _, when := range l.when[before:] {
		listed = append(listed, int(when.Sub(start)/time.Second))
	}
	return listed
}

// asked returns which pods were asked for.
func (l *podLister) asked() (asked []string) {
	for _, options := range l.options {
		asked = append(asked, options.FieldSelector.String()+" "+options.Continue)
	}
	return asked
}

func readyPod(app string, i int) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-5c-%05d", app, i), UID: types.UID(strconv.Itoa(i)), CreationTimestamp: gen.At(-1),
			Labels:          map[string]string{"pod-template-hash": "5c"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: app + "-5c", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: "worker", Containers: []corev1.Container{{Name: "app", Image: "web:1"}}},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true}},
		},
	}
}

// failingPod is one whose image cannot be pulled.
func failingPod(app string, i int, words string) corev1.Pod {
	pod := readyPod(app, i)
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: words}},
	}}}
	return pod
}
