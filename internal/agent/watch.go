package agent

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/agent/service"
	"github.com/exposedapp/exposedapp/internal/listwatch"
)

// watchServices keeps l informed of the operator's Services until ctx ends.
func watchServices(ctx context.Context, c *Client, l *loop) {
	store := serviceStore(l)
	reflect(ctx, listWatch(c.services, l, "watch Services", managed(), store.slim), new(corev1.Service), store)
}

// watchEndpoints keeps l informed of the EndpointSlices of the operator's
// Services until ctx ends. They carry the labels of their Services.
func watchEndpoints(ctx context.Context, c *Client, l *loop) {
	store := endpointStore(l)
	reflect(ctx, listWatch(c.endpointSlices, l, "watch EndpointSlices", managed(), store.slim),
		new(discoveryv1.EndpointSlice), store)
}

// managed selects the operator's Services, and what carries their labels.
func managed() metav1.ListOptions {
	return metav1.ListOptions{
		LabelSelector: labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedByValue}.String(),
	}
}

// watchAssignment keeps l informed of the observer's NodeReachability until ctx
// ends.
func watchAssignment(ctx context.Context, c *Client, observer string, l *loop) {
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, observer).String()
	source := listWatch(c.nodeReachabilities, l, "watch the NodeReachability",
		metav1.ListOptions{FieldSelector: selector}, func(obj runtime.Object) runtime.Object { return obj })
	reflect(ctx, source, new(v1alpha1.NodeReachability), newAssignmentStore(l))
}

// reflect brings every change of source to store. Reflectors without an informer
// keep no copy of the objects, and say up to which resourceVersion everything
// has been seen.
func reflect(ctx context.Context, source cache.ListerWatcher, example runtime.Object, store cache.ReflectorStore) {
	cache.NewReflectorWithOptions(source, example, store, cache.ReflectorOptions{
		// The default of up to a minute would keep an agent blind for long after
		// an outage of the API server. On larger clusters listWatch adds to it.
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1, Jitter: 1, Steps: math.MaxInt32},
	}).RunWithContext(ctx)
}

// listWatch lists and watches for l what selection selects of r. It logs outages,
// about which a reflector keeps silent while the API server refuses connections, and
// spreads over time what all agents would do at once after one. Where the API server
// does not stream a list, it comes in pages, of which only what slim makes of the
// objects is kept.
func listWatch(
	r resource, l *loop, action string, selection metav1.ListOptions, slim func(runtime.Object) runtime.Object,
) *cache.ListWatch {
	selected := func(options metav1.ListOptions) *rest.Request {
		options.LabelSelector, options.FieldSelector = selection.LabelSelector, selection.FieldSelector
		return r.Get().Resource(r.name).VersionedParams(&options, r.parameters)
	}
	outage := outage{action: action}
	noted := func(ctx context.Context, err error) error {
		if ctx.Err() == nil {
			outage.note(klog.FromContext(ctx), l.explained(err))
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(rand.Int64N(l.maxReconnectDelay.Load() + 1))):
			}
		}
		return err
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
			list, err := listwatch.InPages(listwatch.SmallPage, func(options metav1.ListOptions) (runtime.Object, error) {
				page := r.newList()
				return page, selected(options).Do(ctx).Into(page)
			}, func(object runtime.Object) (runtime.Object, error) { return slim(object), nil })
			return list, noted(ctx, err)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			w, err := selected(options).Watch(ctx)
			return w, noted(ctx, err)
		},
	}
}

// store hands objects of a kind to the loop, as far as the agent keeps them.
type store[O object, F any] struct {
	loop *loop

	// form returns what the agent keeps of an object, and false if nothing.
	form func(O) (F, bool)

	set     func(now time.Duration, form F, version string)
	remove  func(now time.Duration, obj O)
	replace func(now time.Duration, forms []F, version string)

	// bookmark takes a version up to which everything has been seen. It may be nil.
	bookmark func(version string)
}

type object interface {
	runtime.Object
	metav1.Object
}

var (
	_ cache.TransformingStore      = store[*corev1.Service, service.Service]{}
	_ cache.ReflectorBookmarkStore = store[*corev1.Service, service.Service]{}
)

// serviceStore hands Services to the loop. Each call takes the loop from one
// resourceVersion to another, so that the loop always knows every change up to
// the one and none after it.
func serviceStore(l *loop) store[*corev1.Service, service.Service] {
	return store[*corev1.Service, service.Service]{
		loop: l, form: service.Of, set: l.update, replace: l.list,
		remove: func(now time.Duration, svc *corev1.Service) {
			l.remove(now, types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}, svc.ResourceVersion)
		},
		bookmark: func(version string) { l.services = version },
	}
}

// endpointStore hands EndpointSlices to the loop.
func endpointStore(l *loop) store[*discoveryv1.EndpointSlice, service.Endpoints] {
	return store[*discoveryv1.EndpointSlice, service.Endpoints]{
		loop: l, form: service.EndpointsOf,
		set: func(now time.Duration, e service.Endpoints, _ string) { l.schedule.SetEndpoints(now, e) },
		remove: func(now time.Duration, slice *discoveryv1.EndpointSlice) {
			if e, ok := service.EndpointsOf(slice); ok {
				l.schedule.DeleteEndpoints(now, e)
			}
		},
		replace: func(now time.Duration, all []service.Endpoints, _ string) { l.schedule.ReplaceEndpoints(now, all) },
	}
}

func (s store[O, F]) Add(obj any) error { return s.Update(obj) }

func (s store[O, F]) Update(obj any) error {
	o := obj.(O)
	form, ok := s.form(o)
	if !ok {
		return s.Delete(obj)
	}
	s.loop.post(func(now time.Duration) { s.set(now, form, o.GetResourceVersion()) })
	return nil
}

func (s store[O, F]) Delete(obj any) error {
	s.loop.post(func(now time.Duration) { s.remove(now, obj.(O)) })
	return nil
}

func (s store[O, F]) Replace(objs []any, version string) error {
	forms := make([]F, 0, len(objs))
	for _, obj := range objs {
		if o := obj.(*slim[F]); o.kept {
			forms = append(forms, o.form)
		}
	}
	s.loop.post(func(now time.Duration) { s.replace(now, forms, version) })
	return nil
}

func (s store[O, F]) Bookmark(version string) error {
	if s.bookmark != nil {
		s.loop.post(func(time.Duration) { s.bookmark(version) })
	}
	return nil
}

func (store[O, F]) Resync() error { return nil }

// Transformer makes the reflector gather the first list without what the agent
// does not keep: all of a Service that is not the operator's but the name.
func (s store[O, F]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if o, ok := obj.(O); ok {
			return s.slim(o), nil
		}
		return obj, nil
	}
}

func (s store[O, F]) slim(obj runtime.Object) runtime.Object {
	o := obj.(O)
	kept := &slim[F]{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}}
	kept.form, kept.kept = s.form(o)
	return kept
}

// slim is what is left of an object while a list is gathered: its name, and what
// the agent keeps of it, if it keeps any.
type slim[F any] struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	form F
	kept bool
}

// DeepCopyObject makes a slim object one that a reflector takes.
func (s *slim[F]) DeepCopyObject() runtime.Object {
	return new(*s)
}

// assignmentStore hands the one NodeReachability to the loop.
type assignmentStore struct {
	loop *loop
	// refusal is while that of an observer outside of the cluster is none for it.
	refusal *outage
}

func newAssignmentStore(l *loop) assignmentStore {
	return assignmentStore{l, &outage{action: "report as an observer outside of the cluster"}}
}

func (s assignmentStore) Add(obj any) error { return s.Update(obj) }

func (s assignmentStore) Update(obj any) error {
	reachability := obj.(*v1alpha1.NodeReachability)
	if s.loop.outside != "" && !s.fits(reachability) {
		s.loop.post(s.loop.unassign)
		return nil
	}
	a := assignmentOf(reachability)
	s.loop.post(func(now time.Duration) { s.loop.assign(now, a) })
	return nil
}

// fits reports whether a NodeReachability can have the report of an observer outside of
// the cluster, and logs why it cannot.
func (s assignmentStore) fits(reachability *v1alpha1.NodeReachability) bool {
	problem := unfit(reachability)
	s.refusal.note(s.loop.log, problem)
	return problem == nil
}

func (s assignmentStore) Delete(any) error {
	if s.loop.outside != "" {
		s.refusal.note(s.loop.log, missing(s.loop.outside))
	}
	s.loop.post(s.loop.unassign)
	return nil
}

func (s assignmentStore) Replace(objs []any, _ string) error {
	if len(objs) == 0 {
		return s.Delete(nil)
	}
	return s.Update(objs[0])
}

func (assignmentStore) Resync() error { return nil }
