package appstatus

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/golden"
)

// A statusStory leads to an ExposedApp with the status that the operator writes,
// which other tests show to the tools that read it.
type statusStory struct {
	options []gen.Option
	// earlier is what was observed of the generation before this one, nil for an
	// app that is new.
	earlier *Observed
	// seen is what was observed of this generation, nil where the operator has
	// not looked yet.
	seen *Observed
	// again is what was observed of it the next time, nil for no next time.
	again *Observed
	// deleting is whether somebody deletes the app after that.
	deleting bool
}

// goldenStatuses is where the stories end: one file for each.
var goldenStatuses = filepath.Join("testdata", "status")

// Every story is a golden file, testdata/status/<name>.yaml.
func TestGoldenStatuses(t *testing.T) {
	var files []string
	for name, story := range statusStories() {
		path := filepath.Join(goldenStatuses, name+".yaml")
		files = append(files, path)
		t.Run(name, func(t *testing.T) {
			golden.Match(NewWithT(t), path, story.tell())
		})
	}
	g := NewWithT(t)
	found, err := filepath.Glob(filepath.Join(goldenStatuses, "*"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(ConsistOf(files), "a file without a story")
}

// tell returns how the story ends.
func (s *statusStory) tell() *v1alpha1.ExposedApp {
	app := gen.ExposedApp("web", append([]gen.Option{gen.WithReplicas(3), gen.WithIdentity("", 1)}, s.options...)...)
	app.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "ExposedApp"}
	if s.earlier != nil {
		app.Status = Of(app, s.earlier, gen.At(0))
		app.Generation++
	}
	for i, seen := range []*Observed{s.seen, s.again} {
		if seen != nil {
			app.Status = Of(app, seen, gen.At(i+1))
		}
	}
	if s.deleting {
		app.DeletionTimestamp = new(gen.At(3))
	}
	// What a status does not depend on would only be in the reader's way.
	app.Spec.App = v1alpha1.AppSpec{Replicas: app.Spec.App.Replicas}
	app.Spec.Service, app.Spec.Probe = v1alpha1.ServiceSpec{}, v1alpha1.ProbeSpec{}
	return app
}

// No condition and no reason is left out of the stories, and none is in them
// that the API does not know.
func TestGoldenStatusesAreComplete(t *testing.T) {
	g := NewWithT(t)
	kinds, reasons := map[string]bool{}, map[string]bool{}
	for _, story := range statusStories() {
		told := story.tell().Status
		for _, condition := range told.Conditions {
			kinds[condition.Type], reasons[condition.Reason] = true, true
		}
		for _, row := range told.Nodes {
			if row.Reason != "" {
				reasons[row.Reason] = true
			}
		}
	}
	g.Expect(slices.Collect(maps.Keys(kinds))).To(ConsistOf(declared(g, "Condition")))
	g.Expect(slices.Collect(maps.Keys(reasons))).To(ConsistOf(declared(g, "Reason")))
}

// declared returns the values of the API's constants whose names start with a
// word, from their source.
func declared(g *WithT, word string) []string {
	path := filepath.Join("..", "..", "api", "v1alpha1", "conditions.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	g.Expect(err).NotTo(HaveOccurred())
	var values []string
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, word) {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		g.Expect(err).NotTo(HaveOccurred())
		values = append(values, value)
		return true
	})
	g.Expect(values).NotTo(BeEmpty())
	return values
}
