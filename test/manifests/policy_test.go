package manifests

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
)

var _ = Describe("The report of a node", Ordered, func() {
	var agent client.Client

	BeforeAll(func(ctx SpecContext) {
		account := serviceAccount("exposedapp-agent")
		unbound := connectAs(ctx, account, nil)
		Eventually(write).WithArguments(ctx, unbound, "worker").Should(MatchError(apierrors.IsForbidden, "IsForbidden"))

		agent = connectAs(ctx, account, podOn(ctx, account, "worker"))
	})

	It("is written by the agent on the node", func(ctx SpecContext) {
		Expect(write(ctx, agent, "worker")).To(Succeed())
		Expect(current(ctx, "worker").Status.NodePorts).To(Equal("31000"))
	})

	It("is not written by the agent on another node", func(ctx SpecContext) {
		err := write(ctx, agent, "worker2")
		Expect(err).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
		Expect(err).To(MatchError(ContainSubstring(
			"system:serviceaccount:exposedapp-system:exposedapp-agent on node worker may not write the report of node worker2")))
	})

	It("is not written with a token that is bound to no node", func(ctx SpecContext) {
		err := write(ctx, connectAs(ctx, serviceAccount("exposedapp-agent"), nil), "worker")
		Expect(err).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
		Expect(err).To(MatchError(ContainSubstring("may not write the report of node worker: its token is bound to no node")))
	})

	It("is not written by another node's pod of whatever name", func(ctx SpecContext) {
		renamed := serviceAccount("renamed")
		Expect(admin.Create(ctx, renamed)).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "renamed"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "exposedapp-agent"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: system, Name: "renamed"}},
		})).To(Succeed())
		c := connectAs(ctx, renamed, podOn(ctx, renamed, "worker"))

		Eventually(write).WithArguments(ctx, c, "worker").Should(Succeed())
		Expect(write(ctx, c, "worker2")).To(MatchError(ContainSubstring("may not write the report of node worker2")))
	})

	It("is all that writing it can change", func(ctx SpecContext) {
		before := current(ctx, "worker")

		Expect(agent.Status().Patch(ctx, report("worker"), client.RawPatch(types.MergePatchType, []byte(`{
			"metadata": {
				"labels": {"a": "b"},
				"annotations": {"a": "b"},
				"finalizers": ["exposedapp.dev/stay"],
				"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "worker2", "uid": "1"}]
			},
			"spec": {"heartbeatSeconds": 300},
			"status": {"nodePorts": "31001"}
		}`)))).To(Succeed())

		after := current(ctx, "worker")
		Expect(after.Status.NodePorts).To(Equal("31001"))
		after.Status = before.Status
		after.ResourceVersion, after.ManagedFields = before.ResourceVersion, before.ManagedFields
		Expect(after).To(Equal(before))
	})
})

// podOn makes a pod as the kubelet would find it: its token names the node.
func podOn(ctx SpecContext, account *corev1.ServiceAccount, node string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace, GenerateName: account.Name + "-"},
		Spec: corev1.PodSpec{
			ServiceAccountName: account.Name,
			NodeName:           node,
			Containers:         []corev1.Container{{Name: "agent", Image: "agent"}},
		},
	}
	Expect(admin.Create(ctx, pod)).To(Succeed())
	return pod
}

// current returns the report of an observer as it is.
func current(ctx SpecContext, node string) *v1alpha1.NodeReachability {
	GinkgoHelper()
	found := report(node)
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(found), found)).To(Succeed())
	return found
}

// write writes the status of an observer's report.
func write(ctx SpecContext, c client.Client, node string) error {
	GinkgoHelper()
	patch, err := statuspatch.Of(current(ctx, node).UID, v1alpha1.NodeReachabilityStatus{NodePorts: "31000"})
	Expect(err).NotTo(HaveOccurred())
	return c.Status().Patch(ctx, report(node), client.RawPatch(types.JSONPatchType, patch))
}
