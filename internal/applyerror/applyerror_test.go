package applyerror

import (
	"cmp"
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/exposedapp/exposedapp/test/gen"
)

func TestRefused(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	tests := map[string]struct {
		err     error
		reason  string
		stalled bool
	}{
		"invalid": {
			err:    gen.InvalidService(field.Required(field.NewPath("spec", "ports"), "")),
			reason: "InvalidApp", stalled: true,
		},
		"a conflict":       {err: apierrors.NewConflict(services, "web", errors.New("changed")), reason: "ApplyFailed"},
		"exists":           {err: apierrors.NewAlreadyExists(services, "web"), reason: "ApplyFailed"},
		"too many":         {err: apierrors.NewTooManyRequests("later", 1), reason: "ApplyFailed"},
		"an internal one":  {err: apierrors.NewInternalError(errors.New("range is full")), reason: "ApplyFailed"},
		"a broken network": {err: errors.New("connection reset"), reason: "ApplyFailed"},
	}
	for name, test := range tests {
		for how, err := range map[string]error{"": test.err, ", wrapped": fmt.Errorf("apply: %w", test.err)} {
			t.Run(name+how, func(t *testing.T) {
				g := NewWithT(t)
				got := Of("Service", err)
				g.Expect(got.Reason).To(Equal(test.reason))
				g.Expect(got.Message).To(SatisfyAll(ContainSubstring("the Service"), ContainSubstring(err.Error())))
				g.Expect(got.IsStalled()).To(Equal(test.stalled))
				if test.stalled {
					g.Expect(got.Err()).NotTo(HaveOccurred(), "the operator sleeps until a human edits")
					g.Expect(got.Pause()).To(Equal(retryInvalid), "or a webhook is gone")
				} else {
					g.Expect(got.Err()).To(MatchError(test.err))
				}
			})
		}
	}
	t.Run("not at all", func(t *testing.T) {
		g := NewWithT(t)
		got := Of("Service", nil)
		g.Expect(got).To(BeNil())
		g.Expect(got.Err()).NotTo(HaveOccurred())
		g.Expect(got.IsStalled()).To(BeFalse())
	})
}

// What a quota or a policy has against a child may pass by itself, and nothing in the spec
// is known to be wrong. The operator asks again, ever at the same pace.
func TestRefusedByTheCluster(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	policy := apierrors.NewForbidden(services, "web", errors.New("ValidatingAdmissionPolicy 'p' denied request: no"))
	// As the API server answers where a policy gives no reason of its own.
	policy.ErrStatus.Reason, policy.ErrStatus.Code = metav1.StatusReasonInvalid, 422
	policy.ErrStatus.Details.Causes = []metav1.StatusCause{{Message: "no"}}
	for name, err := range map[string]error{
		"a quota":                  apierrors.NewForbidden(services, "web", errors.New("exceeded quota: q")),
		"a policy":                 policy,
		"a webhook":                apierrors.NewBadRequest("admission webhook \"w\" denied the request: no"),
		"what others changed":      driftError{gen.InvalidService(field.Duplicate(field.NewPath("spec", "ports").Index(1), 80))},
		"what others changed, too": fmt.Errorf("apply: %w", driftError{policy}),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := Of("Service", err)
			g.Expect(got.Reason).To(Equal("ApplyFailed"))
			g.Expect(got.Message).To(SatisfyAll(ContainSubstring("the Service"), ContainSubstring(err.Error()),
				Not(ContainSubstring("spec,"))))
			g.Expect(got.IsStalled()).To(BeFalse())
			g.Expect(got.Err()).NotTo(HaveOccurred(), "it would be tried ever later")
			g.Expect(got.Pause()).To(Equal(retryRefused))
		})
	}
}

// A namespace that is being deleted takes the ExposedApp with it: trying again
// would only fill the log.
func TestRefusedInTerminatingNamespace(t *testing.T) {
	g := NewWithT(t)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "web", errors.New("terminating"))
	forbidden.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	got := Of("Service", forbidden)
	g.Expect(got.Reason).To(Equal("ApplyFailed"))
	g.Expect(got.IsStalled()).To(BeFalse())
	g.Expect(got.Err()).NotTo(HaveOccurred())
}

func TestNameConflict(t *testing.T) {
	g := NewWithT(t)
	got := NameConflict("Service", "shop", "web")
	g.Expect(got.Reason).To(Equal("NameConflict"))
	g.Expect(got.Message).To(HavePrefix("Service shop/web exists and is not owned by this ExposedApp"))
	g.Expect(got.IsStalled()).To(BeTrue())
	g.Expect(got.Err()).NotTo(HaveOccurred())
}

func TestPortCause(t *testing.T) {
	const (
		allocated  = "provided port is already allocated"
		outOfRange = "provided port is not in the valid range. The range of valid ports is 30000-32767"
	)
	nodePort := field.NewPath("spec", "ports").Index(0).Child("nodePort")
	tests := map[string]struct {
		err        error
		nodePort   int32
		taken      bool
		outOfRange string
	}{
		"no error": {},
		"taken":    {err: gen.InvalidService(field.Invalid(nodePort, 31000, allocated)), taken: true},
		"taken, wrapped": {
			err: fmt.Errorf("apply: %w", gen.InvalidService(field.Invalid(nodePort, 31000, allocated))), taken: true,
		},
		"out of range": {
			err:        gen.InvalidService(field.Invalid(nodePort, 8080, outOfRange)),
			nodePort:   8080,
			outOfRange: "Invalid value: 8080: " + outOfRange,
		},
		"taken, of a port that stands elsewhere": {
			err: gen.InvalidService(field.Invalid(field.NewPath("spec", "ports").Index(2).Child("nodePort"), 31000, allocated)), taken: true,
		},
		"another node port of the Service": {err: gen.InvalidService(field.Invalid(nodePort, 31001, allocated))},
		"taken, behind another cause": {
			err:   gen.InvalidService(field.Required(field.NewPath("spec", "selector"), ""), field.Invalid(nodePort, 31000, allocated)),
			taken: true,
		},
		"something else about the node port": {
			err: gen.InvalidService(field.Invalid(nodePort, 31000, "may not be used when `type` is 'ClusterIP'")),
		},
		"the same text about another port of the Service": {
			err: gen.InvalidService(field.Invalid(field.NewPath("spec", "healthCheckNodePort"), 31000, allocated)),
		},
		"another kind of cause":   {err: gen.InvalidService(field.Forbidden(nodePort, allocated))},
		"no details":              {err: &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonInvalid}}},
		"not from the API server": {err: errors.New(allocated)},
		"another status":          {err: apierrors.NewBadRequest(allocated)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			test.nodePort = cmp.Or(test.nodePort, 31000)
			taken, outOfRange := PortCause(test.err, test.nodePort)
			g.Expect(taken).To(Equal(test.taken))
			g.Expect(outOfRange).To(Equal(test.outOfRange))
		})
	}
}
