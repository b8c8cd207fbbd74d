package probe_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// led is a Dialer of connections that take a path, or fail.
type led struct {
	probe.Unwatched
	path probe.Path
	err  error
}

func (l *led) Dial(ctx context.Context, address netip.AddrPort) (*net.TCPConn, probe.Path, error) {
	if l.err != nil {
		return nil, l.path, l.err
	}
	conn, _, err := l.Unwatched.Dial(ctx, address)
	return conn, l.path, err
}

// asker says the same always.
type asker struct {
	result probe.Result
	err    error
	asked  atomic.Int32
}

func (a *asker) Ask(context.Context, netip.AddrPort) (probe.Result, error) {
	a.asked.Add(1)
	return a.result, a.err
}

// TestProver: what the address says itself counts before a translated dial, and the
// app's failure where the address takes connections.
func TestProver(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	remote := netip.MustParseAddrPort("10.1.0.7:9898")
	translated := probe.Path{Way: probe.Translated, Remote: remote}
	proven := probe.Path{Way: probe.Translated, Remote: remote, Proven: true}
	refusal := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	silent := probe.Result{Reason: probe.Timeout, Message: "no answer"}
	for name, tc := range map[string]struct {
		path     probe.Path
		status   int
		err      error
		says     probe.Result
		unasked  error
		detoured bool
		foreign  bool
		want     probe.Reason
		wantPath probe.Path
		asked    int32
	}{
		"works":             {path: translated, wantPath: proven, asked: 1},
		"works as expected": {path: translated, detoured: true, wantPath: proven, asked: 1},
		"the node is silent": {
			path: translated, says: silent, want: probe.Timeout, wantPath: proven, asked: 1,
		},
		"the node refuses, the app as well": {
			path: translated, err: refusal, says: probe.Result{Reason: probe.ConnectionRefused},
			want: probe.ConnectionRefused, wantPath: proven, asked: 1,
		},
		"the app fails behind a node that works": {
			path: translated, status: http.StatusBadGateway, want: probe.HTTPStatus, wantPath: proven, asked: 1,
		},
		"refused as before, unseen": {
			detoured: true, err: refusal, want: probe.ConnectionRefused,
			wantPath: probe.Path{Way: probe.Translated, Proven: true}, asked: 1,
		},
		"refused, unseen":      {err: refusal, want: probe.ConnectionRefused},
		"direct":               {path: probe.Path{Way: probe.Direct}, wantPath: probe.Path{Way: probe.Direct}},
		"could not be asked":   {path: translated, unasked: errors.New("no room"), wantPath: translated, asked: 1},
		"may not be asked":     {path: translated, foreign: true, detoured: true, wantPath: translated},
		"this host's own":      {path: probe.Path{Way: probe.Translated, Own: true}, wantPath: probe.Path{Way: probe.Translated, Own: true}},
		"direct, not expected": {path: probe.Path{Way: probe.Direct}, detoured: true, wantPath: probe.Path{Way: probe.Direct}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			status = max(tc.status, http.StatusOK)
			address := &asker{result: tc.says, err: tc.unasked}
			prover := probe.NewProver(probe.New(&led{path: tc.path, err: tc.err}, "test"), address)
			result := prover.Probe(t.Context(), probe.Target{
				Address: netip.MustParseAddrPort(server.Listener.Addr().String()), Path: "/", Timeout: time.Minute,
				Provable: !tc.foreign, Detoured: tc.detoured,
			})
			g.Expect(result.Reason).To(Equal(tc.want))
			g.Expect(result.Path).To(Equal(tc.wantPath))
			g.Eventually(address.asked.Load).Should(Equal(tc.asked))
		})
	}
}
