package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/protocol"
)

// TestLongProbes: whatever the CRD admits is read, and what is longer costs
// nothing.
func TestLongProbes(t *testing.T) {
	g := NewWithT(t)
	path := "/" + strings.Repeat("<", 1023)
	longest, err := json.Marshal(v1alpha1.ProbeSpec{
		Path: path, PeriodSeconds: 300, TimeoutSeconds: 60, FailureThreshold: 10,
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(protocol.DecodeProbe(string(longest))).To(Equal(protocol.Probe{Path: path, Period: 5 * time.Minute, Timeout: time.Minute, Threshold: 10}))
	g.Expect(protocol.DecodeProbe(`{"periodSeconds":7` + strings.Repeat(" ", protocol.MaxProbe) + "}")).To(Equal(protocol.DecodeProbe("")))
}

func TestDecodeProbe(t *testing.T) {
	preset := protocol.Probe{Path: "/", Period: 5 * time.Second, Timeout: 2 * time.Second, Threshold: 2}
	for annotation, want := range map[string]protocol.Probe{
		``:                                       preset,
		`{}`:                                     preset,
		`null`:                                   preset,
		`{"path":"/x"`:                           preset,
		`{"periodSeconds":"5"}`:                  preset,
		`{"periodSeconds":99999999999999999999}`: preset,
		`{"path":"x"}`:                           preset,
		`{"path":"/ x"}`:                         preset,
		`{"path":"/\r\nHost: x"}`:                preset,
		`{"path":"/é"}`:                          preset,
		`{"path":"/` + strings.Repeat("x", 1024) + `"}`: preset,
		`{"path":"/a?b=c%20d"}`:                         {"/a?b=c%20d", 5 * time.Second, 2 * time.Second, 2},
		`{"periodSeconds":-1,"timeoutSeconds":-1,"failureThreshold":-1}`: {
			"/", time.Second, time.Second, 1,
		},
		`{"periodSeconds":999,"timeoutSeconds":999,"failureThreshold":999}`: {
			"/", 300 * time.Second, 60 * time.Second, 10,
		},
		`{"periodSeconds":1}`: {"/", time.Second, time.Second, 2},
	} {
		t.Run(annotation, func(t *testing.T) {
			NewWithT(t).Expect(protocol.DecodeProbe(annotation)).To(Equal(want))
		})
	}
}
