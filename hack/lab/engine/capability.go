package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Clamped tells whether this machine holds back a capability from every
// process, so that containers cannot be given all of them.
func Clamped() (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return false, err
	}
	return clamped(string(status), string(last))
}

// clamped compares the bounding set in the text of /proc/self/status with the
// number of the kernel's last capability.
func clamped(status, last string) (bool, error) {
	_, rest, _ := strings.Cut(status, "CapBnd:")
	line, _, _ := strings.Cut(rest, "\n")
	bounding, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		return false, fmt.Errorf("capability bounding set: %w", err)
	}
	bit, err := strconv.ParseUint(strings.TrimSpace(last), 10, 6)
	if err != nil {
		return false, fmt.Errorf("last capability: %w", err)
	}
	all := uint64(1)<<(bit+1) - 1
	return bounding&all != all, nil
}
