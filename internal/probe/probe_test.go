package probe_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/probe"
)

const timeout = time.Second

func TestProbeJudgesHTTP(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    probe.Result
	}{
		{"200", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
		}, probe.Result{}},
		{"204", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}, probe.Result{}},
		{"a redirect counts and is not followed", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Errorf("redirect to %s was followed", r.URL.Path)
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, probe.Result{}},
		{"informational answers do not count", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		}, probe.Result{}},
		{"informational answers before a failure", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusBadGateway)
		}, probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 502 Bad Gateway"}},
		{"500", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		}, probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 500 Internal Server Error"}},
		{"404", http.NotFound, probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 404 Not Found"}},
		{"a code without a name", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(599)
		}, probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 599"}},
		{"an endless body", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, probe.Result{}},
		{"huge headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
		}, probe.Result{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(tc.handler)
			t.Cleanup(server.Close)
			address := netip.MustParseAddrPort(server.Listener.Addr().String())
			NewWithT(t).Expect(dial(t, address, "/")).To(Equal(tc.want))
		})
	}
}

func TestProbeSends(t *testing.T) {
	g := NewWithT(t)
	requests := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests <- r
	}))
	t.Cleanup(server.Close)
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	address := netip.MustParseAddrPort(server.Listener.Addr().String())

	g.Expect(dial(t, address, "/status?deep=1&x=%20")).To(Equal(probe.Result{}))
	r := <-requests
	g.Expect(r.Method).To(Equal(http.MethodGet))
	g.Expect(r.RequestURI).To(Equal("/status?deep=1&x=%20"))
	g.Expect(r.Host).To(Equal(address.String()))
	g.Expect(r.UserAgent()).To(Equal("exposedapp-agent/test"))
	g.Expect(r.Close).To(BeTrue())

	// A path is data from the cluster: it must not grow into another header.
	g.Expect(dial(t, address, "x y\r\nHost: evil\r\n\r\n")).To(Equal(probe.Result{}))
	r = <-requests
	g.Expect(r.RequestURI).To(Equal("/x%20y%0D%0AHost:%20evil%0D%0A%0D%0A"))
	g.Expect(r.Host).To(Equal(address.String()))
}

func TestProbeMeetsOddPeers(t *testing.T) {
	malformed := probe.Result{Reason: probe.ProtocolError, Message: "malformed HTTP status line"}
	for _, tc := range []struct {
		name string
		peer func(conn *net.TCPConn)
		want probe.Result
	}{
		{"reset in place of an answer", func(conn *net.TCPConn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_ = conn.SetLinger(0)
		}, probe.Result{Reason: probe.ConnectionReset, Message: "read: connection reset by peer"}},
		{"closes without an answer", func(conn *net.TCPConn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
		}, probe.Result{Reason: probe.ProtocolError, Message: "connection closed without an answer"}},
		{"never answers", func(conn *net.TCPConn) {
			_, _ = io.Copy(io.Discard, conn)
		}, probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}},
		{"answers too slowly", func(conn *net.TCPConn) {
			for range 100 {
				_, _ = io.WriteString(conn, "H")
				time.Sleep(timeout / 10)
			}
		}, probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}},
		{"speaks SSH", answer("SSH-2.0-OpenSSH_9.9\r\n"), malformed},
		{"speaks TLS", answer("\x15\x03\x01\x00\x02\x02\x16\n"), malformed},
		{"a code that is none", answer("HTTP/1.1 2e2 OK\r\n\r\n"), malformed},
		{"a negative code", answer("HTTP/1.1 -20 OK\r\n\r\n"), malformed},
		{"a code of four digits", answer("HTTP/1.1 2000 OK\r\n\r\n"), malformed},
		{"no code", answer("HTTP/1.1\r\n\r\n"), malformed},
		{"an endless line", answer(strings.Repeat("x", 1<<16)),
			probe.Result{Reason: probe.ProtocolError, Message: "line of an answer too long"}},
		{"informational without end", answer(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)),
			probe.Result{Reason: probe.ProtocolError, Message: "too many informational answers"}},
		{"no text after the code", answer("HTTP/1.1 200\r\n\r\n"), probe.Result{}},
		{"only line feeds", answer("HTTP/1.0 200 OK\n\n"), probe.Result{}},
		{"its text stays with it", answer("HTTP/1.1 503 \x1b[31mowned\r\n\r\n"),
			probe.Result{Reason: probe.HTTPStatus, Message: "HTTP 503 Service Unavailable"}},
		{"a body that never ends", func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}, probe.Result{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			NewWithT(t).Expect(dial(t, listen(t, "127.0.0.1:0", tc.peer), "/")).To(Equal(tc.want))
		})
	}
}

// TestProbeLetsAnAnswerEnd: a server that takes its time gets all of it out, whatever its
// head says of its length.
func TestProbeLetsAnAnswerEnd(t *testing.T) {
	for name, parts := range map[string][]string{
		"of a length":      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "llo"},
		"of none":          {"HTTP/1.1 200 OK\r\n\r\nhe", "llo"},
		"of one like none": {"HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nhe", "llo"},
		"a head in parts":  {"HTTP/1.1 200 OK\r\nContent-Length: 0", "5\r\n\r\nhello"},
	} {
		t.Run(name, func(t *testing.T) {
			g, ends := NewWithT(t), make(chan error, 1)
			address := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) {
				var failed error
				for _, part := range parts {
					_, err := io.WriteString(conn, part)
					failed = errors.Join(failed, err)
					// As long as a reset takes to come, and far less than a probe waits.
					time.Sleep(2 * time.Millisecond)
				}
				ends <- failed
			})
			g.Expect(dial(t, address, "/")).To(Equal(probe.Result{}))
			g.Expect(<-ends).NotTo(HaveOccurred())
		})
	}
}

func TestProbeIPv6(t *testing.T) {
	g := NewWithT(t)
	address := listen(t, "[::1]:0", answer("HTTP/1.1 200 OK\r\n\r\n"))
	g.Expect(dial(t, address, "/")).To(Equal(probe.Result{}))
}

func TestProbeRefused(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(listener.Close()).To(Succeed())
	g.Expect(dial(t, netip.MustParseAddrPort(listener.Addr().String()), "/")).To(Equal(
		probe.Result{Reason: probe.ConnectionRefused, Message: "connect: connection refused"}))
}

// TestProbeDropped dials a listener whose queue is full: the kernel drops
// further SYNs as a firewall would.
func TestProbeDropped(t *testing.T) {
	g := NewWithT(t)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = syscall.Close(fd) })
	g.Expect(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})).To(Succeed())
	g.Expect(syscall.Listen(fd, 0)).To(Succeed())
	name, err := syscall.Getsockname(fd)
	g.Expect(err).NotTo(HaveOccurred())
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}),
		uint16(name.(*syscall.SockaddrInet4).Port))
	filler, err := net.Dial("tcp", address.String())
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = filler.Close() })

	started := time.Now()
	g.Expect(dial(t, address, "/")).To(Equal(probe.Result{Reason: probe.Timeout, Message: "i/o timeout"}))
	// The kernel would try for two minutes.
	g.Expect(time.Since(started)).To(And(BeNumerically(">=", timeout), BeNumerically("<", time.Minute)))
}

// TestProbeLocalFailure: what fails on this side says nothing about the address.
func TestProbeLocalFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want probe.Result
	}{
		"no file descriptors": {
			&net.OpError{Op: "dial", Err: syscall.EMFILE},
			probe.Result{Reason: probe.NotDialled, Message: "too many open files"},
		},
		"no route": {
			&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH},
			probe.Result{Reason: probe.NoRoute, Message: "no route to host"},
		},
		"the kernel gave up": {
			&net.OpError{Op: "dial", Err: syscall.ETIMEDOUT},
			probe.Result{Reason: probe.Timeout, Message: "connection timed out"},
		},
		"cancelled": {
			context.Canceled,
			probe.Result{Reason: probe.NotDialled, Message: "context canceled"},
		},
		"a message that belongs in no status": {
			errors.New("a\x00\r\n\x7f\u0085\xffb" + strings.Repeat("é", 100)),
			probe.Result{Reason: probe.NotDialled, Message: "ab" + strings.Repeat("é", 79)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			prober := probe.New(failingDialer{tc.err}, "test")
			result := prober.Probe(t.Context(), probe.Target{Timeout: timeout})
			NewWithT(t).Expect(result).To(Equal(tc.want))
		})
	}
}

// TestProbeCutShort: a probe that is given up ends at once, even after its request,
// and says nothing of the address.
func TestProbeCutShort(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1))
		cancel()
		<-t.Context().Done()
	}()
	began := time.Now()
	target := probe.Target{Address: netip.MustParseAddrPort(listener.Addr().String()), Path: "/", Timeout: time.Minute}
	result := probe.New(&probe.Unwatched{Dialer: net.Dialer{KeepAlive: -1}}, "exposedapp-agent/test").Probe(ctx, target)
	g.Expect(result.Reason).To(Equal(probe.NotDialled))
	g.Expect(time.Since(began)).To(BeNumerically("<", 30*time.Second))
}

type failingDialer struct{ err error }

func (d failingDialer) Dial(context.Context, netip.AddrPort) (*net.TCPConn, probe.Path, error) {
	return nil, probe.Path{}, d.err
}

// BenchmarkProbe and BenchmarkNetHTTP make the same request, the one by this
// package, the other by a client of net/http that does the same dial.
func BenchmarkProbe(b *testing.B) {
	address := benchServer(b)
	prober := probe.New(&probe.Unwatched{Dialer: net.Dialer{KeepAlive: -1}}, "exposedapp-agent/test")
	b.ReportAllocs()
	for b.Loop() {
		result := prober.Probe(b.Context(), probe.Target{Address: address, Path: "/", Timeout: 2 * time.Second})
		if !result.Reached() {
			b.Fatal(result)
		}
	}
}

func BenchmarkNetHTTP(b *testing.B) {
	url := "http://" + benchServer(b).String() + "/"
	dialer := &net.Dialer{KeepAlive: -1}
	client := http.Client{
		Timeout:       2 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				return conn, err
			},
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		response, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 4096))
		_ = response.Body.Close()
	}
}

// benchServer answers without much work of its own, which would count in the
// benchmark.
func benchServer(b *testing.B) netip.AddrPort {
	page := "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)
	return listen(b, "127.0.0.1:0", func(conn *net.TCPConn) {
		var request [4096]byte
		_, _ = conn.Read(request[:])
		_, _ = io.WriteString(conn, page)
	})
}

func dial(t *testing.T, address netip.AddrPort, path string) probe.Result {
	t.Helper()
	prober := probe.New(&probe.Unwatched{Dialer: net.Dialer{KeepAlive: -1}}, "exposedapp-agent/test")
	return prober.Probe(t.Context(), probe.Target{Address: address, Path: path, Timeout: timeout})
}

// answer is a peer that sends text and closes.
func answer(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = io.WriteString(conn, text)
	}
}

// listen runs peer on each connection to a new listener, and closes it after.
func listen(tb testing.TB, address string, peer func(*net.TCPConn)) netip.AddrPort {
	tb.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				peer(conn.(*net.TCPConn))
				_ = conn.Close()
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}
