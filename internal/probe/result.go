package probe

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/exposedapp/exposedapp/internal/truncate"
)

// Reason is the kind of a failure.
type Reason string

const (
	// ConnectionRefused: the address refused the connection (RST).
	ConnectionRefused Reason = "ConnectionRefused"

	// ConnectionReset: the connection was reset after it was made.
	ConnectionReset Reason = "ConnectionReset"

	// Timeout: no answer in time.
	Timeout Reason = "Timeout"

	// NoRoute: the kernel knows no way to the address, or may not use it.
	NoRoute Reason = "NoRoute"

	// HTTPStatus: the answer's status code is neither 2xx nor 3xx.
	HTTPStatus Reason = "HTTPStatus"

	// ProtocolError: what answered does not speak HTTP.
	ProtocolError Reason = "ProtocolError"

	// NotDialled: the dial failed on this side for want of something (file
	// descriptors, local ports, memory), or the probe was cut short. It says
	// nothing about the address.
	NotDialled Reason = "NotDialled"
)

// maxMessage bounds Result.Message, in bytes.
const maxMessage = 160

// Result is what a probe found. The zero Result means reached, by a way that was
// not seen.
type Result struct {
	// Reason is the kind of failure, empty when the address was reached.
	Reason Reason

	// Message is the error of the dial without the address, so that all
	// addresses that fail alike share it: at most 160 bytes of valid UTF-8
	// without control characters. It repeats nothing that the peer sent but the
	// status code.
	Message string

	// Path is the way that the dial took.
	Path Path
}

// Reached reports whether the address answered.
func (r Result) Reached() bool {
	return r.Reason == ""
}

// resultOf explains an error of dialling, writing or reading.
func resultOf(err error) Result {
	return Result{Reason: reasonOf(err), Message: clean(messageOf(err))}
}

func reasonOf(err error) Reason {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		timeout, ok := errors.AsType[net.Error](err)
		switch {
		case ok && timeout.Timeout():
			return Timeout
		case errors.Is(err, io.EOF):
			return ProtocolError
		default:
			return NotDialled
		}
	}
	switch errno {
	case syscall.ECONNREFUSED:
		return ConnectionRefused
	case syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE:
		return ConnectionReset
	case syscall.ETIMEDOUT:
		return Timeout
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN,
		syscall.EINVAL, syscall.EPERM, syscall.EACCES:
		return NoRoute
	default:
		return NotDialled
	}
}

// messageOf strips an error of the operation and addresses that package net puts
// before its cause.
func messageOf(err error) string {
	if errors.Is(err, io.EOF) {
		return "connection closed without an answer"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		err = op.Err
	}
	return err.Error()
}

// clean bounds text and rids it of what does not belong in a status.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
	return truncate.Text(text, maxMessage)
}
