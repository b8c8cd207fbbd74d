package lease_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/exposedapp/exposedapp/internal/lease"
)

const duration = 3 * time.Second

// lock stands in for a Lease in the API server, which answers after latency.
type lock struct {
	resourcelock.Interface

	err     error
	latency time.Duration
}

func (l *lock) Identity() string { return "me" }
func (l *lock) Create(context.Context, resourcelock.LeaderElectionRecord) error {
	time.Sleep(l.latency)
	return l.err
}

func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.Create(ctx, record)
}

func heldBy(who string) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: who}
}

// waits reports whether a write would have to wait.
func waits(t *testing.T, fence *lease.Fence) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	return errors.Is(fence.Await(ctx), context.DeadlineExceeded)
}

func TestWritesWaitForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		on := &lock{}
		fence := lease.NewFence(on, duration)
		g.Expect(waits(t, fence)).To(BeTrue(), "it was never held")

		g.Expect(fence.Create(t.Context(), heldBy("me"))).To(Succeed())
		g.Expect(waits(t, fence)).To(BeFalse())
		time.Sleep(duration - time.Millisecond)
		g.Expect(waits(t, fence)).To(BeFalse())
		time.Sleep(time.Millisecond)
		g.Expect(waits(t, fence)).To(BeTrue(), "another may have it now")

		g.Expect(fence.Update(t.Context(), heldBy("me"))).To(Succeed())
		g.Expect(waits(t, fence)).To(BeFalse())
		g.Expect(fence.Update(t.Context(), heldBy(""))).To(Succeed())
		g.Expect(waits(t, fence)).To(BeTrue(), "it was given up")

		on.err = errors.New("away")
		g.Expect(fence.Update(t.Context(), heldBy("me"))).To(MatchError("away"))
		g.Expect(waits(t, fence)).To(BeTrue(), "it was not renewed")
	})
}

// Others may count from the moment at which the request reached the API server, however late
// the answer comes.
func TestLeaseCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		fence := lease.NewFence(&lock{latency: duration}, duration)
		g.Expect(fence.Update(t.Context(), heldBy("me"))).To(Succeed())
		g.Expect(waits(t, fence)).To(BeTrue())
	})
}

func TestWriteGoesOnOnceTheLeaseIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		fence := lease.NewFence(&lock{}, duration)
		started := time.Now()
		go func() {
			time.Sleep(time.Minute)
			_ = fence.Update(t.Context(), heldBy("me"))
		}()
		g.Expect(fence.Await(t.Context())).To(Succeed())
		g.Expect(time.Since(started)).To(Equal(time.Minute))
	})
}

// client-go warns of each request that it cannot cancel for want of the transport beneath.
func TestTransportBeneathIsFound(t *testing.T) {
	fence := lease.NewFence(&lock{}, duration)
	wrapper, ok := fence.Wrap(http.DefaultTransport).(net.RoundTripperWrapper)
	NewWithT(t).Expect(ok && wrapper.WrappedRoundTripper() == http.DefaultTransport).To(BeTrue())
}

func TestOnlyWritesWait(t *testing.T) {
	g := NewWithT(t)
	var served []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		served = append(served, r.Method+" "+string(body))
	}))
	defer server.Close()
	fence := lease.NewFence(&lock{}, time.Hour)
	fenced := http.Client{Transport: fence.Wrap(http.DefaultTransport)}
	send := func(method, path string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader("x"))
		g.Expect(err).NotTo(HaveOccurred())
		response, err := fenced.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	g.Expect(send(http.MethodGet, "/")).To(Succeed())
	for _, method := range []string{http.MethodPatch, http.MethodPut, http.MethodPost, http.MethodDelete} {
		g.Expect(send(method, "/apis/apps/v1/deployments")).To(MatchError(context.DeadlineExceeded), method)
	}
	for _, review := range []string{"authentication.k8s.io/v1/tokenreviews", "authorization.k8s.io/v1/subjectaccessreviews"} {
		g.Expect(send(http.MethodPost, "/apis/"+review)).To(Succeed(), "it is a question")
	}
	g.Expect(served).To(Equal([]string{"GET x", "POST x", "POST x"}))
	g.Expect(fence.Update(t.Context(), heldBy("me"))).To(Succeed())
	g.Expect(send(http.MethodPatch, "/")).To(Succeed())
	g.Expect(served).To(HaveExactElements("GET x", "POST x", "POST x", "PATCH x"))
}
