// Package probe makes one HTTP request to one address and says whether it was
// answered, and if not, why. It knows nothing of Kubernetes.
//
// It speaks just enough HTTP for that, by hand: the status line decides, and
// what follows it is read through a small limit and thrown away. Against a
// client of net/http this saves the goroutines, the header maps and most of the
// memory of a request, thousands of which a node may make every minute. It also
// leaves nothing to a hostile peer: no redirect, no proxy, no decompression, no
// cookie, no unbounded header.
//
// A connection is closed with a reset rather than an orderly farewell. Neither
// side then keeps it in TIME_WAIT, and connection tracking on the nodes between
// forgets it in seconds rather than minutes.
package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	// bufferSize bounds a line of the head of an answer, and what is read after
	// the status line.
	bufferSize = 4096

	// maxLines is how many lines may come, those of informational answers
	// (status 1xx), until the status line that counts.
	maxLines = 64

	// drainTime is how long an answer may take to end after its status line, so
	// that a server gets its answer out before the reset.
	drainTime = 50 * time.Millisecond
)

// Target is what to probe.
type Target struct {
	Address netip.AddrPort

	// Path is the path and query of the request, from the leading slash on.
	// What HTTP would not carry literally is percent-encoded.
	Path string

	// Timeout bounds the probe from the dial to the status line.
	Timeout time.Duration

	// Provable is whether the address may be asked by a Prover: it is another node's,
	// and the port a node port. Detoured is whether the dial is expected to be
	// translated.
	Provable, Detoured bool
}

// Prober makes probes, any number at a time.
type Prober struct {
	dialer    Dialer
	userAgent string
	buffers   sync.Pool
}

// buffers are what one probe needs and the next can use again.
type buffers struct {
	request []byte
	answer  *bufio.Reader
}

// New returns a Prober that calls itself userAgent.
func New(dialer Dialer, userAgent string) *Prober {
	return &Prober{
		dialer:    dialer,
		userAgent: userAgent,
		buffers: sync.Pool{New: func() any {
			return &buffers{answer: bufio.NewReaderSize(nil, bufferSize)}
		}},
	}
}

// Probe requests target on a fresh connection. Any answer of status 2xx or 3xx
// means reached; redirects are not followed. The end of ctx cuts the probe short,
// which is then NotDialled.
func (p *Prober) Probe(ctx context.Context, target Target) Result {
	result := p.probe(ctx, target)
	if !result.Reached() && ctx.Err() != nil {
		return Result{Reason: NotDialled, Message: "the probe was cut short"}
	}
	return result
}

func (p *Prober) probe(ctx context.Context, target Target) Result {
	deadline := time.Now().Add(target.Timeout)
	dialCtx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, path, err := p.dialer.Dial(dialCtx, target.Address)
	var result Result
	if err != nil {
		result = resultOf(err)
	} else {
		result = p.request(ctx, conn, deadline, target)
	}
	result.Path = path
	return result
}

// request makes the request on a connection, and closes that.
func (p *Prober) request(ctx context.Context, conn *net.TCPConn, deadline time.Time, target Target) Result {
	defer conn.Close()
	// Neither can fail on an open socket, and a probe without them is still true.
	_ = conn.SetLinger(0)
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(0, 0)) })
	defer stop()

	b := p.buffers.Get().(*buffers)
	defer p.buffers.Put(b)
	b.request = p.appendRequest(b.request[:0], target)
	if _, err := conn.Write(b.request); err != nil {
		return resultOf(err)
	}
	b.answer.Reset(conn)
	defer b.answer.Reset(nil)
	code, failure := readStatus(b.answer)
	if failure != nil {
		return *failure
	}
	if !complete(b.answer) {
		// Read on so that the server can finish; what comes does not matter.
		_ = conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = b.answer.Discard(bufferSize)
	}
	return resultOfStatus(code)
}

// appendRequest appends the request for target to b.
func (p *Prober) appendRequest(b []byte, target Target) []byte {
	b = append(b, "GET "...)
	b = appendPath(b, target.Path)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = target.Address.AppendTo(b)
	b = append(b, "\r\nUser-Agent: "...)
	b = append(b, p.userAgent...)
	return append(b, "\r\nAccept: */*\r\nConnection: close\r\n\r\n"...)
}

// appendPath appends path to b, percent-encoding whatever could end the request
// line or start another header.
func appendPath(b []byte, path string) []byte {
	const hex = "0123456789ABCDEF"
	if path == "" || path[0] != '/' {
		b = append(b, '/')
	}
	for _, c := range []byte(path) {
		if c > ' ' && c < 0x7f {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// readStatus returns the status code of an answer, past informational answers.
func readStatus(answer *bufio.Reader) (int, *Result) {
	informational := false
	for range maxLines {
		line, err := answer.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return 0, &Result{Reason: ProtocolError, Message: "line of an answer too long"}
		}
		if err != nil {
			return 0, new(resultOf(err))
		}
		line = bytes.TrimRight(line, "\r\n")
		if informational {
			informational = len(line) > 0
			continue
		}
		code, ok := statusCode(line)
		if !ok {
			return 0, &Result{Reason: ProtocolError, Message: "malformed HTTP status line"}
		}
		if code >= 200 || code == http.StatusSwitchingProtocols {
			return code, nil
		}
		informational = true
	}
	return 0, &Result{Reason: ProtocolError, Message: "too many informational answers"}
}

// complete reports whether all of an answer is here, by what its head, which follows, says
// of its length. Of most there is no more to wait for than their end.
func complete(answer *bufio.Reader) bool {
	rest, _ := answer.Peek(answer.Buffered())
	head, body, ended := bytes.Cut(rest, []byte("\r\n\r\n"))
	if !ended {
		return false
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return err == nil && len(body) >= length
		}
	}
	return false
}

// statusCode returns the code of a status line such as HTTP/1.1 200 OK.
func statusCode(line []byte) (int, bool) {
	version, rest, _ := bytes.Cut(line, []byte(" "))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	if !bytes.HasPrefix(version, []byte("HTTP/")) || len(digits) != 3 {
		return 0, false
	}
	code, err := strconv.Atoi(string(digits))
	return code, err == nil && code >= 100
}

// resultOfStatus judges a status code. The message takes the standard's text
// for it, never the peer's.
func resultOfStatus(code int) Result {
	if code >= 200 && code < 400 {
		return Result{}
	}
	message := "HTTP " + strconv.Itoa(code)
	if text := http.StatusText(code); text != "" {
		message += " " + text
	}
	return Result{Reason: HTTPStatus, Message: message}
}
