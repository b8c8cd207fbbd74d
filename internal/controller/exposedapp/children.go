package exposedapp

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/portclaims"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/internal/ssa/repair"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// The kinds of an app's children.
const (
	kindDeployment = "Deployment"
	kindService    = "Service"
)

// children brings the children of apps to what is declared. It makes a request only when
// something differs.
type children struct {
	client client.Client
	// direct reads from the API server, and does what the cache need not show.
	direct client.Client
	clock  clock.PassiveClock

	claims    *portclaims.Claims
	contests  *contests
	memo      *ssa.Memo
	decisions *decisions
}

func newChildren(cached, direct client.Client, claims *portclaims.Claims, now clock.PassiveClock) *children {
	return &children{
		client: cached, direct: direct, clock: now,
		claims: claims, contests: newContests(), memo: ssa.NewMemo(), decisions: newDecisions(),
	}
}

// applyDeployment brings the Deployment to what is declared.
func (c *children) applyDeployment(ctx context.Context, app *v1alpha1.ExposedApp) *applyerror.Error {
	live, problem := getToApply(ctx, c.client, app, kindDeployment, &appsv1.Deployment{})
	if problem != nil || workload.Suspended(app) {
		return problem
	}
	key := ssa.ChildKey{App: client.ObjectKeyFromObject(app), Kind: kindDeployment}
	asked := question{Declaration: ssa.Declaration{App: app.UID, Generation: app.Generation}}
	var uid types.UID
	if live != nil {
		uid, asked.version = live.UID, live.ResourceVersion
		wanted := func() ssa.Digest { return ssa.WantedDigest(workload.Deployment(app)) }
		if c.memo.AsDeclared(key, asked.Declaration, operatorcache.CompactMetaOf(live).Digest, live.ResourceVersion, wanted) {
			return nil
		}
	}
	if problem := c.ask(key, asked, func() (*string, *applyerror.Error) {
		answer, err := c.deployment(app).Bring(ctx, uid)
		if err != nil {
			return nil, applyerror.Of(kindDeployment, err)
		}
		return answer.ResourceVersion, nil
	}); problem != nil {
		return problem
	}
	c.contests.record(live, ptr.Deref(app.Spec.App.Replicas, 1), c.clock.Now())
	return nil
}

// applyService brings the Service to what is declared.
func (c *children) applyService(ctx context.Context, app *v1alpha1.ExposedApp) *applyerror.Error {
	live, problem := getToApply(ctx, c.client, app, kindService, &corev1.Service{})
	if problem != nil || workload.Suspended(app) {
		return problem
	}
	nodePort, problem := c.claims.PortFor(ctx, app, live)
	if problem != nil {
		return problem
	}
	key := ssa.ChildKey{App: client.ObjectKeyFromObject(app), Kind: kindService}
	asked := question{Declaration: ssa.Declaration{App: app.UID, Generation: app.Generation}, nodePort: nodePort}
	var uid types.UID
	if live != nil {
		uid, asked.version = live.UID, live.ResourceVersion
		wanted := func() ssa.Digest { return ssa.WantedDigest(workload.Service(app, 0)) }
		if nodePort == workload.HeldPort(live) &&
			c.memo.AsDeclared(key, asked.Declaration, operatorcache.CompactMetaOf(live).Digest, live.ResourceVersion, wanted) {
			return nil
		}
	}
	return c.ask(key, asked, func() (*string, *applyerror.Error) {
		answer, err := c.service(app, nodePort).Bring(ctx, uid)
		if err != nil {
			return nil, applyerror.OfService(app, nodePort, err)
		}
		return answer.ResourceVersion, nil
	})
}

// ask brings a child to what is declared, unless the API server decided against that. apply
// returns the version that the child has then.
func (c *children) ask(key ssa.ChildKey, asked question, apply func() (version *string, _ *applyerror.Error)) *applyerror.Error {
	if problem := c.decisions.on(key, asked, c.clock.Now()); problem != nil {
		return problem
	}
	version, problem := apply()
	if problem := c.decisions.note(key, asked, problem, c.clock.Now()); problem != nil {
		return problem
	}
	c.memo.Applied(key, asked.Declaration, version)
	return nil
}

// forget forgets the children of an app that is gone.
func (c *children) forget(app types.NamespacedName) {
	for _, kind := range []string{kindDeployment, kindService} {
		c.memo.Forget(ssa.ChildKey{App: app, Kind: kind})
		c.decisions.forget(ssa.ChildKey{App: app, Kind: kind})
	}
}

func (c *children) deployment(
	app *v1alpha1.ExposedApp,
) *repair.Child[*appsv1ac.DeploymentApplyConfiguration, *appsv1.Deployment] {
	wanted := func() *appsv1ac.DeploymentApplyConfiguration { return workload.Deployment(app) }
	return &repair.Child[*appsv1ac.DeploymentApplyConfiguration, *appsv1.Deployment]{
		Client:     c.client,
		Direct:     c.direct,
		APIVersion: appsv1.SchemeGroupVersion.String(),
		Key:        client.ObjectKeyFromObject(app),
		Blank:      func() *appsv1.Deployment { return &appsv1.Deployment{} },
		Wanted:     wanted,
		Fresh:      wanted,
		Conflicts: func(live *appsv1.Deployment) *fieldpath.Set {
			return workload.DeploymentConflicts(live, app, ssa.OwnFields(live))
		},
		Tolerated:   func(fieldpath.Path) bool { return false },
		Propagation: func(live *appsv1.Deployment) metav1.DeletionPropagation { return workload.PodPropagation(live, app) },
	}
}

func (c *children) service(
	app *v1alpha1.ExposedApp, nodePort int32,
) *repair.Child[*corev1ac.ServiceApplyConfiguration, *corev1.Service] {
	return &repair.Child[*corev1ac.ServiceApplyConfiguration, *corev1.Service]{
		Client:      c.client,
		Direct:      c.direct,
		APIVersion:  corev1.SchemeGroupVersion.String(),
		Key:         client.ObjectKeyFromObject(app),
		Blank:       func() *corev1.Service { return &corev1.Service{} },
		Wanted:      func() *corev1ac.ServiceApplyConfiguration { return workload.Service(app, nodePort) },
		Fresh:       func() *corev1ac.ServiceApplyConfiguration { return workload.Service(app, 0) },
		Conflicts:   func(live *corev1.Service) *fieldpath.Set { return workload.ServiceConflicts(live, app, nodePort) },
		Tolerated:   workload.OthersServicePort(app),
		Propagation: func(*corev1.Service) metav1.DeletionPropagation { return metav1.DeletePropagationBackground },
	}
}

// getToApply reads a child that is to be brought to what is declared. It returns an
// error for one that is being deleted as well.
func getToApply[T client.Object](
	ctx context.Context, reader client.Reader, app *v1alpha1.ExposedApp, kind string, into T,
) (child T, _ *applyerror.Error) {
	child, problem := get(ctx, reader, app, kind, into)
	if problem == nil && !workload.Suspended(app) && into.GetDeletionTimestamp() != nil {
		return child, applyerror.NameOccupied(kind, app.Namespace, app.Name, "is being deleted")
	}
	return child, problem
}

// get reads a child from the cache. It returns nil for one that does not exist,
// and an error for one that is somebody else's.
func get[T client.Object](
	ctx context.Context, reader client.Reader, app *v1alpha1.ExposedApp, kind string, into T,
) (child T, _ *applyerror.Error) {
	switch err := reader.Get(ctx, client.ObjectKeyFromObject(app), into); {
	case apierrors.IsNotFound(err):
		return child, nil
	case err != nil:
		return child, applyerror.Of(kind, fmt.Errorf("read it from the cache: %w", err))
	case metav1.IsControlledBy(into, app):
		return into, nil
	case into.GetDeletionTimestamp() != nil:
		return child, applyerror.NameOccupied(kind, app.Namespace, app.Name, "is somebody else's and is being deleted")
	case workload.OfFormerApp(into, app):
		return child, applyerror.NameOccupied(kind, app.Namespace, app.Name, "is of a former ExposedApp of this name, and about to be deleted")
	default:
		return child, applyerror.NameConflict(kind, app.Namespace, app.Name)
	}
}

// decisions remembers what the API server decided against, so that it is not asked the
// same at every reconciliation.
type decisions struct {
	mu   sync.Mutex
	made map[ssa.ChildKey]decision
}

// question is what the API server is asked: to bring a child of a version, or none, to
// what is declared.
type question struct {
	ssa.Declaration
	nodePort int32
	version  string
}

// decision is what it decided, and until when that is not asked again.
type decision struct {
	question
	problem *applyerror.Error
	until   time.Time
}

func newDecisions() *decisions { return &decisions{made: make(map[ssa.ChildKey]decision)} }

// on returns the error that still answers a question, nil where it has to be asked.
func (d *decisions) on(of ssa.ChildKey, asked question, now time.Time) *applyerror.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if made := d.made[of]; made.question == asked && now.Before(made.until) {
		return made.problem
	}
	return nil
}

// note notes the API server's answer to a question, and returns it. One that may be
// another at the next try is no decision.
func (d *decisions) note(of ssa.ChildKey, asked question, answer *applyerror.Error, now time.Time) *applyerror.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if answer.Pause() == 0 {
		delete(d.made, of)
	} else {
		d.made[of] = decision{question: asked, problem: answer, until: now.Add(answer.RetryAfter)}
	}
	return answer
}

// forget forgets a child.
func (d *decisions) forget(of ssa.ChildKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.made, of)
}
