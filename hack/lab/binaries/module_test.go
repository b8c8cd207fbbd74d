package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadKnowsEveryToolOfTheModules(t *testing.T) {
	catalog, err := Load("../../modules")
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{}
	for _, program := range catalog {
		built[program.importPath()] = true
		if program.Module.Version == "" {
			t.Errorf("%s has no version", program.Name)
		}
	}
	files, err := filepath.Glob("../../modules/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, tools, _ := strings.Cut(string(content), "tool ")
		tools, _, _ = strings.Cut(strings.TrimPrefix(tools, "("), ")")
		tools, _, _ = strings.Cut(tools, "\n\n")
		for tool := range strings.FieldsSeq(tools) {
			if !built[tool] {
				t.Errorf("%s has the tool %s, which nothing builds", file, tool)
			}
		}
	}
}

func TestKubernetesVersion(t *testing.T) {
	got := kubernetesVersion("v1.36.3")
	for _, want := range []string{"gitVersion=v1.36.3", "gitMajor=1 ", "gitMinor=36"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestProgramKey(t *testing.T) {
	const gomod = "module m\n\nrequire example.com/up v1.0.0\n"
	program := func(gosum string, flags func(string) string) Program {
		dir := t.TempDir()
		for name, content := range map[string]string{"go.mod": gomod, "go.sum": gosum} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		module, err := load(dir, "example.com/up", flags)
		if err != nil {
			t.Fatal(err)
		}
		return Program{Module: module, Name: "up"}
	}
	base := program("a", unstamped).Key()
	if base != program("a", unstamped).Key() {
		t.Error("the key must not depend on the checkout's path")
	}
	if base == program("b", unstamped).Key() {
		t.Error("the key must depend on go.sum")
	}
	if base == program("a", containerdVersion).Key() {
		t.Error("the key must depend on the build's flags")
	}
}
