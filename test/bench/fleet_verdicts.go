package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// truth is what the verdicts are held against: all nodes, and what is broken.
type truth struct {
	nodes []string
	// gone are the nodes that are not Ready, silenced those on which no port
	// answers, and dead the ports that answer nowhere.
	gone, silenced map[string]bool
	dead           map[int32]bool
}

// answers tells whether a port answers on a node.
func (t *truth) answers(node string, port int32) bool { return !t.silenced[node] && !t.dead[port] }

// mistake returns what is wrong with the status of an app, nothing if it is right.
func (t *truth) mistake(app *v1alpha1.ExposedApp) string {
	var expected, reachable int32
	for _, node := range t.nodes {
		if t.gone[node] {
			continue
		}
		expected++
		if t.answers(node, app.Status.NodePort) {
			reachable++
		}
	}
	status := &app.Status
	if status.Reachability == nil || status.Reachability.Expected != expected || status.Reachability.Reachable != reachable {
		return fmt.Sprintf("%+v, not %d/%d", status.Reachability, reachable, expected)
	}
	if listed := len(status.Nodes) + int(status.NodesOmitted); listed != len(t.nodes) {
		return fmt.Sprintf("%d nodes, not %d", listed, len(t.nodes))
	}
	unreachable := int32(0)
	for i := range status.Nodes {
		row := &status.Nodes[i]
		if row.Expected == t.gone[row.Node] {
			return fmt.Sprintf("%s is called expected=%t", row.Node, row.Expected)
		}
		if !row.Expected {
			continue
		}
		want := v1alpha1.NodeReachable
		if !t.answers(row.Node, status.NodePort) {
			want = v1alpha1.NodeUnreachable
			unreachable++
		}
		if row.State != want {
			return fmt.Sprintf("%s is called %s: %s: %s", row.Node, row.State, row.Reason, row.Message)
		}
	}
	if unreachable < min(expected-reachable, int32(len(status.Nodes))) {
		return fmt.Sprintf("of %d unreachable nodes %d are listed", expected-reachable, unreachable)
	}
	condition := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReachable)
	if condition == nil || (condition.Status == metav1.ConditionTrue) != (reachable == expected) {
		return fmt.Sprintf("the condition Reachable is %+v", condition)
	}
	return ""
}

// verdicts are the statuses of all apps as they come, held against the truth.
type verdicts struct {
	mu    sync.Mutex
	table truth
	apps  map[types.NamespacedName]*v1alpha1.ExposedApp
	// wrong are the apps with a mistake, and right is when there last began to be
	// none.
	wrong map[types.NamespacedName]string
	right time.Time
	// largest is the size of the largest app as JSON, and bare that without its
	// managedFields.
	largest, bare int
}

// watchVerdicts begins to watch the apps.
func watchVerdicts(ctx context.Context, b *bench, c *cluster) (*verdicts, error) {
	config, _, err := c.user(b, "witness", "system:masters")
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	watcher, err := client.NewWithWatch(config, client.Options{Scheme: c.admin.Scheme()})
	if err != nil {
		return nil, err
	}
	v := &verdicts{
		apps:  make(map[types.NamespacedName]*v1alpha1.ExposedApp),
		wrong: make(map[types.NamespacedName]string),
		table: truth{gone: make(map[string]bool), silenced: make(map[string]bool), dead: make(map[int32]bool)},
	}
	ctx, stop := context.WithCancel(ctx)
	b.cleanup(stop)
	go func() {
		if err := follow(ctx, watcher, func() client.ObjectList { return &v1alpha1.ExposedAppList{} }, v.note, nil,
			client.InNamespace(stageNamespace)); err != nil {
			b.logf("watching the apps: %s", err)
		}
	}()
	return v, nil
}

func (v *verdicts) note(event watch.EventType, object client.Object) {
	app := object.(*v1alpha1.ExposedApp)
	whole := sizeOf(app)
	app.ManagedFields = nil
	bare := sizeOf(app)
	v.mu.Lock()
	defer v.mu.Unlock()
	key := client.ObjectKeyFromObject(app)
	if event == watch.Deleted {
		delete(v.apps, key)
		delete(v.wrong, key)
		return
	}
	v.largest, v.bare = max(v.largest, whole), max(v.bare, bare)
	v.apps[key] = app
	v.judge(key)
}

// sizeOf returns the size of an object as JSON.
func sizeOf(object client.Object) int {
	text, err := json.Marshal(object)
	if err != nil {
		// It came as JSON.
		panic(err)
	}
	return len(text)
}

func (v *verdicts) judge(key types.NamespacedName) {
	before := len(v.wrong)
	if mistake := v.table.mistake(v.apps[key]); mistake != "" {
		v.wrong[key] = mistake
	} else {
		delete(v.wrong, key)
	}
	if before > 0 && len(v.wrong) == 0 {
		v.right = time.Now()
	}
}

// expect changes the truth. From then on all verdicts are held against that.
func (v *verdicts) expect(change func(*truth)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.table)
	v.right = time.Now()
	for key := range v.apps {
		v.judge(key)
	}
}

// awaitRight waits until every verdict has been right for a moment, and returns
// since when. After the time that it may take it returns an error that names a
// mistake.
func (v *verdicts) awaitRight(ctx context.Context, atMost time.Duration) (since time.Time, err error) {
	const moment = 2 * time.Second
	err = await(ctx, "all verdicts to be right", atMost+moment, func() (bool, error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		since = v.right
		for key, mistake := range v.wrong {
			return false, fmt.Errorf("%d are wrong, such as that of %s: %s", len(v.wrong), key.Name, mistake)
		}
		if len(v.apps) == 0 {
			return false, errors.New("there are no apps")
		}
		return time.Since(since) >= moment, nil
	})
	return since, err
}

// awaitPorts waits until so many apps have a node port.
func (v *verdicts) awaitPorts(ctx context.Context, apps int) error {
	return await(ctx, "the node ports of all apps", 10*time.Minute, func() (bool, error) {
		_, ports := v.exposed()
		return len(ports) == apps, nil
	})
}

// exposed returns the apps that have a node port, and these, in the same order.
func (v *verdicts) exposed() (apps []types.NamespacedName, ports []uint16) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, app := range v.apps {
		if app.Status.NodePort != 0 {
			apps, ports = append(apps, key), append(ports, uint16(app.Status.NodePort))
		}
	}
	return apps, ports
}

// sizes returns the size of the largest app as JSON, with and without its
// managedFields.
func (v *verdicts) sizes() (whole, bare int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.largest, v.bare
}
