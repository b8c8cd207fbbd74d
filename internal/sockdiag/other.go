//go:build !linux

package sockdiag

import (
	"errors"

	"github.com/exposedapp/exposedapp/internal/probe"
)

// Kernel knows nothing on systems other than Linux.
type Kernel struct{}

// Open fails.
func Open() (*Kernel, error) { return nil, errors.ErrUnsupported }

// Tells reports false.
func (*Kernel) Tells() bool { return false }

// Dialer makes connections without a look at them.
type Dialer = probe.Unwatched

// NewDialer returns a Dialer.
func NewDialer(*Kernel) *Dialer { return &Dialer{} }
