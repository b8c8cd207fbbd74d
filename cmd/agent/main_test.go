package main

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestObserver(t *testing.T) {
	for name, c := range map[string]struct {
		options options
		want    string
		fault   string
	}{
		"on a node":    {options{nodeName: "a", workers: 1}, "a", ""},
		"outside":      {options{outsideObserver: "office", workers: 1}, "office", ""},
		"neither":      {options{workers: 1}, "", "--node-name"},
		"both":         {options{nodeName: "a", outsideObserver: "office", workers: 1}, "", "NODE_NAME"},
		"idle workers": {options{nodeName: "a"}, "", "--workers"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := c.options.observer()
			g.Expect(got).To(Equal(c.want))
			if c.fault == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(c.fault)))
			}
		})
	}
}
