package main

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"testing"

	. "github.com/onsi/gomega"
)

// The kernel's own table, with a socket in TIME_WAIT made for it.
func TestCountTimeWait(t *testing.T) {
	g := NewWithT(t)
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	count := func() int {
		table, err := os.ReadFile("/proc/net/tcp")
		g.Expect(err).NotTo(HaveOccurred())
		n, err := countTimeWait(string(table), loopback)
		g.Expect(err).NotTo(HaveOccurred())
		return n
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	before := count()
	for range 100 {
		client, err := new(net.Dialer).DialContext(t.Context(), "tcp4", listener.Addr().String())
		g.Expect(err).NotTo(HaveOccurred())
		server, err := listener.Accept()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(client.Close()).To(Succeed())
		g.Expect(server.Close()).To(Succeed())
	}
	g.Eventually(func() int { return count() - before }).Should(BeNumerically(">=", 50))

	elsewhere, err := countTimeWait(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7530 0200007F:C000 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
   1: 010012C6:7530 0200007F:C000 01 00000000:00000000 03:00000000 00000000     0        0 0 3 0000000000000000
`, netip.MustParsePrefix(benchRange))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(elsewhere).To(BeZero())
}

func TestCountGoroutines(t *testing.T) {
	g := NewWithT(t)
	hold := make(chan struct{})
	defer close(hold)
	for range 50 {
		go func() { <-hold }()
	}
	profile := pprof.Lookup("goroutine")
	// Those of the runtime and of tests before this one come and go: the two are held
	// against each other where none did in between.
	g.Eventually(func(g Gomega) {
		running, stacks := profile.Count(), make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		g.Expect(profile.Count()).To(Equal(running))
		g.Expect(countGoroutines(stacks)).To(Equal(running))
	}).Should(Succeed())
	g.Expect(countGoroutines(debug.Stack())).To(Equal(1))
}
