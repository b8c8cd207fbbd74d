package manifests

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

var _ = Describe("A request", func() {
	// The API server tells with each answer in which priority level it waited, also
	// of what it refused.
	levelOf := func(ctx SpecContext, account, method, path string) func() (types.UID, error) {
		config := rest.CopyConfig(server)
		config.Impersonate = rest.ImpersonationConfig{
			UserName: "system:serviceaccount:" + system + ":" + account,
			Groups:   []string{"system:serviceaccounts", "system:authenticated"},
		}
		transport, err := rest.HTTPClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		return func() (types.UID, error) {
			request, err := http.NewRequestWithContext(ctx, method, server.Host+path, nil)
			if err != nil {
				return "", err
			}
			response, err := transport.Do(request)
			if err != nil {
				return "", err
			}
			return types.UID(response.Header.Get(flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID)),
				response.Body.Close()
		}
	}

	DescribeTable("waits with its like",
		func(ctx SpecContext, account, method, path, level string) {
			var wanted flowcontrolv1.PriorityLevelConfiguration
			Expect(admin.Get(ctx, client.ObjectKey{Name: level}, &wanted)).To(Succeed())
			Eventually(levelOf(ctx, account, method, path)).Should(Equal(wanted.UID))
		},
		Entry("the status of an app, with Kubernetes' own controllers", v1alpha1.OperatorName, http.MethodPatch,
			"/apis/exposedapp.dev/v1alpha1/namespaces/default/exposedapps/web/status", "workload-high"),
		Entry("a list of nodes", v1alpha1.OperatorName, http.MethodGet, "/api/v1/nodes", "workload-high"),
		Entry("the report of an agent, with those of the others", v1alpha1.AgentName, http.MethodPatch,
			"/apis/exposedapp.dev/v1alpha1/nodereachabilities/worker/status", "exposedapp-reports"),
		Entry("what else an agent asks for, with that of other pods", v1alpha1.AgentName, http.MethodGet,
			"/api/v1/services", "workload-low"),
	)
})
