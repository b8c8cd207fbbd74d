package manifests

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Applying", func() {
	DescribeTable("config/default again changes nothing",
		func(flags ...string) {
			// By version rather than by what kubectl says: it calls every
			// PodDisruptionBudget "configured".
			apply := func() string {
				return run(append([]string{"apply", "--kustomize", config + "default", "--output",
					`go-template={{range .items}}{{.kind}}/{{.metadata.name}} {{.metadata.resourceVersion}}{{"\n"}}{{end}}`},
					flags...)...)
			}
			first := apply()
			Expect(first).To(ContainSubstring("Deployment/exposedapp-operator"))
			Expect(apply()).To(Equal(first))
		},
		Entry("on the client's side"),
		Entry("on the server's side", "--server-side", "--force-conflicts"),
	)

	It("config/samples is accepted", func() {
		run("apply", "--kustomize", config+"samples", "--dry-run=server")
	})

	It("leaves the label of the operator's children to them", func() {
		Expect(run("kustomize", config+"default")).NotTo(ContainSubstring("app.kubernetes.io/managed-by"))
	})
})
