// Package manifests proves what config/ promises, against a real API server:
// that it applies and applies again without a change, that each program may do
// what it needs and nothing else, that an agent can speak for its own node only and an
// observer outside of the cluster for itself, that thousands of them do not keep the operator waiting, and that the pods meet the
// restricted Pod Security level.
package manifests

import (
	"io"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

const (
	config = "../../config/"
	system = "exposedapp-system"
)

var (
	scheme = runtime.NewScheme()
	server *rest.Config
	// admin may do everything.
	admin client.Client
	// run runs kubectl as admin.
	run func(args ...string) string
)

func TestManifests(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Manifests")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	// Roles and policies are in force a moment after they are applied.
	SetDefaultEventuallyTimeout(30 * time.Second)
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "set it to what `go run ./hack/lab assets` prints")
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())

	environment := &envtest.Environment{}
	// Off by default, and on where it asks most of the operator.
	environment.ControlPlane.GetAPIServer().Configure().
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	var err error
	server, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	admin = connect(server)

	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	kubectl, err := user.Kubectl()
	Expect(err).NotTo(HaveOccurred())
	run = func(args ...string) string {
		GinkgoHelper()
		stdout, stderr, err := kubectl.Run(args...)
		complaint, _ := io.ReadAll(stderr)
		Expect(err).NotTo(HaveOccurred(), "kubectl %v: %s", args, complaint)
		output, err := io.ReadAll(stdout)
		Expect(err).NotTo(HaveOccurred())
		return string(output)
	}
	run("apply", "--kustomize", config+"default")
	run("wait", "--for=condition=Established", "--filename", config+"crd/bases")
	run("apply", "--kustomize", "testdata/outside")

	for _, name := range []string{"worker", "worker2"} {
		Expect(admin.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
		Expect(admin.Create(ctx, report(name))).To(Succeed())
	}
})

func report(node string) *v1alpha1.NodeReachability {
	return &v1alpha1.NodeReachability{ObjectMeta: metav1.ObjectMeta{Name: node}}
}

func connect(config *rest.Config) client.Client {
	GinkgoHelper()
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func serviceAccount(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}}
}

// connectAs returns the client of a service account, with a token bound to pod
// unless that is nil.
func connectAs(ctx SpecContext, account *corev1.ServiceAccount, pod *corev1.Pod) client.Client {
	GinkgoHelper()
	request := &authenticationv1.TokenRequest{}
	if pod != nil {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID,
		}
	}
	Expect(admin.SubResource("token").Create(ctx, account, request)).To(Succeed())
	config := rest.AnonymousClientConfig(server)
	config.BearerToken = request.Status.Token
	return connect(config)
}
