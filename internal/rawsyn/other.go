//go:build !linux

package rawsyn

import (
	"context"
	"errors"
	"net/netip"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// Check fails on systems other than Linux.
func Check(context.Context) error { return errors.ErrUnsupported }

// Sender sends nothing.
type Sender struct{}

// Ask fails.
func (Sender) Ask(context.Context, netip.AddrPort) (probe.Result, error) {
	return probe.Result{}, errors.ErrUnsupported
}
