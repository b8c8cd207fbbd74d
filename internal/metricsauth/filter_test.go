package metricsauth_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/exposedapp/exposedapp/internal/metricsauth"
)

// A real API server issues and reviews the tokens.
func TestWithTokenReview(t *testing.T) {
	g := NewWithT(t)
	g.Expect(os.Getenv("KUBEBUILDER_ASSETS")).NotTo(BeEmpty(), "run make test-unit, which names the API server")
	testEnv := &envtest.Environment{}
	config, err := testEnv.Start()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(testEnv.Stop()).To(Succeed()) })
	k8s, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())

	reader := token(t, k8s, "reader")
	stranger := token(t, k8s, "stranger")
	g.Expect(k8s.Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}},
	})).To(Succeed())
	g.Expect(k8s.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "reader"}},
	})).To(Succeed())

	tests := map[string]struct {
		method, path, authorization string
		want                        int
	}{
		"a user who may":              {"GET", "/metrics", "Bearer " + reader, http.StatusOK},
		"the scheme in small":         {"GET", "/metrics", "bearer " + reader, http.StatusOK},
		"another path":                {"GET", "/debug", "Bearer " + reader, http.StatusForbidden},
		"another verb":                {"POST", "/metrics", "Bearer " + reader, http.StatusForbidden},
		"a user who may not":          {"GET", "/metrics", "Bearer " + stranger, http.StatusForbidden},
		"a token that is none":        {"GET", "/metrics", "Bearer x", http.StatusUnauthorized},
		"no token":                    {"GET", "/metrics", "", http.StatusUnauthorized},
		"an empty token":              {"GET", "/metrics", "Bearer ", http.StatusUnauthorized},
		"another way to say who asks": {"GET", "/metrics", "Basic " + reader, http.StatusUnauthorized},
	}
	handler := filtered(t, config)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(ask(handler, test.method, test.path, test.authorization)).To(Equal(test.want))
		})
	}
	t.Run("an API server that cannot be asked", func(t *testing.T) {
		gone := rest.CopyConfig(config)
		gone.Host = "https://127.0.0.1:1"
		NewWithT(t).Expect(ask(filtered(t, gone), "GET", "/metrics", "Bearer "+reader)).
			To(Equal(http.StatusInternalServerError))
	})
}

func token(t *testing.T, k8s client.Client, name string) string {
	t.Helper()
	g := NewWithT(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
	g.Expect(k8s.Create(t.Context(), account)).To(Succeed())
	request := &authenticationv1.TokenRequest{}
	g.Expect(k8s.SubResource("token").Create(t.Context(), account, request)).To(Succeed())
	return request.Status.Token
}

func filtered(t *testing.T, config *rest.Config) http.Handler {
	t.Helper()
	g := NewWithT(t)
	httpClient, err := rest.HTTPClientFor(config)
	g.Expect(err).NotTo(HaveOccurred())
	filter, err := metricsauth.WithTokenReview(config, httpClient)
	g.Expect(err).NotTo(HaveOccurred())
	handler, err := filter(logr.Discard(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	g.Expect(err).NotTo(HaveOccurred())
	return handler
}

func ask(handler http.Handler, method, path, authorization string) int {
	request := httptest.NewRequest(method, path, http.NoBody)
	request.Header.Set("Authorization", authorization)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer.Code
}
