package reachability

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// Verdicts judges an app on every node, in the order of nodes, once per IP
// family of its Service. wake is how long the verdicts hold if nothing is heard:
// 0 when they hold for good. The verdicts carry no lastTransitionTime.
func (m *Matrix) Verdicts(
	key types.NamespacedName, nodes []Node, now time.Time,
) (verdicts []v1alpha1.NodeVerdict, wake time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	app := m.apps[key]
	if app == nil || app.Service.NodePort == 0 {
		return nil, 0
	}
	alive := make(map[string]bool, len(nodes))
	for i := range nodes {
		alive[nodes[i].Name] = true
	}
	verdicts = make([]v1alpha1.NodeVerdict, 0, len(nodes)*len(app.Families))
	for i := range nodes {
		for _, family := range app.Families {
			words := m.words(app, &nodes[i], family, alive)
			verdict, holds := judge(app, &nodes[i], family, words, now)
			verdicts = append(verdicts, verdict)
			if holds > 0 && (wake == 0 || holds < wake) {
				wake = holds
			}
		}
	}
	return verdicts, wake
}

// testimony is what the observers of one node say of one app.
type testimony struct {
	reached []string
	failed  []statement
	// silent are the observers that have a fresh report, but no word on the app
	// as it is now.
	silent []string
	// selfOnly is set where the node's own word had to do.
	selfOnly bool
}

type statement struct {
	observer, reason, message string
}

// words gathers the words on a node. Its own counts only where it is alone.
func (m *Matrix) words(app *subject, node *Node, family corev1.IPFamily, alive map[string]bool) testimony {
	words := testimony{selfOnly: len(alive) == 1}
	address, found := node.Addresses[family]
	if !found {
		return words
	}
	for _, observer := range m.observers[address] {
		if !alive[observer] || (observer == node.Name) != words.selfOnly {
			continue
		}
		m.listen(&words, observer, app, address)
	}
	return words
}

func (m *Matrix) listen(words *testimony, observer string, app *subject, address netip.Addr) {
	entry := m.reports[observer]
	if entry.stale {
		return
	}
	said, reason, message := entry.about(address, app.Service.NodePort)
	if !covers(entry.version, app.since) {
		said = silent
	}
	switch said {
	case reached:
		words.reached = append(words.reached, observer)
	case failed:
		words.failed = append(words.failed, statement{observer, reason, message})
	case silent:
		words.silent = append(words.silent, observer)
	}
}

// judge gives the verdict on one node in one IP family, and how long it holds
// if nothing is heard.
func judge(
	app *subject, node *Node, family corev1.IPFamily, words testimony, now time.Time,
) (v1alpha1.NodeVerdict, time.Duration) {
	verdict := v1alpha1.NodeVerdict{Node: node.Name, Family: family, Expected: true}
	if address, found := node.Addresses[family]; found {
		verdict.Address = address.String()
	}

	quiet := now.Sub(lastChange(app, node))
	holds := conclude(&verdict, words, quiet)

	if reason, message := excuse(app, node, family); reason != "" {
		verdict.Expected, verdict.Reason, verdict.Message = false, reason, message
	} else if len(app.Endpoints[family]) == 0 && verdict.State != v1alpha1.NodeReachable {
		// Not the errors of the dials: kube-proxy's rejections pass a rate limit
		// of the kernel, so refusals and timeouts take turns, and mean nothing.
		verdict.Reason, verdict.Message = v1alpha1.ReasonNoReadyEndpoints, "no pod of the app is ready"
	}
	if heard := len(words.reached) + len(words.failed) + len(words.silent); heard > 0 {
		verdict.Observers = fmt.Sprintf("%d/%d", len(words.reached), heard)
	}
	return verdict, holds
}

// conclude turns the words on a node into its state. quiet is the time since
// anything about the app or the node changed.
func conclude(verdict *v1alpha1.NodeVerdict, words testimony, quiet time.Duration) time.Duration {
	unknown := func(reason, message string) {
		verdict.State, verdict.Reason, verdict.Message = v1alpha1.NodeUnknown, reason, message
	}
	switch {
	case len(words.failed) > 0 && quiet < settle:
		unknown(v1alpha1.ReasonPending, "not yet: "+words.blame())
		return settle - quiet
	case len(words.failed) > 0:
		verdict.State = v1alpha1.NodeUnreachable
		verdict.Reason, verdict.Message = words.cause()
		return 0
	case len(words.reached) > 0 && (len(words.silent) == 0 || quiet >= grace):
		verdict.State = v1alpha1.NodeReachable
		if words.selfOnly {
			verdict.Reason = v1alpha1.ReasonReachableFromSelfOnly
			verdict.Message = "the only node of the cluster answers itself; nobody else can confirm it"
		}
		return 0
	case quiet < grace:
		unknown(v1alpha1.ReasonPending, "waiting for the first word of the observers")
		return grace - quiet
	case len(words.silent) > 0:
		unknown(v1alpha1.ReasonPending, "no result yet from "+list(words.silent))
		return 0
	default:
		unknown(v1alpha1.ReasonNoObserver, "no other node has a fresh report about this one: is the agent running there?")
		return 0
	}
}

// lastChange returns when the app or the node last changed in a way that the
// node needs time to follow.
func lastChange(app *subject, node *Node) time.Time {
	last := app.changed
	for _, other := range []time.Time{node.ReadySince, app.arrived[node.Name]} {
		if other.After(last) {
			last = other
		}
	}
	return last
}

// excuse returns why a node is not expected to answer, or nothing.
func excuse(app *subject, node *Node, family corev1.IPFamily) (reason, message string) {
	local := app.Service.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	switch _, addressed := node.Addresses[family]; {
	case node.Deleting:
		return v1alpha1.ReasonNodeDeleting, "the Node is being deleted"
	case !node.Ready:
		return v1alpha1.ReasonNodeNotReady, "the Node is not Ready"
	case !addressed:
		return v1alpha1.ReasonNoAddress, fmt.Sprintf("the Node has no usable %s address", family)
	case local && !app.Endpoints[family][node.Name]:
		return v1alpha1.ReasonNoLocalEndpoint,
			"externalTrafficPolicy is Local and no ready pod of the app is on the node"
	}
	return "", ""
}

// cause returns the reason of an unreachable node.
func (t *testimony) cause() (reason, message string) {
	if len(t.reached) > 0 {
		return v1alpha1.ReasonPartiallyReachable,
			fmt.Sprintf("reached from %s, but not from %s", list(t.reached), t.blame())
	}
	return t.failed[0].reason, t.blame()
}

// blame names the observers that failed and the raw errors of their dials.
func (t *testimony) blame() string {
	byError := make(map[string][]string)
	var order []string
	for _, failure := range t.failed {
		text := failure.reason + ": " + failure.message
		if byError[text] == nil {
			order = append(order, text)
		}
		byError[text] = append(byError[text], failure.observer)
	}
	slices.Sort(order)
	parts := make([]string, 0, len(order))
	for _, text := range order {
		parts = append(parts, fmt.Sprintf("%s (%s)", list(byError[text]), text))
	}
	return strings.Join(parts, "; ")
}

// list names at most three observers.
func list(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
