package e2e_test

import (
	"path/filepath"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The samples", func() {
	It("become Ready", func(ctx SpecContext) {
		const folder = "../../config/samples"
		namespace := newNamespace(ctx, "samples")
		files, err := filepath.Glob(folder + "/*.yaml")
		Expect(err).NotTo(HaveOccurred())

		var samples []app
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".yaml")
			// The workshop has podinfo, on a port that only one can have.
			if name == "kustomization" || name == "podinfo" {
				continue
			}
			kubectl(ctx, "apply", "--namespace", namespace, "--filename", file)
			samples = append(samples, app{namespace, name})
		}
		Expect(samples).To(ConsistOf(app{namespace, "minimal"}, app{namespace, "local"}))

		for _, sample := range samples {
			sample.waitReady(ctx)
			Expect(sample.kstatus(ctx)).To(Equal(status.CurrentStatus))
			Expect(sample.field(ctx, "exposedapp", "{.status.nodePort}")).NotTo(BeEmpty())
		}
	})
})
