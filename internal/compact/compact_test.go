package compact_test

import (
	"encoding/json"
	"testing"
	"unsafe"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/internal/compact"
)

// What a decoder makes a copy of for each object is there once, and the objects are as
// they were.
func TestTexts(t *testing.T) {
	g := NewWithT(t)
	decode := func() *corev1.PodTemplateSpec {
		template := &corev1.PodTemplateSpec{}
		g.Expect(json.Unmarshal([]byte(`{
			"metadata": {"labels": {"app": "web"}},
			"spec": {"containers": [{
				"image": "podinfo:6", "command": ["./podinfo"], "ports": [{"name": "http", "containerPort": 9898}],
				"resources": {"requests": {"cpu": "10m"}},
				"readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}}
			}]}
		}`), template)).To(Succeed())
		return template
	}
	bytesOf := func(template *corev1.PodTemplateSpec) (all []*byte) {
		container := &template.Spec.Containers[0]
		for key, value := range template.Labels {
			all = append(all, unsafe.StringData(key), unsafe.StringData(value))
		}
		get := container.ReadinessProbe.HTTPGet
		for _, text := range []string{container.Image, container.Command[0], container.Ports[0].Name, get.Path, get.Port.StrVal} {
			all = append(all, unsafe.StringData(text))
		}
		return all
	}
	one, other, want := decode(), decode(), decode()
	compact.Intern(one)
	compact.Intern(other)
	g.Expect(one).To(Equal(want))
	g.Expect(other).To(Equal(want))
	a, b, c := bytesOf(one), bytesOf(other), bytesOf(want)
	g.Expect(a).To(HaveLen(7))
	for i := range a {
		g.Expect(a[i]).To(BeIdenticalTo(b[i]))
		g.Expect(a[i]).NotTo(BeIdenticalTo(c[i]))
	}
}

func TestSlice(t *testing.T) {
	g := NewWithT(t)
	g.Expect(compact.Shrink(append(make([]int, 0, 8), 1, 2))).To(And(Equal([]int{1, 2}), HaveCap(2)))
	full := []int{1, 2}
	g.Expect(&compact.Shrink(full)[0]).To(BeIdenticalTo(&full[0]), "nothing is copied that has no room to spare")
}
