package main

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/labels"
)

func TestExpectedNodesAreSelected(t *testing.T) {
	g := NewWithT(t)
	g.Expect(options{}.nodeSelector()).To(BeNil(), "by default no node is left out")

	selector, err := options{expectedNodes: "!node.kubernetes.io/exclude-from-external-load-balancers"}.nodeSelector()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(selector.Matches(labels.Set{})).To(BeTrue())
	g.Expect(selector.Matches(labels.Set{"node.kubernetes.io/exclude-from-external-load-balancers": ""})).To(BeFalse())

	_, err = options{expectedNodes: "type in virtual"}.nodeSelector()
	g.Expect(err).To(MatchError(ContainSubstring(`--expected-nodes "type in virtual" is not a label selector, such as`)))
}
