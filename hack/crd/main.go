// Crd adds bounds to the CRDs that controller-gen wrote: those on fields of Kubernetes' own
// types, which carry no markers of this project.
package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

//go:embed bounds.yaml
var written []byte

// node is a part of a CRD, or of a schema in one.
type node = map[string]any

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crd DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "crd:", err)
		os.Exit(1)
	}
}

// run adds the bounds to the CRDs in a directory.
func run(directory string) error {
	// By plural and path.
	var bounds map[string]map[string]node
	if err := yaml.UnmarshalStrict(written, &bounds); err != nil {
		return fmt.Errorf("read bounds.yaml: %w", err)
	}
	for _, plural := range slices.Sorted(maps.Keys(bounds)) {
		file := filepath.Join(directory, "exposedapp.dev_"+plural+".yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		bounded, err := add(bounds[plural], text)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(file, bounded, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// add returns a CRD with the bounds on the fields at their paths.
func add(bounds map[string]node, text []byte) ([]byte, error) {
	whole, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	var object node
	// Whole numbers stay such.
	if err := utiljson.Unmarshal(whole, &object); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(bounds)) {
		field, err := find(schemaOf(object), path)
		if err != nil {
			return nil, err
		}
		maps.Copy(field, bounds[path])
	}
	if whole, err = json.Marshal(object); err != nil {
		return nil, err
	}
	text, err = yaml.JSONToYAML(whole)
	return append([]byte("---\n"), text...), err
}

// schemaOf returns the schema of the one version of a CRD, nil if there is none.
func schemaOf(crd node) node {
	spec, _ := crd["spec"].(node)
	versions, _ := spec["versions"].([]any)
	if len(versions) != 1 {
		return nil
	}
	version, _ := versions[0].(node)
	schema, _ := version["schema"].(node)
	root, _ := schema["openAPIV3Schema"].(node)
	return root
}

// find returns the schema at a path.
func find(schema node, path string) (node, error) {
	steps := strings.NewReplacer("[]", ".[]", "{}", ".{}").Replace(path)
	for step := range strings.SplitSeq(steps, ".") {
		switch step {
		case "[]":
			schema, _ = schema["items"].(node)
		case "{}":
			schema, _ = schema["additionalProperties"].(node)
		default:
			properties, _ := schema["properties"].(node)
			schema, _ = properties[step].(node)
		}
		if schema == nil {
			return nil, fmt.Errorf("bounds.yaml names %s, which is not there from %q on", path, step)
		}
	}
	return schema, nil
}
