package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// crd is a CustomResourceDefinition as an API server works with it.
type crd struct {
	kind       string
	structural *schema.Structural
	fields     validation.SchemaValidator
	rules      *cel.Validator
	decoder    runtime.Decoder
}

// load reads a CRD of this project. Changes make it another one first.
func load(t *testing.T, name string, changes ...func(*apiextensionsv1.JSONSchemaProps)) *crd {
	t.Helper()
	g := NewWithT(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "exposedapp.dev_"+name+".yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	var written apiextensionsv1.CustomResourceDefinition
	g.Expect(yaml.UnmarshalStrict(text, &written)).To(Succeed())
	for _, change := range changes {
		change(written.Spec.Versions[0].Schema.OpenAPIV3Schema)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&written.Spec)
	definition := &apiextensions.CustomResourceDefinition{}
	g.Expect(apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(
		&written, definition, nil)).To(Succeed())
	// The schema of the one version is that of all.
	root := definition.Spec.Validation.OpenAPIV3Schema
	structural, err := schema.NewStructural(root)
	g.Expect(err).NotTo(HaveOccurred())
	fields, _, err := validation.NewSchemaValidator(root)
	g.Expect(err).NotTo(HaveOccurred())
	types := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(types)).To(Succeed())
	return &crd{
		kind: written.Spec.Names.Kind, structural: structural, fields: fields,
		rules:   cel.NewValidator(structural, true, celconfig.PerCallLimit),
		decoder: serializer.NewCodecFactory(types).UniversalDeserializer(),
	}
}

// object returns an object of the kind with a value, as JSON, in a place.
func (c *crd) object(where place, value string) string {
	return fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"name": "a"}, %s}`,
		v1alpha1.SchemeGroupVersion, c.kind, where.with(value))
}

// admit does with an object what an API server does before it stores one, and returns
// what is stored.
func (c *crd) admit(text string) (stored []byte, err error) {
	object := make(map[string]any)
	if err := utiljson.Unmarshal([]byte(text), &object); err != nil {
		return nil, err
	}
	pruning.Prune(object, c.structural, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(object, c.structural)
	defaulting.Default(object, c.structural)
	refused := validation.ValidateCustomResource(nil, object, c.fields)
	refused = append(refused, listtype.ValidateListSetsAndMaps(nil, c.structural, object)...)
	if len(refused) == 0 {
		refused, _ = c.rules.Validate(context.Background(), nil, c.structural, object, nil, celconfig.RuntimeCELCostBudget)
	}
	if err := refused.ToAggregate(); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// misread tells what goes wrong where an object that the API server admits is read, and
// whether it admits it.
func (c *crd) misread(text string) (admitted bool, err error) {
	stored, refusal := c.admit(text)
	if refusal != nil {
		return false, nil //nolint:nilerr // what is refused is not read
	}
	return true, c.read(stored)
}

// read reads an object as the clients of the operator and of the agents do.
func (c *crd) read(stored []byte) error {
	object, _, err := c.decoder.Decode(stored, nil, nil)
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if app, ok := object.(*v1alpha1.ExposedApp); ok {
		if _, err := metav1.LabelSelectorAsSelector(app.Spec.ExpectedNodes); err != nil {
			return fmt.Errorf("select nodes: %w", err)
		}
	}
	return nil
}
