package gitops

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// health is a word of Argo CD.
type health string

const (
	healthy     health = "Healthy"
	progressing health = "Progressing"
	degraded    health = "Degraded"
	suspended   health = "Suspended"
)

// finding is what Argo CD shows of an object.
type finding struct {
	Status  health
	Message string
}

// Also of objects that the operator never leaves behind.
func TestHealthOfLittle(t *testing.T) {
	script := healthScript(t)
	metadata := map[string]any{"name": "web", "generation": int64(2)}
	for name, status := range map[string]any{
		"no status":            nil,
		"an empty one":         map[string]any{},
		"no conditions":        map[string]any{"observedGeneration": int64(2)},
		"null for conditions":  map[string]any{"observedGeneration": int64(2), "conditions": nil},
		"another tool's alone": map[string]any{"observedGeneration": int64(2), "conditions": []any{map[string]any{"type": "Synced"}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			found, err := runHealth(t.Context(), script, map[string]any{"metadata": metadata, "status": status})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.Status).To(Equal(progressing))
			g.Expect(found.Message).NotTo(BeEmpty())
		})
	}
}

// healthScript returns the script as Argo CD finds it in its configuration, once
// our component is in the kustomization that installs it.
func healthScript(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	g.Expect(assets).NotTo(BeEmpty(), "set it to what `go run ./hack/lab assets` prints")
	built, err := exec.CommandContext(t.Context(), filepath.Join(assets, "kubectl"), "kustomize", "testdata/argocd").Output()
	g.Expect(err).NotTo(HaveOccurred())
	var config corev1.ConfigMap
	g.Expect(yaml.UnmarshalStrict(built, &config)).To(Succeed())
	g.Expect(config.Namespace+"/"+config.Name).To(Equal("argocd/argocd-cm"), "Argo CD reads no other")
	g.Expect(config.Data).To(HaveKeyWithValue("url", "https://argocd.example.com"), "what was there stays")
	// What kubectl alone reads, go test does not know to have changed.
	for _, file := range []string{"kustomization.yaml", "health.lua"} {
		_, err := os.ReadFile(filepath.Join("../../config/argocd", file))
		g.Expect(err).NotTo(HaveOccurred())
	}
	const key = "resource.customizations.health.exposedapp.dev_ExposedApp"
	g.Expect(config.Data).To(HaveKey(key))
	return config.Data[key]
}

// runHealth runs a script the way that Argo CD does: within a second, with the
// object as the global obj, and with the libraries for packages, the base and
// tables. There is no string library. Of os there is the clock alone, which is
// left out here.
func runHealth(ctx context.Context, script string, object map[string]any) (finding, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return finding{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(script); err != nil {
		return finding{}, err
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return finding{}, fmt.Errorf("the script returns %s, not a table", state.Get(-1).Type())
	}
	return finding{
		Status:  health(lua.LVAsString(result.RawGetString("status"))),
		Message: lua.LVAsString(result.RawGetString("message")),
	}, nil
}

// luaValue turns what is decoded from JSON into what Lua works with.
func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		list := state.NewTable()
		for _, item := range value {
			list.Append(luaValue(state, item))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	}
	return lua.LNil
}
