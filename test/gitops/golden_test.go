// Package gitops holds every status that the operator can write against the
// code by which GitOps tools read it: kstatus, which Flux and Helm wait with, and
// the Lua of Argo CD.
package gitops

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/kstatus"
)

// goldenStatuses are written by the test of the function that makes statuses.
const goldenStatuses = "../../internal/appstatus/testdata/status"

// golden is an ExposedApp with a status of the operator.
type golden struct {
	object *unstructured.Unstructured
	app    *v1alpha1.ExposedApp
}

// has reports whether a condition is there and True.
func (s *golden) has(kind string) bool {
	return meta.IsStatusConditionTrue(s.app.Status.Conditions, kind)
}

// observed reports whether the status describes the newest generation.
func (s *golden) observed() bool {
	return s.app.Status.ObservedGeneration == s.app.Generation
}

// goldens returns the golden statuses by their names.
func goldens(t *testing.T) map[string]*golden {
	t.Helper()
	g := NewWithT(t)
	files, err := filepath.Glob(filepath.Join(goldenStatuses, "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).NotTo(BeEmpty())
	found := make(map[string]*golden, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		one := &golden{object: &unstructured.Unstructured{}, app: &v1alpha1.ExposedApp{}}
		g.Expect(yaml.Unmarshal(text, one.object)).To(Succeed())
		g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(one.object.Object, one.app)).To(Succeed())
		found[strings.TrimSuffix(filepath.Base(file), ".yaml")] = one
	}
	return found
}

// reading is what tools make of a status.
type reading struct {
	kstatus status.Status
	health  health
	// says is the condition whose message Argo CD shows, none where the message
	// is the script's own.
	says string
}

func TestReadings(t *testing.T) {
	statuses, wanted, script := goldens(t), readings(), healthScript(t)
	NewWithT(t).Expect(slices.Collect(maps.Keys(wanted))).To(ConsistOf(slices.Collect(maps.Keys(statuses))),
		"a story without a reading, or a reading without a story")
	for name, one := range statuses {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			want := wanted[name]
			g.Expect(kstatus.Of(one.object)).To(Equal(want.kstatus))

			got, err := runHealth(t.Context(), script, one.object.Object)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got.Status).To(Equal(want.health))
			if condition := meta.FindStatusCondition(one.app.Status.Conditions, want.says); condition != nil {
				g.Expect(got.Message).To(Equal(condition.Message))
			} else {
				g.Expect(want.says).To(BeEmpty(), "there is no such condition")
				g.Expect(got.Message).To(Equal("the operator has not seen this generation yet"))
			}
		})
	}
}

// What holds of every status, whatever the table above says of it.
func TestEveryReading(t *testing.T) {
	script := healthScript(t)
	for name, one := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ready := one.has(v1alpha1.ConditionReady)
			reconciling, stalled := one.has(v1alpha1.ConditionReconciling), one.has(v1alpha1.ConditionStalled)
			g.Expect(reconciling && stalled).To(BeFalse(), "never both")
			g.Expect(ready && stalled).To(BeFalse())

			result, err := kstatus.Of(one.object)
			g.Expect(err).NotTo(HaveOccurred())
			switch {
			case one.app.DeletionTimestamp != nil:
				g.Expect(result).To(Equal(kstatus.Terminating))
				// Argo CD asks no script about what is being deleted.
				return
			case !one.observed() || reconciling:
				g.Expect(result).To(Equal(kstatus.InProgress))
			case stalled:
				g.Expect(result).To(Equal(kstatus.Failed))
			default:
				current := result == kstatus.Current
				g.Expect(current).To(Equal(ready), "Ready is Current, and nothing else is")
				g.Expect(result).NotTo(Equal(kstatus.Failed), "tools go on to wait where nobody has to edit anything")
			}

			found, err := runHealth(t.Context(), script, one.object.Object)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.Message).NotTo(BeEmpty())
			well := found.Status == healthy
			g.Expect(well).To(Equal(ready && one.observed()))
			if result == kstatus.Failed {
				g.Expect(found.Status).To(Equal(degraded))
			}
			if !one.observed() {
				g.Expect(found.Status).To(Equal(progressing))
			}
		})
	}
}
