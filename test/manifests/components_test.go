package manifests

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// withComponent returns the agents of config/default with a component.
func withComponent(name string) *appsv1.DaemonSet {
	GinkgoHelper()
	overlay := GinkgoT().TempDir()
	relative := func(path string) string {
		absolute, err := filepath.Abs(path)
		Expect(err).NotTo(HaveOccurred())
		relative, err := filepath.Rel(overlay, absolute)
		Expect(err).NotTo(HaveOccurred())
		return relative
	}
	text, err := yaml.Marshal(map[string]any{
		"resources":  []string{relative(config + "default")},
		"components": []string{relative(config + "components/" + name)},
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), text, 0o600)).To(Succeed())
	// Nothing is made of it, and the API server fills in its defaults.
	applied := run("apply", "--dry-run=server", "--output=yaml", "--kustomize", overlay)
	var list struct{ Items []appsv1.DaemonSet }
	Expect(yaml.Unmarshal([]byte(applied), &list)).To(Succeed())
	for i := range list.Items {
		if list.Items[i].Kind == "DaemonSet" {
			return &list.Items[i]
		}
	}
	Fail("no DaemonSet in " + applied)
	return nil
}

var _ = Describe("The component raw-probe", func() {
	It("gives the agent uid 0, one capability and nothing else", func(ctx SpecContext) {
		agent := withComponent("raw-probe")
		pod := &agent.Spec.Template.Spec
		container := &pod.Containers[0]
		Expect(container.Args).To(Equal([]string{"--raw-probe"}))
		Expect(container.SecurityContext).To(Equal(&corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			RunAsUser:                new(int64(0)),
			RunAsGroup:               new(int64(0)),
			Capabilities: &corev1.Capabilities{
				Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"NET_RAW"},
			},
		}))
		Expect(pod.SecurityContext.SeccompProfile.Type).To(Equal(corev1.SeccompProfileTypeRuntimeDefault))

		By("being as config/default has it in all else")
		var without appsv1.DaemonSet
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(agent), &without)).To(Succeed())
		container.Args = nil
		container.SecurityContext = without.Spec.Template.Spec.Containers[0].SecurityContext
		Expect(*pod.SecurityContext.RunAsNonRoot).To(BeFalse())
		pod.SecurityContext.RunAsNonRoot = new(true)
		Expect(agent.Spec).To(Equal(without.Spec))
	})
})
