package ssa

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/workload"
	"github.com/exposedapp/exposedapp/test/applied"
	"github.com/exposedapp/exposedapp/test/gen"
)

// ownedApps are apps whose children have much and little in them.
func ownedApps() []*v1alpha1.ExposedApp {
	return []*v1alpha1.ExposedApp{
		gen.ExposedApp("web", gen.WithIdentity("9f3c", 1)),
		gen.ExposedApp("web", gen.WithIdentity("9f3c", 1), gen.WithNodePort(31000), gen.WithEverything),
	}
}

func TestDigest(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*appsv1.Deployment)
		want   bool
	}{
		"as it was": {func(*appsv1.Deployment) {}, true},
		"with what others add": {func(d *appsv1.Deployment) {
			d.Labels["team"] = "blue"
			d.OwnerReferences = append([]metav1.OwnerReference{{UID: "other"}}, d.OwnerReferences...)
			pod := &d.Spec.Template.Spec
			pod.SchedulerName = "mine"
			pod.Containers = append([]corev1.Container{{Name: "sidecar"}}, pod.Containers...)
			d.Status.Replicas = 3
		}, true},
		"another value":     {func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(7)) }, false},
		"a value that went": {func(d *appsv1.Deployment) { d.Spec.Replicas = nil }, false},
		"another in the list": {func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Args = append(d.Spec.Template.Spec.Containers[0].Args, "--more")
		}, false},
		"another selector": {func(d *appsv1.Deployment) { d.Spec.Selector.MatchLabels["more"] = "1" }, false},
		"another order": {func(d *appsv1.Deployment) {
			env := d.Spec.Template.Spec.Containers[0].Env
			env[0], env[1] = env[1], env[0]
		}, false},
		"an item twice": {func(d *appsv1.Deployment) {
			container := &d.Spec.Template.Spec.Containers[0]
			container.Env = append(container.Env, corev1.EnvVar{Name: container.Env[0].Name, Value: "other"})
		}, false},
		"another container": {func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Name = "other" }, false},
		"a field that was taken away": {func(d *appsv1.Deployment) {
			d.ManagedFields[1].FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)
		}, false},
		"fields of no known form": {func(d *appsv1.Deployment) {
			d.ManagedFields[1].FieldsV1 = metav1.NewFieldsV1(`{"f:spec":{"f:template":{"i:0":{"v:1":[]}}}}`)
		}, false},
		"fields applied by another": {func(d *appsv1.Deployment) { d.ManagedFields[1].Manager = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			wanted, live := workload.Deployment(ownedApps()[1]), &appsv1.Deployment{}
			g.Expect(applied.ReadInto(g, applied.Tree(g, wanted), applied.Fields(g, applied.Tree(g, wanted)), live)).To(Succeed())
			tc.change(live)
			g.Expect(WantedDigest(wanted)).NotTo(BeZero())
			same := Equal(WantedDigest(wanted))
			if !tc.want {
				same = Not(same)
			}
			g.Expect(OwnedDigest(live, NewFieldSets(), "")).To(same)
		})
	}
}

// Digests must not be equal where an extraction by client-go would show a difference.
// Objects and the fields that are owned of them are changed at random.
func TestDigestKeepsToExtraction(t *testing.T) {
	g := NewWithT(t)
	chance, read := rand.New(rand.NewPCG(1, 2)), NewFieldSets()
	said, extracted := map[bool]int{}, map[bool]int{}
	for range 3000 {
		app := ownedApps()[chance.IntN(2)]
		if chance.IntN(2) == 0 {
			compareOnce(g, chance, read, workload.Deployment(app), &appsv1.Deployment{}, appsv1ac.ExtractDeployment,
				func(*appsv1ac.DeploymentApplyConfiguration) {}, "", said, extracted)
		} else {
			compareOnce(g, chance, read, workload.Service(app, 31000), &corev1.Service{}, corev1ac.ExtractService,
				withoutNodePorts, "nodePort", said, extracted)
		}
	}
	g.Expect(said[true]).To(BeNumerically(">", 300))
	g.Expect(extracted[false]).To(BeNumerically(">", 300))
	g.Expect(said[true]).To(BeNumerically(">", extracted[true]*9/10), "most of what is as wanted has the digest of it")
}

func compareOnce[L client.Object, W any](
	g *WithT, chance *rand.Rand, read FieldSets,
	wanted W, live L, extract func(L, string) (W, error), apart func(W), leftOut string, said, extracted map[bool]int,
) {
	content := applied.Tree(g, wanted)
	fields := applied.Fields(g, applied.Tree(g, wanted))
	for range chance.IntN(3) {
		disturb(chance, content)
	}
	// A child is found by its name.
	for _, identity := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}} {
		value, _, _ := unstructured.NestedString(applied.Tree(g, wanted), identity...)
		if unstructured.SetNestedField(content, value, identity...) != nil {
			return
		}
	}
	if chance.IntN(4) == 0 {
		fields = withoutOne(chance, fields)
	}
	if applied.ReadInto(g, content, fields, live) != nil {
		return
	}
	found, err := extract(live, v1alpha1.OperatorName)
	if err == nil {
		apart(found)
	}
	apart(wanted)
	same := err == nil && equality.Semantic.DeepEqual(found, wanted)
	equal := OwnedDigest(live, read, leftOut) == WantedDigest(wanted)
	g.Expect(equal && !same).To(BeFalse(), "%v, owned %v", content, fields)
	said[equal]++
	extracted[same]++
}

// withoutNodePorts takes away what is compared by itself.
func withoutNodePorts(service *corev1ac.ServiceApplyConfiguration) {
	if service.Spec == nil {
		return
	}
	for i := range service.Spec.Ports {
		service.Spec.Ports[i].NodePort = nil
	}
}

// withoutOne returns all fields but one.
func withoutOne(chance *rand.Rand, fields *fieldpath.Set) *fieldpath.Set {
	paths := slices.Collect(fields.All())
	gone := paths[chance.IntN(len(paths))].Copy()
	return fields.Difference(fieldpath.NewSet(gone))
}

// disturb changes something, somewhere below.
func disturb(chance *rand.Rand, content map[string]any) {
	if len(content) == 0 {
		return
	}
	name := slices.Sorted(maps.Keys(content))[chance.IntN(len(content))]
	switch value := content[name].(type) {
	case map[string]any:
		if chance.IntN(10) > 0 {
			disturb(chance, value)
			return
		}
	case []any:
		i := chance.IntN(len(value))
		item, ok := value[i].(map[string]any)
		switch chance.IntN(4) {
		case 0:
			content[name] = slices.Concat(value, value[i:i+1])
		case 1:
			value[0], value[i] = value[i], value[0]
		default:
			if ok {
				disturb(chance, item)
			}
		}
		return
	case string:
		content[name] = value + "1"
		return
	case int64:
		content[name] = value + 1
		return
	}
	switch chance.IntN(2) {
	case 0:
		delete(content, name)
	default:
		content["added"+name] = "1"
	}
}
