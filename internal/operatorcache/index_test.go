package operatorcache

import (
	"strconv"
	"testing"

	. "github.com/onsi/gomega"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
)

// byNodePort finds the apps that ask for a node port, as in the cache of an operator.
func byNodePort(g *WithT, apps ...*v1alpha1.ExposedApp) Index[*v1alpha1.ExposedApp] {
	objects := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{
		"nodePort": func(object any) ([]string, error) { return nodePorts(object.(*v1alpha1.ExposedApp)), nil },
	})
	for _, app := range apps {
		g.Expect(objects.Add(app)).To(Succeed())
	}
	return Index[*v1alpha1.ExposedApp]{objects, "nodePort"}
}

func TestLookup(t *testing.T) {
	g := NewWithT(t)
	a, b := gen.ExposedApp("a", gen.WithNodePort(30001)), gen.ExposedApp("b", gen.WithNodePort(30001))
	found := byNodePort(g, a, b, gen.ExposedApp("c", gen.WithNodePort(30002)), gen.ExposedApp("d"))
	g.Expect(found.Find("30001")).To(ConsistOf(BeIdenticalTo(a), BeIdenticalTo(b)), "those of the cache, no copies")
	g.Expect(found.Find("30003")).To(BeEmpty())

	found.name = "unknown"
	_, err := found.Find("30001")
	g.Expect(err).To(MatchError(ContainSubstring("look up by unknown")))
}

// nodePorts returns the node port that an app asks for, if any.
func nodePorts(app *v1alpha1.ExposedApp) []string {
	if app.Spec.NodePort == nil {
		return nil
	}
	return []string{strconv.Itoa(int(*app.Spec.NodePort))}
}
