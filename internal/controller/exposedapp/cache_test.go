package exposedapp

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/appstatus"
	"github.com/exposedapp/exposedapp/internal/operatorcache"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/internal/workload"
	"github.com/exposedapp/exposedapp/test/applied"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestTrimService(t *testing.T) {
	full := func(changes ...func(*metav1.ObjectMeta)) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: describedMeta(changes...),
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": "web"}, ClusterIP: "10.96.0.7", HealthCheckNodePort: 30003,
				Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: 30001}, {Port: 81}, {Port: 82, NodePort: 30002}},
			},
			Status: corev1.ServiceStatus{Conditions: []metav1.Condition{{Type: "x"}}},
		}
	}
	t.Run("of a foreign one only the node ports are kept", func(t *testing.T) {
		g := NewWithT(t)
		service := full(foreign)
		ports := workload.HeldPorts(service)
		asCached(g, service)
		g.Expect(service.Spec).To(Equal(corev1.ServiceSpec{
			HealthCheckNodePort: 30003, Ports: []corev1.ServicePort{{NodePort: 30001}, {NodePort: 30002}},
		}))
		g.Expect(workload.HeldPorts(service)).To(Equal(ports))
		g.Expect(service.Status).To(BeZero())
		expectIdentity(g, &service.ObjectMeta)
		g.Expect(service.ManagedFields).To(BeEmpty())
		g.Expect(service.Labels).To(BeEmpty())
		g.Expect(service.Annotations).To(BeEmpty())
	})
	t.Run("of who is behind it the controller alone is kept, and of a probe no more than there can be", func(t *testing.T) {
		for name, c := range map[string]struct {
			change func(*metav1.ObjectMeta)
			probe  string
			kept   string
		}{
			"our own":       {func(*metav1.ObjectMeta) {}, "{}", "{}"},
			"too long":      {func(*metav1.ObjectMeta) {}, strings.Repeat("x", 200_000), ""},
			"a foreign one": {foreign, "{}", ""},
		} {
			g := NewWithT(t)
			service := full(c.change)
			service.Annotations = map[string]string{v1alpha1.ProbeAnnotation: c.probe}
			controller := service.OwnerReferences[0]
			service.OwnerReferences = append([]metav1.OwnerReference{{Kind: "Other", Name: "x"}}, controller)
			service.Finalizers = []string{"example.com/x"}
			asCached(g, service)
			g.Expect(operatorcache.CompactMetaOf(service).Text).To(Equal(c.kept), name)
			g.Expect(service.OwnerReferences).To(HaveExactElements(controller), name)
			g.Expect(service.Finalizers).To(BeEmpty(), name)
		}
	})
	t.Run("of our own what tells it from another on its port is kept, and a digest", func(t *testing.T) {
		g := NewWithT(t)
		apart := ssa.WantedDigest(workload.Service(gen.ExposedApp("web", gen.WithIdentity("9f3c", 1), gen.WithNodePort(31000), gen.WithEverything), 0))
		wanted, service := workload.Service(gen.ExposedApp("web", gen.WithIdentity("9f3c", 1), gen.WithNodePort(31000), gen.WithEverything), 31000), &corev1.Service{}
		g.Expect(applied.ReadInto(g, applied.Tree(g, wanted), applied.Fields(g, applied.Tree(g, wanted)), service)).To(Succeed())
		service.Spec.IPFamilies, service.Spec.ClusterIP = []corev1.IPFamily{corev1.IPv4Protocol}, "10.96.0.7"
		untouched := service.DeepCopy()
		asCached(g, service)
		app := gen.ExposedApp("web")
		known := appState(app, &appstatus.Observed{Service: untouched})
		known.Service.Probe = untouched.Annotations[v1alpha1.ProbeAnnotation]
		g.Expect(appState(app, &appstatus.Observed{Service: service})).To(Equal(known))
		g.Expect(workload.HeldPorts(service)).To(Equal(workload.HeldPorts(untouched)))
		g.Expect(workload.WantedPort(app, service)).To(Equal(workload.WantedPort(app, untouched)))
		g.Expect(operatorcache.CompactMetaOf(service).Digest).To(Equal(apart), "the node port is compared by itself")
		g.Expect(service.Spec.ClusterIP).To(BeEmpty())
		once := service.DeepCopy()
		asCached(g, service)
		g.Expect(service).To(Equal(once), "an informer may trim it again")
	})
}

func TestTrimDeployment(t *testing.T) {
	full := func(changes ...func(*metav1.ObjectMeta)) *appsv1.Deployment {
		deployment := gen.RolledOut(3)
		deployment.ObjectMeta = describedMeta(changes...)
		return deployment
	}
	t.Run("of a foreign one only the identity is kept", func(t *testing.T) {
		g := NewWithT(t)
		deployment := full(foreign)
		asCached(g, deployment)
		g.Expect(deployment.Spec).To(BeZero())
		g.Expect(deployment.Status).To(BeZero())
		expectIdentity(g, &deployment.ObjectMeta)
	})
	t.Run("of our own how many pods there are is kept, and a digest", func(t *testing.T) {
		g := NewWithT(t)
		wanted, live := workload.Deployment(gen.ExposedApp("web", gen.WithIdentity("9f3c", 1), gen.WithNodePort(31000), gen.WithEverything)), &appsv1.Deployment{}
		g.Expect(applied.ReadInto(g, applied.Tree(g, wanted), applied.Fields(g, applied.Tree(g, wanted)), live)).To(Succeed())
		for _, change := range []func(*appsv1.Deployment){
			func(*appsv1.Deployment) {}, gen.Unavailable, gen.Paused,
			func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 2 },
			gen.Progressing(corev1.ConditionTrue, "ReplicaSetUpdated"), gen.Progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded"),
			func(d *appsv1.Deployment) {
				d.Status.Conditions[0] = appsv1.DeploymentCondition{Type: appsv1.DeploymentReplicaFailure, Message: "quota"}
			},
		} {
			deployment := gen.RolledOut(3, change)
			deployment.ObjectMeta, deployment.Spec.Template = *live.ObjectMeta.DeepCopy(), live.Spec.Template
			untouched := deployment.DeepCopy()
			asCached(g, deployment)
			for _, replicas := range []int32{1, 3} {
				app := gen.ExposedApp("web", gen.WithReplicas(replicas))
				g.Expect(appstatus.Of(app, &appstatus.Observed{Deployment: deployment}, gen.At(0))).
					To(Equal(appstatus.Of(app, &appstatus.Observed{Deployment: untouched}, gen.At(0))))
			}
			g.Expect(operatorcache.CompactMetaOf(deployment)).To(Equal(operatorcache.CompactMeta{Digest: ssa.OwnedDigest(untouched, ssa.NewFieldSets(), "")}))
			g.Expect(deployment.Spec.Template).To(BeZero())
			once := deployment.DeepCopy()
			asCached(g, deployment)
			g.Expect(deployment).To(Equal(once), "an informer may trim it again")
		}
	})
}

func TestTrimNode(t *testing.T) {
	full := func(minute int) *corev1.Node {
		node := gen.Node("a", "10.0.0.1", "fd00::1")
		node.UID, node.Labels = "11ee", map[string]string{"zone": "x"}
		node.Annotations = map[string]string{"heartbeat": gen.At(minute).String()}
		node.Spec.PodCIDR = "10.1.0.0/24"
		node.Status.Images = []corev1.ContainerImage{{SizeBytes: int64(minute)}}
		node.Status.Conditions[0].LastTransitionTime = gen.At(0)
		node.Status.Conditions[0].LastHeartbeatTime = gen.At(minute)
		node.Status.Conditions[0].Message = "kubelet is posting ready status"
		node.Status.Conditions = append(node.Status.Conditions,
			corev1.NodeCondition{Type: corev1.NodeDiskPressure, LastHeartbeatTime: gen.At(minute)})
		return node
	}
	t.Run("what the rules need is kept", func(t *testing.T) {
		g := NewWithT(t)
		node := full(1)
		node.DeletionTimestamp = new(gen.At(5))
		asCached(g, node)
		untouched := full(1)
		untouched.DeletionTimestamp = new(gen.At(5))
		g.Expect(nodesOf([]corev1.Node{*node}, nil)).To(Equal(nodesOf([]corev1.Node{*untouched}, nil)))
		g.Expect(node.UID).To(Equal(untouched.UID), "it owns the node's report")
	})
	t.Run("a heartbeat makes no difference", func(t *testing.T) {
		g := NewWithT(t)
		before, after := full(1), full(2)
		g.Expect(nodeChanged(before, after, nil)).To(BeFalse())
		asCached(g, before)
		asCached(g, after)
		g.Expect(before).To(Equal(after))
	})
	for name, change := range map[string]func(*corev1.Node){
		"an address":      func(node *corev1.Node) { node.Status.Addresses[0].Address = "10.0.0.9" },
		"not ready":       func(node *corev1.Node) { node.Status.Conditions[0].Status = corev1.ConditionFalse },
		"ready once more": func(node *corev1.Node) { node.Status.Conditions[0].LastTransitionTime = gen.At(3) },
		"on its way out":  func(node *corev1.Node) { node.DeletionTimestamp = new(gen.At(3)) },
		"a label":         func(node *corev1.Node) { node.Labels["zone"] = "y" },
	} {
		t.Run("a change makes one: "+name, func(t *testing.T) {
			g := NewWithT(t)
			before, after := full(1), full(1)
			change(after)
			asCached(g, before)
			asCached(g, after)
			g.Expect(nodeChanged(before, after, nil)).To(BeTrue())
		})
	}
}

func TestTrimEndpointSlice(t *testing.T) {
	g := NewWithT(t)
	full := func() *discoveryv1.EndpointSlice {
		slice := slicesOf("IPv6", endpoint("a", discoveryv1.EndpointConditions{}),
			endpoint("b", discoveryv1.EndpointConditions{Ready: new(false)}))[0]
		slice.ObjectMeta = describedMeta()
		slice.Labels[discoveryv1.LabelServiceName] = "web"
		slice.Ports = []discoveryv1.EndpointPort{{Name: new("http")}}
		return slice
	}
	slice, untouched := full(), full()
	asCached(g, slice)
	g.Expect(endpointsOf([]*discoveryv1.EndpointSlice{slice})).
		To(Equal(endpointsOf([]*discoveryv1.EndpointSlice{untouched})))
	g.Expect(requestOfSlice(t.Context(), slice)).To(HaveExactElements(HaveField("Name", "web")))
	g.Expect(serviceKey(slice)).To(HaveExactElements("shop/web"))
	g.Expect(slice.Endpoints).To(HaveEach(HaveField("Addresses", BeEmpty())))
	g.Expect(slice.Ports).To(BeEmpty())
	g.Expect(slice.ManagedFields).To(BeEmpty())
}

func TestTrim(t *testing.T) {
	g := NewWithT(t)
	whole := []client.Object{
		&appsv1.Deployment{ObjectMeta: describedMeta()}, &corev1.Service{ObjectMeta: describedMeta()},
		&corev1.Node{ObjectMeta: describedMeta()}, &discoveryv1.EndpointSlice{ObjectMeta: describedMeta()},
	}
	for _, object := range whole {
		g.Expect(operatorcache.Transform()(object)).To(BeIdenticalTo(object))
		g.Expect(object.GetManagedFields()).To(BeEmpty(), "%T", object)
	}
	gone := toolscache.DeletedFinalStateUnknown{Key: "a", Obj: whole[0]}
	g.Expect(operatorcache.Transform()(gone)).To(Equal(gone), "a tombstone passes")
}

// asCached makes what the cache keeps of an object.
func asCached(g *WithT, object any) {
	_, err := operatorcache.Transform()(object)
	g.Expect(err).NotTo(HaveOccurred())
}

// operatorEntry is the entry of what the operator applied.
var operatorEntry = metav1.ManagedFieldsEntry{Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply}

// describedMeta is the metadata of a child, with the managed fields of many.
func describedMeta(changes ...func(*metav1.ObjectMeta)) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Namespace: "shop", Name: "web", UID: "77aa", ResourceVersion: "42", Generation: 2,
		CreationTimestamp: gen.At(0), DeletionTimestamp: new(gen.At(1)),
		Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"note": "x"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp", Name: "web", UID: "9f3c", Controller: new(true)}},
		ManagedFields: []metav1.ManagedFieldsEntry{
			{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply},
			operatorEntry,
			{Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationUpdate},
			{Manager: v1alpha1.OperatorName, Operation: metav1.ManagedFieldsOperationApply, Subresource: "status"},
		},
	}
	for _, change := range changes {
		change(&meta)
	}
	return meta
}

// foreign is the metadata of an object that somebody else made and owns.
func foreign(meta *metav1.ObjectMeta) {
	meta.OwnerReferences[0].Kind = "Gateway"
	meta.ManagedFields = meta.ManagedFields[:1]
}

// expectIdentity checks what tells who an object is and whether it will stay.
func expectIdentity(g *WithT, got *metav1.ObjectMeta) {
	want := describedMeta(foreign)
	g.Expect(got.Namespace + "/" + got.Name).To(Equal("shop/web"))
	g.Expect(got.UID).To(Equal(want.UID))
	g.Expect(got.ResourceVersion).To(Equal(want.ResourceVersion))
	g.Expect(got.OwnerReferences).To(Equal(want.OwnerReferences))
	g.Expect(got.DeletionTimestamp).To(Equal(want.DeletionTimestamp))
}
