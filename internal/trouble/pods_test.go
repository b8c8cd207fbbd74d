package trouble

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// now is when the pods are looked at. They were made a minute before.
var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const image = "registry.example.com/shop/web:1"

// The words are those of Kubernetes 1.36 with containerd.
func TestOfPods(t *testing.T) {
	const notFound = `failed to pull and unpack image "registry.example.com/shop/web:1": ` +
		`failed to resolve reference "registry.example.com/shop/web:1": registry.example.com/shop/web:1: not found`
	const cannotPull = `image "registry.example.com/shop/web:1" cannot be pulled: ErrImagePull: ` +
		`registry.example.com/shop/web:1: not found`
	for name, test := range map[string]struct {
		pods []*corev1.Pod
		want string
	}{
		"no pods":            {},
		"ready":              {pods: []*corev1.Pod{pod(ready)}},
		"on its way out":     {pods: []*corev1.Pod{pod(waits("ErrImagePull", notFound), deleted)}},
		"somebody else's":    {pods: []*corev1.Pod{pod(waits("ErrImagePull", notFound), owner("other-5c"))}},
		"nobody's":           {pods: []*corev1.Pod{pod(waits("ErrImagePull", notFound), func(p *corev1.Pod) { p.OwnerReferences = nil })}},
		"starting just now":  {pods: []*corev1.Pod{pod(waits("ContainerCreating", ""), age(3*time.Second))}},
		"running just now":   {pods: []*corev1.Pod{pod(runs(3 * time.Second))}},
		"waiting to begin":   {pods: []*corev1.Pod{pod(age(3 * time.Second))}},
		"one ready, one not": {pods: []*corev1.Pod{pod(ready), pod(waits("ErrImagePull", notFound))}, want: cannotPull},

		"no room": {
			pods: []*corev1.Pod{pod(unscheduledBy("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu. "+
				"preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."))},
			want: "no node takes a pod: 0/3 nodes are available: 3 Insufficient cpu.",
		},
		"held back by gates": {
			pods: []*corev1.Pod{pod(unscheduledBy("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"))},
			want: "a pod waits for its scheduling gates to be removed",
		},
		"nobody schedules": {
			pods: []*corev1.Pod{pod(func(p *corev1.Pod) { p.Spec.NodeName = "" })},
			want: "a pod waits for the scheduler",
		},
		"the kubelet does nothing": {pods: []*corev1.Pod{pod()}, want: "node worker has not begun to start its pod"},
		"starting for long": {
			pods: []*corev1.Pod{pod(waits("ContainerCreating", ""))},
			want: "a pod is still being started on node worker: ContainerCreating",
		},

		"an image that is not there": {pods: []*corev1.Pod{pod(waits("ErrImagePull", notFound))}, want: cannotPull},
		"by gRPC":                    {pods: []*corev1.Pod{pod(waits("ErrImagePull", "rpc error: code = NotFound desc = "+notFound))}, want: cannotPull},
		"an image that is not there, until the next try": {
			pods: []*corev1.Pod{pod(waits("ImagePullBackOff",
				`Back-off pulling image "registry.example.com/shop/web:1": ErrImagePull: `+notFound))},
			want: cannotPull,
		},
		"an image of which nothing more is said": {
			pods: []*corev1.Pod{pod(waits("ImagePullBackOff", `Back-off pulling image "registry.example.com/shop/web:1"`))},
			want: `image "registry.example.com/shop/web:1" cannot be pulled: ErrImagePull`,
		},
		"a registry that is away": {
			pods: []*corev1.Pod{pod(waits("ImagePullBackOff", `Back-off pulling image "x": RegistryUnavailable: image pull `+
				`failed for x because the registry is unavailable: dial tcp`))},
			want: `image "registry.example.com/shop/web:1" cannot be pulled: RegistryUnavailable: ` +
				"image pull failed for x because the registry is unavailable: dial tcp",
		},
		"an image that is no name": {
			pods: []*corev1.Pod{pod(waits("InvalidImageName", `Failed to apply default image tag "X": couldn't parse image name "X"`))},
			want: `image "registry.example.com/shop/web:1" cannot be pulled: InvalidImageName: ` +
				`Failed to apply default image tag "X": couldn't parse image name "X"`,
		},
		"an image that is never pulled": {
			pods: []*corev1.Pod{pod(waits("ErrImageNeverPull", `Container image "x" is not present with pull policy of Never`))},
			want: `image "registry.example.com/shop/web:1" cannot be pulled: ErrImageNeverPull: ` +
				`Container image "x" is not present with pull policy of Never`,
		},

		"a Secret that is missing": {
			pods: []*corev1.Pod{pod(waits("CreateContainerConfigError", `secret "token" not found`))},
			want: `container "app" cannot be started: CreateContainerConfigError: secret "token" not found`,
		},
		"a user by name": {
			pods: []*corev1.Pod{pod(waits("CreateContainerConfigError", "container has runAsNonRoot and image has non-numeric "+
				`user (app), cannot verify user is non-root (pod: "web-5c-x2x7k_shop(77aa)", container: app)`))},
			want: `container "app" cannot be started: CreateContainerConfigError: container has runAsNonRoot and image has ` +
				"non-numeric user (app), cannot verify user is non-root: " +
				"set spec.app.securityContext.runAsUser to the number of that user",
		},
		"root": {
			pods: []*corev1.Pod{pod(waits("CreateContainerConfigError", "container has runAsNonRoot and image will run as root "+
				`(pod: "web-5c-x2x7k_shop(77aa)", container: app)`))},
			want: `container "app" cannot be started: CreateContainerConfigError: container has runAsNonRoot and image will ` +
				"run as root: set spec.app.securityContext.runAsUser to another number than 0",
		},

		"a crash": {
			pods: []*corev1.Pod{pod(ended(1, "Error", "panic: no\n\ngoroutine 1\x1b[0m"))},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 1 (Error): ` +
				"panic: no goroutine 1 [0m",
		},
		"a crash, until the next try": {
			pods: []*corev1.Pod{pod(waits("CrashLoopBackOff", "back-off 10s restarting failed container=app pod=web-5c-x2x7k_shop(77aa)"),
				endedBefore(1, "Error"))},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 1 (Error)`,
		},
		"a crash, at the next try": {
			pods: []*corev1.Pod{pod(runs(20*time.Second), endedBefore(1, "Error"))},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 1 (Error)`,
		},
		"a crash that it got over": {
			pods: []*corev1.Pod{pod(runs(3*time.Minute), endedBefore(1, "Error"), probed)},
			want: `container "app" runs and does not pass its readiness probe (GET /readyz on port 9898): ` +
				"see spec.app.readinessPath and spec.app.containerPort",
		},
		"no such program": {
			pods: []*corev1.Pod{pod(waits("RunContainerError", "failed to create containerd task: exec: \"nope\": not found"))},
			want: `container "app" cannot be started: RunContainerError: failed to create containerd task: exec: "nope": not found`,
		},
		"out of memory": {
			pods: []*corev1.Pod{pod(ended(137, "OOMKilled", ""))},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 137 (OOMKilled): ` +
				"set spec.app.resources.limits.memory higher",
		},
		"a liveness probe, or its own will": {
			pods: []*corev1.Pod{pod(ended(0, "Completed", ""), probed)},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 0 (Completed); ` +
				"a failing liveness probe (GET /healthz on port 9898) ends it so as well",
		},
		"a readiness probe": {
			pods: []*corev1.Pod{pod(runs(20*time.Second), probed)},
			want: `container "app" runs and does not pass its readiness probe (GET /readyz on port 9898): ` +
				"see spec.app.readinessPath and spec.app.containerPort",
		},
		"a readiness gate": {
			pods: []*corev1.Pod{pod(runs(20*time.Second), gated)},
			want: `a pod's readiness gates are not met: the status of pod readiness gate "x" is not "True", but False`,
		},
		"a node that is away": {
			pods: []*corev1.Pod{pod(runs(20*time.Second), func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = true })},
			want: "node worker does not confirm that its pod is ready: is the Node Ready?",
		},

		"the first container fails": {
			pods: []*corev1.Pod{pod(waits("PodInitializing", ""), func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Name: "sidecar", Image: "proxy:1"}}
				p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar", State: corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"},
				}}}
			})},
			want: `container "sidecar" of image "proxy:1" ends with exit code 2 (Error)`,
		},
		"the first container is done": {
			pods: []*corev1.Pod{pod(waits("ErrImagePull", notFound), func(p *corev1.Pod) {
				p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "first:1"}}
				p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "first", State: corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"},
				}}}
			})},
			want: cannotPull,
		},

		"an older revision is no matter": {
			pods: []*corev1.Pod{
				pod(waits("ErrImagePull", "the former image"), owner("web-4b"), age(time.Hour)),
				pod(ended(1, "Error", "")),
			},
			want: `container "app" of image "registry.example.com/shop/web:1" ends with exit code 1 (Error)`,
		},
		"the newest revision is well": {
			pods: []*corev1.Pod{pod(ended(1, "Error", ""), owner("web-4b"), age(time.Hour)), pod(ready)},
		},
		"the worst of several": {
			pods: []*corev1.Pod{
				pod(unscheduledBy("Unschedulable", "0/3 nodes are available.")), pod(waits("ErrImagePull", notFound)), pod(runs(time.Hour), probed),
			},
			want: cannotPull,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var pods []corev1.Pod
			for _, one := range test.pods {
				pods = append(pods, *one)
			}
			g.Expect(OfPods("web", pods, now).Text).To(Equal(test.want))
			slices.Reverse(pods)
			g.Expect(OfPods("web", pods, now).Text).To(Equal(test.want), "in whatever order")
		})
	}
}

// Whoever may write a pod's status, or an image, cannot fill or garble the status.
func TestOfPodsHasBounds(t *testing.T) {
	g := NewWithT(t)
	long := strings.Repeat("\x1b[2J\u202e", 5000)
	for _, change := range []func(*corev1.Pod){
		waits("ErrImagePull", long), waits(long, long), waits("CreateContainerError", long), ended(1, long, long),
		unscheduledBy("Unschedulable", long), waits("ImagePullBackOff", `": `+long),
	} {
		one := pod(change, func(p *corev1.Pod) {
			p.Spec.Containers[0].Image = long
			p.Spec.Containers[0].LivenessProbe = httpProbe(long)
		})
		text := OfPods("web", []corev1.Pod{*one}, now).Text
		g.Expect(text).NotTo(BeEmpty())
		g.Expect(len(text)).To(BeNumerically("<", 900))
		g.Expect(text).NotTo(ContainSubstring("\x1b"))
		g.Expect(text).NotTo(ContainSubstring("\u202e"))
	}
}

// pod returns one of the app "web", on a node, of which the kubelet has said nothing.
func pod(changes ...func(*corev1.Pod)) *corev1.Pod {
	made := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-5c-x2x7k"},
		Spec: corev1.PodSpec{NodeName: "worker", Containers: []corev1.Container{{
			Name: "app", Image: image, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 9898}},
		}}},
	}
	for _, change := range append([]func(*corev1.Pod){owner("web-5c"), age(time.Minute)}, changes...) {
		change(made)
	}
	return made
}

func owner(replicaSet string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		_, hash, _ := strings.Cut(replicaSet, "-")
		pod.Labels = map[string]string{"pod-template-hash": hash}
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: replicaSet, Controller: new(true)}}
	}
}

func age(age time.Duration) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.CreationTimestamp = metav1.NewTime(now.Add(-age)) }
}

func deleted(pod *corev1.Pod) { pod.DeletionTimestamp = new(metav1.NewTime(now)) }

func ready(pod *corev1.Pod) {
	runs(time.Minute)(pod)
	pod.Status.ContainerStatuses[0].Ready = true
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

func unscheduledBy(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeName = ""
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		}}
	}
}

func state(change func(*corev1.ContainerStatus)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		if len(pod.Status.ContainerStatuses) == 0 {
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: fmt.Sprintf("sha256:%064d", 1)}}
		}
		change(&pod.Status.ContainerStatuses[0])
	}
}

func waits(reason, message string) func(*corev1.Pod) {
	return state(func(s *corev1.ContainerStatus) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	})
}

func runs(since time.Duration) func(*corev1.Pod) {
	return state(func(s *corev1.ContainerStatus) {
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-since))}
		s.Started = new(true)
	})
}

func ended(code int32, reason, message string) func(*corev1.Pod) {
	return state(func(s *corev1.ContainerStatus) {
		s.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
	})
}

func endedBefore(code int32, reason string) func(*corev1.Pod) {
	return state(func(s *corev1.ContainerStatus) {
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}
	})
}

func probed(pod *corev1.Pod) {
	pod.Spec.Containers[0].ReadinessProbe, pod.Spec.Containers[0].LivenessProbe = httpProbe("/readyz"), httpProbe("/healthz")
}

func httpProbe(path string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")},
	}}
}

func gated(pod *corev1.Pod) {
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "x"}}
	pod.Status.ContainerStatuses[0].Ready = true
	pod.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
		{
			Type: corev1.PodReady, Status: corev1.ConditionFalse,
			Message: `the status of pod readiness gate "x" is not "True", but False`,
		},
	}
}
