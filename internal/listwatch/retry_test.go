package listwatch

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
				var failed, answered int
				note := func(err error) {
					if err != nil {
						failed++
						return
					}
					answered++
				}
				began := time.Now()
				answer, err := retryWhileUnavailable(t.Context(), note, func() (string, error) {
					if time.Since(began) < time.Minute {
						return "", failure
					}
					return "there", nil
				})
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(answer).To(Equal("there"))
				g.Expect(time.Since(began)).To(BeNumerically("<=", time.Minute+2*time.Second))
				g.Expect(failed).To(BeNumerically("~", 45, 15), "a try every second or two")
				g.Expect(answered).To(Equal(1))
			})
		})
	}
}

func TestOperatorTriesNothingAgainThatIsRefusedForGood(t *testing.T) {
	g := NewWithT(t)
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New("no"))
	var noted []error
	_, err := retryWhileUnavailable(t.Context(), func(err error) { noted = append(noted, err) }, func() (string, error) { return "", forbidden })
	g.Expect(err).To(Equal(forbidden))
	g.Expect(noted).To(HaveExactElements(MatchError(forbidden)))
}

func TestOperatorStopsWhileTheAPIServerIsAway(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := retryWhileUnavailable(ctx, func(error) { cancel() }, func() (string, error) { return "", syscall.ECONNREFUSED })
	g.Expect(err).To(MatchError(syscall.ECONNREFUSED))
}
