package exposedapp

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestOperatorIsBackSoonAfterTheAPIServer(t *testing.T) {
	for name, failure := range map[string]error{
		"refused":   fmt.Errorf("dial: %w", syscall.ECONNREFUSED),
		"not ready": apierrors.NewServiceUnavailable("starting"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				var lost, found int
				began := time.Now()
				answer, err := untilThere(t.Context(), func() { lost++ }, func() { found++ }, func() (string, error) {
					if time.Since(began) < time.Minute {
						return "", failure
					}
					return "there", nil
				})
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(answer).To(Equal("there"))
				g.Expect(time.Since(began)).To(BeNumerically("<=", time.Minute+2*time.Second))
				g.Expect([]int{lost, found}).To(Equal([]int{1, 1}))
			})
		})
	}
}

func TestOperatorTriesNothingAgainThatIsRefusedForGood(t *testing.T) {
	g := NewWithT(t)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New("no"))
	unexpected := func() { t.Error("the API server is there") }
	_, err := untilThere(t.Context(), unexpected, unexpected, func() (string, error) { return "", forbidden })
	g.Expect(err).To(Equal(forbidden))
}

func TestOperatorStopsWhileTheAPIServerIsAway(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := untilThere(ctx, cancel, func() {}, func() (string, error) { return "", syscall.ECONNREFUSED })
	g.Expect(err).To(MatchError(syscall.ECONNREFUSED))
}
