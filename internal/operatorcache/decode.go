package operatorcache

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/listwatch"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// decodeApp reads an ExposedApp from its JSON, and trims it. If an older
// schema admitted a spec that Go cannot decode, the app is cached without a spec, and no
// other app is affected. A status that cannot be decoded is dropped: the operator writes
// another.
func decodeApp(body []byte) runtime.Object {
	app := &v1alpha1.ExposedApp{}
	problem := ""
	if err := utiljson.Unmarshal(body, app); err != nil {
		app, problem = readableApp(body)
	}
	trimApp(app)
	if problem != "" {
		workload.MarkUnreadable(app, problem)
	}
	return app
}

// readableApp returns what can be read of an ExposedApp that cannot be decoded as a
// whole, and what is wrong with its spec, if that is it.
func readableApp(body []byte) (app *v1alpha1.ExposedApp, problem string) {
	var sections struct {
		metav1.ObjectMeta `json:"metadata"`
		Spec              json.RawMessage `json:"spec"`
		Status            json.RawMessage `json:"status"`
	}
	// The API server decodes the metadata of every object itself.
	_ = utiljson.Unmarshal(body, &sections)
	app = &v1alpha1.ExposedApp{ObjectMeta: sections.ObjectMeta}
	if len(sections.Status) > 0 && utiljson.Unmarshal(sections.Status, &app.Status) != nil {
		app.Status = v1alpha1.ExposedAppStatus{ObservedGeneration: -1}
	}
	if len(sections.Spec) == 0 {
		return app, ""
	}
	field, err := listwatch.Culprit(sections.Spec, func(value json.RawMessage) error {
		return utiljson.Unmarshal(value, &v1alpha1.ExposedAppSpec{})
	})
	if err != nil {
		return app, fmt.Sprintf("spec%s: %v", field, err)
	}
	_ = utiljson.Unmarshal(sections.Spec, &app.Spec)
	return app, ""
}
