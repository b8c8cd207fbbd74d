package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/nodeport"
)

func mustPorts(text string) nodeport.Set {
	ports, err := nodeport.Parse(text)
	if err != nil {
		panic(err)
	}
	return ports
}

// TestMistake: a status is right if it says of every node what the table says.
func TestMistake(t *testing.T) {
	right := func(silenced, gone string) *v1alpha1.ExposedApp {
		app := &v1alpha1.ExposedApp{Status: v1alpha1.ExposedAppStatus{
			NodePort:     30001,
			Reachability: &v1alpha1.ReachabilitySummary{Expected: 3, Reachable: 3},
			Conditions:   []metav1.Condition{{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue}},
		}}
		for _, node := range []string{"a", "b", "c"} {
			row := v1alpha1.NodeVerdict{Node: node, Expected: node != gone, State: v1alpha1.NodeReachable}
			if node == silenced {
				row.State = v1alpha1.NodeUnreachable
				app.Status.Reachability.Reachable--
				app.Status.Conditions[0].Status = metav1.ConditionFalse
			}
			if node == gone {
				app.Status.Reachability.Expected--
				app.Status.Reachability.Reachable--
			}
			app.Status.Nodes = append(app.Status.Nodes, row)
		}
		return app
	}
	with := func(silenced, gone string, change func(*v1alpha1.ExposedAppStatus)) *v1alpha1.ExposedApp {
		app := right(silenced, gone)
		change(&app.Status)
		return app
	}
	for name, tc := range map[string]struct {
		silenced, gone string
		app            *v1alpha1.ExposedApp
		mistake        string
	}{
		"all is well":        {app: right("", "")},
		"a node is silent":   {silenced: "b", app: right("b", "")},
		"a node is gone":     {gone: "c", app: right("", "c")},
		"no status":          {app: &v1alpha1.ExposedApp{}, mistake: "not 3/3"},
		"not noticed":        {silenced: "b", app: right("", ""), mistake: "not 2/3"},
		"not mended":         {app: right("b", ""), mistake: "not 3/3"},
		"still expected":     {gone: "c", app: right("", ""), mistake: "not 2/2"},
		"the wrong node":     {silenced: "b", app: right("a", ""), mistake: "a is called Unreachable"},
		"the wrong one gone": {gone: "c", app: right("", "a"), mistake: "a is called expected=false"},
		"a row is missing": {app: with("", "", func(s *v1alpha1.ExposedAppStatus) {
			s.Nodes = s.Nodes[:2]
		}), mistake: "2 nodes, not 3"},
		"a row is left out": {app: with("", "", func(s *v1alpha1.ExposedAppStatus) {
			s.Nodes, s.NodesOmitted = s.Nodes[:2], 1
		})},
		"the worst is left out": {silenced: "c", app: with("c", "", func(s *v1alpha1.ExposedAppStatus) {
			s.Nodes, s.NodesOmitted = s.Nodes[:2], 1
		}), mistake: "of 1 unreachable nodes 0 are listed"},
		"the condition lags": {app: with("", "", func(s *v1alpha1.ExposedAppStatus) {
			s.Conditions[0].Status = metav1.ConditionFalse
		}), mistake: "the condition"},
	} {
		t.Run(name, func(t *testing.T) {
			table := truth{
				nodes: []string{"a", "b", "c"}, gone: map[string]bool{tc.gone: true},
				silenced: map[string]bool{tc.silenced: true}, dead: map[int32]bool{30002: true},
			}
			mistake := table.mistake(tc.app)
			if tc.mistake == "" {
				NewWithT(t).Expect(mistake).To(BeEmpty())
			} else {
				NewWithT(t).Expect(mistake).To(ContainSubstring(tc.mistake))
			}
		})
	}
}

func TestPeak(t *testing.T) {
	g := NewWithT(t)
	at := func(seconds ...float64) []request {
		var requests []request
		for _, s := range seconds {
			requests = append(requests, request{at: time.Unix(0, 0).Add(time.Duration(s * float64(time.Second)))})
		}
		return requests
	}
	g.Expect(peak(nil)).To(BeZero())
	g.Expect(peak(at(3))).To(BeNumerically("~", 0.1))
	g.Expect(peak(at(30, 0, 1, 2, 9.9, 10, 11, 12.5))).To(BeNumerically("~", 0.4))
}
