package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// TestBenchmarksRun runs two benchmarks with next to nothing to do: whoever asks
// for figures must find that the code which takes them still works. These two
// need the most parts; make bench-short runs all of them, which takes minutes.
func TestBenchmarksRun(t *testing.T) {
	g := NewWithT(t)
	g.Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	program := filepath.Join(t.TempDir(), "bench")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Env = asMakeBuilds()
	output, err := build.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), "%s", output)

	for _, name := range []string{"converge", "writes"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			run := exec.CommandContext(t.Context(), program, "-short", "-run", "^"+name+"$")
			run.Env = asMakeBuilds()
			output, err := run.CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred(), "%s", output)
			g.Expect(string(output)).To(MatchRegexp(`(?m)^%s_\w+ -?[0-9.]+ `, name))
		})
	}
}

// asMakeBuilds is the environment in which the Makefile builds programs, so that
// what is compiled for them serves here too.
func asMakeBuilds() []string { return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath") }

func TestEveryGoalHasABenchmark(t *testing.T) {
	for name := range goals() {
		NewWithT(t).Expect(benchmarkOf(name)).NotTo(BeEmpty(), name)
	}
}

// benchmarkOf returns the benchmark with the longest name that a figure's begins
// with.
func benchmarkOf(figure string) string {
	longest := ""
	for _, b := range benchmarks() {
		if (figure == b.name || strings.HasPrefix(figure, b.name+"_")) && len(b.name) > len(longest) {
			longest = b.name
		}
	}
	return longest
}
