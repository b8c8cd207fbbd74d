package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// timeWait returns the number of sockets of this machine in TIME_WAIT with an
// address of the benchmarks.
func timeWait() (int, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	return countTimeWait(string(table), netip.MustParsePrefix(benchRange))
}

// countTimeWait counts the sockets in TIME_WAIT with an address of a prefix in a
// table of the form of /proc/net/tcp.
func countTimeWait(table string, prefix netip.Prefix) (int, error) {
	const waiting = "06"
	found := 0
	_, rows, _ := strings.Cut(table, "\n")
	for row := range strings.Lines(rows) {
		fields := strings.Fields(row)
		if len(fields) < 4 {
			return 0, fmt.Errorf("a socket without a state: %q", row)
		}
		if fields[3] != waiting {
			continue
		}
		for _, text := range fields[1:3] {
			address, err := parseSocket(text)
			if err != nil {
				return 0, err
			}
			if prefix.Contains(address) {
				found++
				break
			}
		}
	}
	return found, nil
}

// parseSocket returns the address of a socket such as 0100007F:1F90, whose bytes
// are in the order of the machine.
func parseSocket(text string) (netip.Addr, error) {
	digits, _, _ := strings.Cut(text, ":")
	octets, err := hex.DecodeString(digits)
	if err != nil || len(octets) != 4 {
		return netip.Addr{}, fmt.Errorf("no address of a socket: %q", text)
	}
	var address [4]byte
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(octets))
	return netip.AddrFrom4(address), nil
}
