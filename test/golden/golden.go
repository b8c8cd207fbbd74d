// Package golden compares what a test made with a file that a person has looked at. go
// test -update writes the files.
package golden

import (
	"flag"
	"os"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

//nolint:gochecknoglobals // A flag is defined before a test runs.
var update = flag.Bool("update", false, "write the golden files")

// Match compares objects with a file of YAML documents.
func Match(g *WithT, path string, objects ...any) {
	var text []byte
	for _, object := range objects {
		document, err := yaml.Marshal(object)
		g.Expect(err).NotTo(HaveOccurred())
		text = append(append(text, "---\n"...), document...)
	}
	if *update {
		g.Expect(os.WriteFile(path, text, 0o644)).To(Succeed())
	}
	golden, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred(), "go test -update writes it")
	g.Expect(string(text)).To(Equal(string(golden)), "go test -update, where this is meant")
}
