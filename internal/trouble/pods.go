package trouble

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// startGrace is how long a pod may take to start, and to pass its readiness probe,
	// until that is worth a word.
	startGrace = 10 * time.Second

	// stableAfter is how long a container must run for its last end to be no trouble any
	// more.
	stableAfter = 2 * time.Minute

	// crashLoop is what the kubelet says of a container that ended too often.
	crashLoop = "CrashLoopBackOff"
)

// Kinds of trouble. Where pods have several, the last of these is told.
const (
	none = iota
	starting
	unready
	unconfirmed
	unscheduled
	crashing
	imageMissing
	misconfigured
)

// found is the trouble of one pod.
type found struct {
	kind int
	Trouble
}

// OfPods tells why pods of an app's Deployment are not ready. Of several revisions the
// one of the newest pod counts: the others are on their way out.
func OfPods(app string, pods []corev1.Pod, now time.Time) Trouble {
	var worst found
	for _, pod := range newest(app, pods) {
		if pod.DeletionTimestamp != nil || isTrue(pod, corev1.PodReady) {
			continue
		}
		one := ofPod(pod, now)
		// The order of a list must not show.
		if one.kind > worst.kind || one.kind == worst.kind && one.Text < worst.Text {
			worst = one
		}
	}
	return worst.Trouble
}

// newest returns the pods of the ReplicaSet that made the newest one.
func newest(app string, pods []corev1.Pod) []*corev1.Pod {
	byOwner := make(map[string][]*corev1.Pod)
	var last *corev1.Pod
	var of string
	for i := range pods {
		pod := &pods[i]
		owner := metav1.GetControllerOf(pod)
		hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
		if owner == nil || owner.Kind != "ReplicaSet" || owner.Name != app+"-"+hash {
			continue
		}
		byOwner[owner.Name] = append(byOwner[owner.Name], pod)
		if last == nil || last.CreationTimestamp.Before(&pod.CreationTimestamp) {
			last, of = pod, owner.Name
		}
	}
	return byOwner[of]
}

func ofPod(pod *corev1.Pod, now time.Time) found {
	if pod.Spec.NodeName == "" {
		return ofUnscheduled(pod)
	}
	var worst found
	statuses := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	for i := range statuses {
		if one := ofContainer(pod, &statuses[i], now); one.kind > worst.kind {
			worst = one
		}
	}
	switch {
	case worst.kind != none:
		return worst
	case isTrue(pod, corev1.ContainersReady) && len(pod.Spec.ReadinessGates) > 0:
		return tell(unready, "a pod's readiness gates are not met: "+
			Clean(condition(pod, corev1.PodReady).Message, maxWords))
	case allReady(pod.Status.ContainerStatuses):
		return tell(unconfirmed, fmt.Sprintf("node %s does not confirm that its pod is ready: is the Node Ready?",
			pod.Spec.NodeName))
	case len(pod.Status.ContainerStatuses) == 0 && now.Sub(pod.CreationTimestamp.Time) >= startGrace:
		return tell(starting, fmt.Sprintf("node %s has not begun to start its pod", pod.Spec.NodeName))
	}
	return found{}
}

func ofUnscheduled(pod *corev1.Pod) found {
	switch scheduled := condition(pod, corev1.PodScheduled); {
	case scheduled.Reason == corev1.PodReasonSchedulingGated:
		return tell(unscheduled, "a pod waits for its scheduling gates to be removed")
	case scheduled.Message != "":
		// What comes of preemption says the same of each node once more.
		words, _, _ := strings.Cut(scheduled.Message, " preemption: ")
		return tell(unscheduled, "no node takes a pod: "+Clean(words, maxWords))
	}
	return tell(starting, "a pod waits for the scheduler")
}

// ofContainer tells what is wrong with a container. Between two tries it goes through
// several states, which all must read the same.
func ofContainer(pod *corev1.Pod, status *corev1.ContainerStatus, now time.Time) found {
	waiting, running := status.State.Waiting, status.State.Running
	ended := cmp.Or(status.State.Terminated, status.LastTerminationState.Terminated)
	if running != nil && now.Sub(running.StartedAt.Time) >= stableAfter {
		ended = nil
	}
	switch {
	case status.Ready || isDone(pod, status):
		return found{}
	case waiting != nil && isOfImage(waiting.Reason):
		return ofImage(pod, status.Name, waiting)
	case waiting != nil && waiting.Reason != crashLoop && !isStarting(waiting.Reason):
		return ofWaiting(status.Name, waiting)
	case ended != nil:
		return ofEnd(pod, status.Name, ended)
	case waiting != nil && now.Sub(pod.CreationTimestamp.Time) >= startGrace:
		return tell(starting, fmt.Sprintf("a pod is still being started on node %s: %s",
			pod.Spec.NodeName, cmp.Or(Clean(waiting.Reason, maxReason), "its container waits")))
	case running != nil && now.Sub(running.StartedAt.Time) >= startGrace:
		return ofProbe(pod, status)
	}
	return found{}
}

// isStarting reports whether a container waits for nothing that is wrong.
func isStarting(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}

// isDone reports whether a container is one of those that end before others begin.
func isDone(pod *corev1.Pod, status *corev1.ContainerStatus) bool {
	first := slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == status.Name })
	ended := status.State.Terminated
	return first && (ended != nil && ended.ExitCode == 0 || status.State.Running != nil)
}

func isOfImage(reason string) bool {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed":
		return true
	}
	return false
}

// ofImage tells why an image cannot be pulled. The kubelet says so once as it fails,
// and then again and again behind "Back-off pulling image".
func ofImage(pod *corev1.Pod, container string, waiting *corev1.ContainerStateWaiting) found {
	reason, words := waiting.Reason, waiting.Message
	if reason == "ImagePullBackOff" {
		_, words, _ = strings.Cut(words, `": `)
		reason = "ErrImagePull"
		if earlier, rest, ok := strings.Cut(words, ": "); ok && isOfImage(earlier) {
			reason, words = earlier, rest
		}
	}
	text := fmt.Sprintf("image %q cannot be pulled: %s", imageOf(pod, container), reason)
	if words = withoutFrames(words); words != "" {
		text += ": " + Clean(words, maxWords)
	}
	return found{kind: imageMissing, Trouble: Trouble{Text: text, Tries: true}}
}

// withoutFrames drops what gRPC and containerd put before what went wrong: all of it
// names the image once more.
func withoutFrames(words string) string {
	for _, frame := range []struct{ begin, end string }{
		{"rpc error: code = ", " desc = "},
		{"failed to pull and unpack image ", `": `},
		{"failed to resolve ", ": "},
	} {
		if !strings.HasPrefix(words, frame.begin) {
			continue
		}
		if _, rest, ok := strings.Cut(words, frame.end); ok {
			words = rest
		}
	}
	return words
}

// ofEnd tells how a container ended that should run on.
func ofEnd(pod *corev1.Pod, name string, ended *corev1.ContainerStateTerminated) found {
	text := fmt.Sprintf("container %q of image %q ends with exit code %d", name, imageOf(pod, name), ended.ExitCode)
	if ended.Reason != "" {
		text += " (" + Clean(ended.Reason, maxReason) + ")"
	}
	if words := Clean(ended.Message, maxWords); words != "" {
		text += ": " + words
	}
	container := containerOf(pod, name)
	switch {
	case ended.Reason == "OOMKilled":
		text += ": set spec.app.resources.limits.memory higher"
	case container != nil && container.LivenessProbe != nil && isKill(ended.ExitCode):
		text += "; a failing liveness probe" + request(container, container.LivenessProbe) + " ends it so as well"
	}
	return found{kind: crashing, Trouble: Trouble{Text: text, Tries: true}}
}

// isKill reports whether a container that was told to end would end so.
func isKill(exitCode int32) bool { return exitCode == 0 || exitCode == 128+9 || exitCode == 128+15 }

// ofWaiting tells why a container cannot be made or run: a Secret that is missing, a
// user that cannot be told from root.
func ofWaiting(container string, waiting *corev1.ContainerStateWaiting) found {
	// Which pod it is changes from one to the next.
	words, _, _ := strings.Cut(waiting.Message, ` (pod: "`)
	text := fmt.Sprintf("container %q cannot be started: %s", container, Clean(waiting.Reason, maxReason))
	if words = Clean(words, maxWords); words != "" {
		text += ": " + words
	}
	switch {
	case strings.Contains(words, "image has non-numeric user"):
		text += ": set spec.app.securityContext.runAsUser to the number of that user"
	case strings.Contains(words, "image will run as root"):
		text += ": set spec.app.securityContext.runAsUser to another number than 0"
	}
	return found{kind: misconfigured, Trouble: Trouble{Text: text, Tries: true}}
}

func ofProbe(pod *corev1.Pod, status *corev1.ContainerStatus) found {
	container := containerOf(pod, status.Name)
	if container == nil {
		return found{}
	}
	name, probe, field := "readiness", container.ReadinessProbe, ": see spec.app.readinessPath and spec.app.containerPort"
	if status.Started != nil && !*status.Started {
		name, probe, field = "startup", container.StartupProbe, ""
	}
	if probe == nil {
		return found{}
	}
	return tell(unready, fmt.Sprintf("container %q runs and does not pass its %s probe%s%s",
		status.Name, name, request(container, probe), field))
}

// request returns what a probe asks for, in parentheses, where that is by HTTP.
func request(container *corev1.Container, probe *corev1.Probe) string {
	get := probe.HTTPGet
	if get == nil {
		return ""
	}
	port := get.Port.String()
	for _, named := range container.Ports {
		if named.Name == port {
			port = strconv.Itoa(int(named.ContainerPort))
		}
	}
	return " (GET " + Clean(get.Path, maxReason) + " on port " + port + ")"
}

func tell(kind int, text string) found { return found{kind: kind, Trouble: Trouble{Text: text}} }

func imageOf(pod *corev1.Pod, name string) string {
	if container := containerOf(pod, name); container != nil {
		return Clean(container.Image, maxWords)
	}
	return ""
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			if containers[i].Name == name {
				return &containers[i]
			}
		}
	}
	return nil
}

func allReady(statuses []corev1.ContainerStatus) bool {
	return len(statuses) > 0 && !slices.ContainsFunc(statuses, func(s corev1.ContainerStatus) bool { return !s.Ready })
}

func isTrue(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	return condition(pod, kind).Status == corev1.ConditionTrue
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return pod.Status.Conditions[i]
		}
	}
	return corev1.PodCondition{}
}
