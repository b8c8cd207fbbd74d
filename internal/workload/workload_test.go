package workload

import (
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/gen"
	"github.com/exposedapp/exposedapp/test/golden"
)

// Every case is a golden file, testdata/<name>.yaml.
func TestWorkload(t *testing.T) {
	tests := map[string]struct {
		options []gen.Option
		live    *corev1.Service
	}{
		"minimal":    {},
		"workshop":   {options: []gen.Option{gen.WithNodePort(31000), gen.WithReplicas(3)}},
		"everything": {options: []gen.Option{gen.WithEverything}},
		"local-dual-stack": {options: []gen.Option{
			gen.WithTrafficPolicy(corev1.ServiceExternalTrafficPolicyLocal),
			gen.WithIPFamilyPolicy(corev1.IPFamilyPolicyRequireDualStack),
		}},
		"allocated-port": {live: gen.ServiceHolding(30123)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			app := gen.ExposedApp("web", append(test.options, gen.WithIdentity("9f3c", 1), annotated)...)
			deployment, service := Deployment(app), Service(app, WantedPort(app, test.live))

			wanted := map[string]string{"app": "web", "app.kubernetes.io/managed-by": "exposedapp"}
			g.Expect(deployment.Labels).To(Equal(wanted), "the app's own labels are not copied")
			g.Expect(service.Labels).To(Equal(wanted), "the app's own labels are not copied")
			g.Expect(deployment.Annotations).To(BeEmpty(), "the app's own annotations are not copied")
			g.Expect(service.Annotations).To(SatisfyAll(HaveLen(1), HaveKey("exposedapp.dev/probe")))
			g.Expect(deployment.Spec.Template.Annotations).To(BeEmpty())

			selector := map[string]string{"exposedapp.dev/name": "web"}
			g.Expect(deployment.Spec.Selector.MatchLabels).To(Equal(selector))
			g.Expect(service.Spec.Selector).To(Equal(selector), "a foreign pod labelled app=web gets no traffic")
			wanted["exposedapp.dev/name"] = "web"
			g.Expect(deployment.Spec.Template.Labels).To(Equal(wanted))

			golden.Match(g, filepath.Join("testdata", name+".yaml"), deployment, service)
		})
	}
}

// What a user sets goes over the defaults, and takes nothing else away.
func TestSecurityContext(t *testing.T) {
	type context = corev1.SecurityContext
	defaults := func(change func(*context)) *context {
		all := &context{
			AllowPrivilegeEscalation: new(false),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
		change(all)
		return all
	}
	local := &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: new("web.json")}
	for name, test := range map[string]struct{ set, want *context }{
		"nothing": {want: defaults(func(*context) {})},
		"empty":   {set: &context{}, want: defaults(func(*context) {})},
		"what the level restricted asks for": {
			set:  &context{RunAsNonRoot: new(true), RunAsUser: new(int64(1000))},
			want: defaults(func(c *context) { c.RunAsNonRoot, c.RunAsUser = new(true), new(int64(1000)) }),
		},
		"a capability": {
			set:  &context{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}}},
			want: defaults(func(c *context) { c.Capabilities.Add = []corev1.Capability{"NET_BIND_SERVICE"} }),
		},
		"one capability less": {
			set:  &context{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"NET_RAW"}}},
			want: defaults(func(c *context) { c.Capabilities.Drop = []corev1.Capability{"NET_RAW"} }),
		},
		"no capability less": {
			set:  &context{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{}}},
			want: defaults(func(c *context) { c.Capabilities = &corev1.Capabilities{} }),
		},
		"a profile": {
			set:  &context{SeccompProfile: local},
			want: defaults(func(c *context) { c.SeccompProfile = local }),
		},
		"escalation": {
			set:  &context{AllowPrivilegeEscalation: new(true)},
			want: defaults(func(c *context) { c.AllowPrivilegeEscalation = new(true) }),
		},
		"all privileges, which the API server refuses beside no escalation": {
			set:  &context{Privileged: new(true)},
			want: defaults(func(c *context) { c.Privileged, c.AllowPrivilegeEscalation = new(true), nil }),
		},
		"a capability that is as good": {
			set: &context{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"CAP_SYS_ADMIN"}}},
			want: defaults(func(c *context) {
				c.Capabilities.Add, c.AllowPrivilegeEscalation = []corev1.Capability{"CAP_SYS_ADMIN"}, nil
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			app := gen.ExposedApp("web").Spec.App
			app.SecurityContext = test.set
			before := app.DeepCopy()
			g.Expect(convert[context](securityContext(&app))).To(Equal(test.want))
			g.Expect(&app).To(Equal(before), "what is declared stays as it is")
		})
	}
}

// annotated marks an app the way that GitOps tools do.
func annotated(app *v1alpha1.ExposedApp) {
	app.Labels = map[string]string{"app.kubernetes.io/instance": "shop", "team": "blue"}
	app.Annotations = map[string]string{"argocd.argoproj.io/tracking-id": "shop:exposedapp.dev/ExposedApp:default/web"}
}
