package manifests

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	applyv1alpha1 "github.com/exposedapp/exposedapp/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/statuspatch"
)

var _ = Describe("A role", func() {
	It("has no wildcard and no secret in it", func(ctx SpecContext) {
		var roles rbacv1.ClusterRoleList
		ours := client.MatchingLabels{"app.kubernetes.io/part-of": "exposedapp"}
		Expect(admin.List(ctx, &roles, ours)).To(Succeed())
		var local rbacv1.RoleList
		Expect(admin.List(ctx, &local, ours)).To(Succeed())

		var rules []rbacv1.PolicyRule
		for _, role := range roles.Items {
			rules = append(rules, role.Rules...)
		}
		for _, role := range local.Items {
			rules = append(rules, role.Rules...)
		}
		Expect(rules).NotTo(BeEmpty())
		for _, rule := range rules {
			words := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs)
			Expect(words).NotTo(ContainElement(Or(ContainSubstring("*"), ContainSubstring("secret"))))
		}
	})

	// The tables are the whole of it: every verb on every resource that the API
	// server knows is asked for.
	everywhere := []string{
		"exposedapp.dev/exposedapps: get list watch",
		"exposedapp.dev/exposedapps/status: patch",
		"exposedapp.dev/exposedapps/finalizers: update",
		"exposedapp.dev/nodereachabilities: get list watch create patch",
		"apps/deployments: get list watch create patch delete",
		"services: get list watch create patch delete",
		"pods: list",
		"nodes: get list watch",
		"discovery.k8s.io/endpointslices: get list watch",
		"events.k8s.io/events: create patch",
		"authentication.k8s.io/tokenreviews: create",
		"authorization.k8s.io/subjectaccessreviews: create",
	}
	DescribeTable("allows exactly this",
		func(ctx SpecContext, account, namespace string, want []string) {
			user := "system:serviceaccount:" + system + ":" + account
			Expect(allowed(ctx, user, namespace)).To(ConsistOf(want))
		},
		Entry("the operator in every namespace", "exposedapp-operator", "", everywhere),
		Entry("the operator in its own namespace", "exposedapp-operator", system, append([]string{
			"coordination.k8s.io/leases: create",
			"events: create patch",
		}, everywhere...)),
		Entry("the agent", "exposedapp-agent", system, []string{
			"services: get list watch",
			"discovery.k8s.io/endpointslices: get list watch",
			"exposedapp.dev/nodereachabilities: get list watch",
			"exposedapp.dev/nodereachabilities/status: patch",
		}),
		// And its own report, below.
		Entry("an observer outside", "outside", system, []string{
			"services: get list watch",
			"discovery.k8s.io/endpointslices: get list watch",
		}),
	)

	It("leaves an observer outside its own report only", func(ctx SpecContext) {
		verbs := map[string][]string{"": {"get", "list", "watch", "patch"}, "status": {"get", "patch", "update"}}
		for name, want := range map[string][]string{"outside": {"get", "list", "watch", "patch status"}, "worker": nil} {
			var found []string
			for subresource, all := range verbs {
				for _, verb := range all {
					if may(ctx, authorizationv1.SubjectAccessReviewSpec{
						User: "system:serviceaccount:" + system + ":outside",
						ResourceAttributes: &authorizationv1.ResourceAttributes{
							Group: v1alpha1.SchemeGroupVersion.Group, Resource: "nodereachabilities", Subresource: subresource,
							Verb: verb, Name: name,
						},
					}) {
						found = append(found, strings.TrimSpace(verb+" "+subresource))
					}
				}
			}
			Expect(found).To(ConsistOf(want), name)
		}
	})

	It("leaves the operator its own lease only", func(ctx SpecContext) {
		for name, want := range map[string]bool{"exposedapp-operator": true, "another": false} {
			for _, verb := range []string{"get", "update"} {
				Expect(may(ctx, authorizationv1.SubjectAccessReviewSpec{
					User: "system:serviceaccount:" + system + ":exposedapp-operator",
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Namespace: system, Group: "coordination.k8s.io", Resource: "leases", Verb: verb, Name: name,
					},
				})).To(Equal(want), "%s %s", verb, name)
			}
		}
	})

	It("lets whoever is bound to it read the metrics", func(ctx SpecContext) {
		Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "exposedapp-metrics-reader"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "prometheus"}},
		})).To(Succeed())
		Eventually(may).WithArguments(ctx, authorizationv1.SubjectAccessReviewSpec{
			User:                  "prometheus",
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"},
		}).Should(BeTrue())
	})

	DescribeTable("lets a user of a namespace",
		func(ctx SpecContext, role string, want ...string) {
			Expect(admin.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: role},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role}},
			})).To(Succeed())
			Eventually(allowed).WithArguments(ctx, role, "default").Should(ConsistOf(want))
		},
		Entry("view", "exposedapp-view",
			"exposedapp.dev/exposedapps: get list watch",
			"exposedapp.dev/exposedapps/scale: get list watch",
			"exposedapp.dev/exposedapps/status: get list watch",
			"exposedapp.dev/nodereachabilities: get list watch",
			"exposedapp.dev/nodereachabilities/status: get list watch",
		),
		Entry("edit", "exposedapp-edit",
			"exposedapp.dev/exposedapps: create update patch delete deletecollection",
			"exposedapp.dev/exposedapps/scale: update patch",
		),
	)
})

var _ = Describe("The operator", func() {
	It("can apply what it owns", func(ctx SpecContext) {
		operator := connectAs(ctx, serviceAccount("exposedapp-operator"), nil)
		owner := []client.ApplyOption{client.FieldOwner(v1alpha1.OperatorName), client.ForceOwnership}

		app := &v1alpha1.ExposedApp{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
		Expect(admin.Create(ctx, app)).To(Succeed())
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		ownedByApp := metav1ac.OwnerReference().
			WithAPIVersion(v1alpha1.SchemeGroupVersion.String()).WithKind("ExposedApp").
			WithName(app.Name).WithUID(app.UID).WithController(true).WithBlockOwnerDeletion(true)
		ownedByNode := metav1ac.OwnerReference().
			WithAPIVersion("v1").WithKind("Node").WithName(node.Name).WithUID(node.UID)
		labels := map[string]string{v1alpha1.NameLabel: app.Name}

		// Twice: the first creates, the second updates.
		for _, image := range []string{"podinfo:1", "podinfo:2"} {
			Expect(operator.Apply(ctx, appsv1ac.Deployment(app.Name, app.Namespace).
				WithOwnerReferences(ownedByApp).
				WithSpec(appsv1ac.DeploymentSpec().
					WithSelector(metav1ac.LabelSelector().WithMatchLabels(labels)).
					WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).
						WithSpec(corev1ac.PodSpec().WithContainers(
							corev1ac.Container().WithName("app").WithImage(image))))), owner...)).To(Succeed())
			Expect(operator.Apply(ctx, corev1ac.Service(app.Name, app.Namespace).
				WithOwnerReferences(ownedByApp).
				WithAnnotations(map[string]string{v1alpha1.ProbeAnnotation: image}).
				WithSpec(corev1ac.ServiceSpec().WithSelector(labels).
					WithPorts(corev1ac.ServicePort().WithPort(80))), owner...)).To(Succeed())
			Expect(operator.Apply(ctx, applyv1alpha1.NodeReachability(node.Name).
				WithOwnerReferences(ownedByNode).
				WithSpec(applyv1alpha1.NodeReachabilitySpec().WithTargets(
					applyv1alpha1.Target().WithNode(image))), owner...)).To(Succeed())
		}
		patch, err := statuspatch.Of(app.UID, v1alpha1.ExposedAppStatus{NodePort: 31000})
		Expect(err).NotTo(HaveOccurred())
		Expect(operator.Status().Patch(ctx, app, client.RawPatch(types.JSONPatchType, patch))).To(Succeed())
		Expect(operator.List(ctx, &corev1.PodList{}, client.InNamespace("default"), client.MatchingLabels(labels))).To(Succeed())
		Expect(operator.Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: "t"},
		})).To(Succeed())
	})
})

// allowed returns what the user may do in the namespace, every namespace when
// that is empty, as in "apps/deployments: get list".
func allowed(ctx SpecContext, user, namespace string) []string {
	GinkgoHelper()
	var found []string
	for _, resource := range resources() {
		name, subresource, _ := strings.Cut(resource.Resource, "/")
		var verbs []string
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} {
			if may(ctx, authorizationv1.SubjectAccessReviewSpec{
				User: user,
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: namespace, Group: resource.Group, Resource: name, Subresource: subresource, Verb: verb,
				},
			}) {
				verbs = append(verbs, verb)
			}
		}
		if len(verbs) > 0 {
			found = append(found, strings.TrimPrefix(resource.Group+"/"+resource.Resource, "/")+": "+strings.Join(verbs, " "))
		}
	}
	return found
}

func may(ctx SpecContext, spec authorizationv1.SubjectAccessReviewSpec) bool {
	GinkgoHelper()
	review := &authorizationv1.SubjectAccessReview{Spec: spec}
	Expect(admin.Create(ctx, review)).To(Succeed())
	return review.Status.Allowed
}

// resources returns every resource and subresource that the API server serves,
// and the finalizers of owners, which exist in RBAC alone.
func resources() []schema.GroupResource {
	GinkgoHelper()
	found := []schema.GroupResource{
		{Group: v1alpha1.SchemeGroupVersion.Group, Resource: "exposedapps/finalizers"},
		{Resource: "nodes/finalizers"},
	}
	api, err := discovery.NewDiscoveryClientForConfig(server)
	Expect(err).NotTo(HaveOccurred())
	_, lists, err := api.ServerGroupsAndResources()
	Expect(err).NotTo(HaveOccurred())
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		Expect(err).NotTo(HaveOccurred())
		for _, resource := range list.APIResources {
			found = append(found, schema.GroupResource{Group: version.Group, Resource: resource.Name})
		}
	}
	slices.SortFunc(found, func(a, b schema.GroupResource) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(found)
}
