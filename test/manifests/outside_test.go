package manifests

import (
	"os"
	"path/filepath"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// RBAC ties an observer outside of the cluster to its report by name. What the policy
// adds is seen with users that RBAC lets write all reports.
var _ = Describe("The report of an observer outside", Ordered, func() {
	var outside client.Client

	refused := func(why string) OmegaMatcher {
		return And(MatchError(apierrors.IsForbidden, "IsForbidden"), MatchError(ContainSubstring(why)))
	}

	// everyReport lets a service account write all reports during a spec, as far as RBAC
	// goes.
	everyReport := func(ctx SpecContext, account *corev1.ServiceAccount) {
		GinkgoHelper()
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "every-report-" + account.Namespace + "-" + account.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "exposedapp-agent"},
			Subjects: []rbacv1.Subject{
				{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name},
			},
		}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			Expect(admin.Delete(ctx, binding)).To(Succeed())
			Eventually(write).WithArguments(ctx, connectAs(ctx, account, nil), "worker").Should(refused("cannot patch resource"))
		})
	}

	BeforeAll(func(ctx SpecContext) {
		outside = connectAs(ctx, serviceAccount("outside"), nil)
		Eventually(write).WithArguments(ctx, outside, "outside").Should(Succeed())
	})

	It("is written by the ServiceAccount of its name", func(ctx SpecContext) {
		Expect(write(ctx, outside, "outside")).To(Succeed())
		Expect(current(ctx, "outside").Status.NodePorts).To(Equal("31000"))
	})

	It("is all that that one may write", func(ctx SpecContext) {
		Expect(write(ctx, outside, "worker")).To(refused("cannot patch resource"), "by RBAC")
		everyReport(ctx, serviceAccount("outside"))
		Eventually(write).WithArguments(ctx, outside, "worker").Should(refused(
			"system:serviceaccount:exposedapp-system:outside may not write the report of node worker: " +
				"its token is bound to no node"))
	})

	It("is not written by the agents", func(ctx SpecContext) {
		account := serviceAccount("exposedapp-agent")
		for name, agent := range map[string]client.Client{
			" on node worker": connectAs(ctx, account, podOn(ctx, account, "worker")),
			"":                connectAs(ctx, account, nil),
		} {
			Expect(write(ctx, agent, "outside")).To(refused(
				"system:serviceaccount:exposedapp-system:exposedapp-agent" + name +
					" may not write the report of the outside observer outside: " +
					"that is for system:serviceaccount:exposedapp-system:outside, with a token that is bound to no node"))
		}
	})

	It("is not written by the agents even if it has their name", func(ctx SpecContext) {
		account, object := serviceAccount("exposedapp-agent"), report("exposedapp-agent")
		object.Labels = map[string]string{v1alpha1.VantageLabel: v1alpha1.VantageOutside}
		Expect(admin.Create(ctx, object)).To(Succeed())
		Expect(write(ctx, connectAs(ctx, account, podOn(ctx, account, "worker")), "exposedapp-agent")).
			To(refused("with a token that is bound to no node"))
	})

	It("is not written by a pod of whatever ServiceAccount", func(ctx SpecContext) {
		account := serviceAccount("outside")
		Expect(write(ctx, connectAs(ctx, account, podOn(ctx, account, "worker")), "outside")).To(refused(
			"system:serviceaccount:exposedapp-system:outside on node worker may not write the report of the outside observer"))
	})

	It("is not written by its name in another namespace", func(ctx SpecContext) {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "outside"}}
		Expect(admin.Create(ctx, account)).To(Succeed())
		everyReport(ctx, account)
		Eventually(write).WithArguments(ctx, connectAs(ctx, account, nil), "outside").Should(refused(
			"system:serviceaccount:default:outside may not write the report of the outside observer outside"))
	})

	It("is another's if it has another name", func(ctx SpecContext) {
		office := another(ctx, "office")
		Eventually(write).WithArguments(ctx, office, "office").Should(Succeed())
		Expect(write(ctx, office, "outside")).To(refused("cannot patch resource"), "by RBAC")
		everyReport(ctx, serviceAccount("outside"))
		Eventually(write).WithArguments(ctx, outside, "office").Should(refused(
			"system:serviceaccount:exposedapp-system:outside may not write the report of the outside observer office: " +
				"that is for system:serviceaccount:exposedapp-system:office"))

		By("taking the label off")
		run("label", "nodereachability", "office", v1alpha1.VantageLabel+"-")
		Expect(write(ctx, office, "office")).To(refused("its token is bound to no node"))
	})

	It("is that of the Node that owns it, whatever its label", func(ctx SpecContext) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "site"}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		site := another(ctx, "site")
		Eventually(write).WithArguments(ctx, site, "site").Should(Succeed())
		object := current(ctx, "site")
		object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
		Expect(admin.Update(ctx, object)).To(Succeed())

		Expect(write(ctx, site, "site")).To(refused("may not write the report of node site: its token is bound to no node"))
		account := serviceAccount("exposedapp-agent")
		Expect(write(ctx, connectAs(ctx, account, podOn(ctx, account, "site")), "site")).To(Succeed())
		Expect(write(ctx, connectAs(ctx, account, podOn(ctx, account, "worker")), "site")).
			To(refused("on node worker may not write the report of node site"))
	})

	It("is not made anew by the operator where the admin deleted it", func(ctx SpecContext) {
		object := report("left")
		Expect(admin.Create(ctx, object)).To(Succeed())
		apply := func() error {
			return connectAs(ctx, serviceAccount("exposedapp-operator"), nil).Apply(ctx,
				applyv1alpha1.NodeReachability("left").WithUID(object.UID).
					WithSpec(applyv1alpha1.NodeReachabilitySpec().WithHeartbeatSeconds(20)),
				client.FieldOwner(v1alpha1.OperatorName), client.ForceOwnership)
		}
		Expect(apply()).To(Succeed())
		Expect(admin.Delete(ctx, object)).To(Succeed())
		Expect(apply()).To(MatchError(apierrors.IsConflict, "IsConflict"))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(MatchError(apierrors.IsNotFound, "IsNotFound"))
	})
})

// another makes one more observer outside, as the component says how to, and returns
// its client.
func another(ctx SpecContext, name string) client.Client {
	GinkgoHelper()
	manifest, err := os.ReadFile(config + "components/outside-observer/observer.yaml")
	Expect(err).NotTo(HaveOccurred())
	renamed := regexp.MustCompile(`(?m)outside$`).ReplaceAll(manifest, []byte(name))
	path := filepath.Join(GinkgoT().TempDir(), "observer.yaml")
	Expect(os.WriteFile(path, renamed, 0o600)).To(Succeed())
	run("apply", "--filename", path)
	return connectAs(ctx, serviceAccount(name), nil)
}
