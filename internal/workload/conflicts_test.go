package workload

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/ssa"
	"github.com/exposedapp/exposedapp/test/applied"
	"github.com/exposedapp/exposedapp/test/gen"
)

func TestServiceInTheWay(t *testing.T) {
	own := corev1.ServicePort{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 31000}
	changed := func(change func(*corev1.ServicePort)) []corev1.ServicePort {
		port := own
		change(&port)
		return []corev1.ServicePort{{Name: "metrics", Protocol: corev1.ProtocolTCP, Port: 9797, NodePort: 31001}, port}
	}
	key := func(port int, protocol string) string {
		return fieldpath.MakePathOrDie("spec", "ports",
			fieldpath.KeyByFields("port", port, "protocol", protocol)).String()
	}
	for name, tc := range map[string]struct {
		ports []corev1.ServicePort
		want  []string
	}{
		"as declared, among others":  {ports: changed(func(*corev1.ServicePort) {})},
		"another name of ours":       {ports: changed(func(p *corev1.ServicePort) { p.Name = "web" })},
		"another node port of ours":  {ports: changed(func(p *corev1.ServicePort) { p.NodePort = 31002 })},
		"another number":             {ports: changed(func(p *corev1.ServicePort) { p.Port = 8080 }), want: []string{key(8080, "TCP")}},
		"another protocol":           {ports: changed(func(p *corev1.ServicePort) { p.Protocol = "UDP" }), want: []string{key(80, "UDP")}},
		"another number and name":    {ports: changed(func(p *corev1.ServicePort) { p.Port, p.Name = 8080, "x" }), want: []string{key(8080, "TCP")}},
		"UDP of our number and port": {ports: changed(func(p *corev1.ServicePort) { p.Protocol, p.Name = "UDP", "dns" })},
		"our node port at another of the Service's": {
			ports: append(changed(func(p *corev1.ServicePort) { p.NodePort = 31003 }), corev1.ServicePort{Name: "y", Port: 90, NodePort: 31000}),
			want:  []string{key(90, "TCP")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := &corev1.Service{Spec: corev1.ServiceSpec{Ports: tc.ports}}
			found := ServiceConflicts(live, gen.ExposedApp("web"), 31000)
			NewWithT(t).Expect(texts(found)).To(ConsistOf(tc.want))
		})
	}
}

func TestDeploymentInTheWay(t *testing.T) {
	app := gen.ExposedApp("web", gen.WithEnv("GREETING", "hello"), func(app *v1alpha1.ExposedApp) {
		app.Spec.App.ReadinessPath = new("")
		app.Spec.App.Resources = &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
		}
	})
	const prefix = `.spec.template.spec.containers[name="app"]`
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	secret := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "x"}}
	for name, tc := range map[string]struct {
		change func(*corev1.Container)
		want   []string
	}{
		"as declared": {change: func(*corev1.Container) {}},
		"with what others add": {change: func(c *corev1.Container) {
			c.Command, c.StartupProbe, c.LivenessProbe.TimeoutSeconds = []string{"podinfo"}, probe, 7
			c.Env = append(c.Env, corev1.EnvVar{Name: "MORE", Value: "1"})
			c.Ports = append(c.Ports, corev1.ContainerPort{Name: "metrics", ContainerPort: 9797})
			c.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("1")
		}},
		"other values of the same fields": {change: func(c *corev1.Container) {
			c.Image, c.Env[0].Value, c.LivenessProbe.HTTPGet.Path = "x", "bye", "/x"
		}},
		"another number of the port": {
			change: func(c *corev1.Container) { c.Ports[0].ContainerPort = 8080 },
			want:   []string{prefix + `.ports[containerPort=8080,protocol="TCP"]`},
		},
		"another protocol of the port": {
			change: func(c *corev1.Container) { c.Ports[0].Protocol = corev1.ProtocolUDP },
			want:   []string{prefix + `.ports[containerPort=9898,protocol="UDP"]`},
		},
		"a value in place of a source": {
			change: func(c *corev1.Container) { c.Env[1].Value, c.Env[1].ValueFrom = "hello", nil },
			want:   []string{prefix + `.env[name="PODINFO_UI_MESSAGE"].value`},
		},
		"a source in place of a value": {
			change: func(c *corev1.Container) { c.Env[0].Value, c.Env[0].ValueFrom = "", secret },
			want:   []string{prefix + `.env[name="GREETING"].valueFrom`},
		},
		"a source in place of another": {
			change: func(c *corev1.Container) { c.Env[1].ValueFrom = secret },
			want:   []string{prefix + `.env[name="PODINFO_UI_MESSAGE"].valueFrom.secretKeyRef`},
		},
		"a probe of another kind": {
			change: func(c *corev1.Container) { c.LivenessProbe = probe },
			want:   []string{prefix + `.livenessProbe.exec`},
		},
		"a profile of another kind": {
			change: func(c *corev1.Container) {
				c.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: "Localhost", LocalhostProfile: new("p")}
			},
			want: []string{prefix + `.securityContext.seccompProfile.localhostProfile`},
		},
		"limits below what is requested, and requests beyond limits": {
			change: func(c *corev1.Container) {
				c.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("100m")
				c.Resources.Requests[corev1.ResourceMemory] = resource.MustParse("1Gi")
			},
			want: []string{prefix + `.resources.limits.cpu`, prefix + `.resources.requests.memory`},
		},
		"another name of the container": {
			change: func(c *corev1.Container) { c.Name = "web" },
			want:   []string{`.spec.template.spec.containers[name="web"]`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			live := convert[appsv1.Deployment](Deployment(app))
			live.Spec.Template.Spec.Containers = append(live.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar"})
			tc.change(&live.Spec.Template.Spec.Containers[0])
			NewWithT(t).Expect(texts(DeploymentConflicts(live, app, ssa.OwnFields(live)))).To(ConsistOf(tc.want))
		})
	}
	t.Run("what is left of a probe that is no longer declared", func(t *testing.T) {
		g, live := NewWithT(t), convert[appsv1.Deployment](Deployment(app))
		live.Spec.Template.Spec.Containers[0].ReadinessProbe = probe
		g.Expect(texts(DeploymentConflicts(live, app, ssa.OwnFields(live)))).To(BeEmpty(), "others may add one")
		g.Expect(applied.ReadInto(g, applied.Tree(g, live), fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "template", "spec", "containers",
			fieldpath.KeyByFields("name", "app"), "readinessProbe", "httpGet", "path")), live)).To(Succeed())
		g.Expect(texts(DeploymentConflicts(live, app, ssa.OwnFields(live)))).To(ConsistOf(prefix + `.readinessProbe`))
	})
}

// Pods that the next Deployment selects go on to serve; others nobody would end.
func TestLettingGoOf(t *testing.T) {
	g, app, live := NewWithT(t), gen.ExposedApp("web"), &appsv1.Deployment{}
	live.Spec.Template.Labels = map[string]string{v1alpha1.NameLabel: "web", "more": "1"}
	g.Expect(PodPropagation(live, app)).To(Equal(metav1.DeletePropagationOrphan))
	live.Spec.Template.Labels = map[string]string{"app": "web"}
	g.Expect(PodPropagation(live, app)).To(Equal(metav1.DeletePropagationBackground))
}

func texts(fields *fieldpath.Set) []string {
	var texts []string
	for path := range fields.All() {
		texts = append(texts, path.String())
	}
	return texts
}
