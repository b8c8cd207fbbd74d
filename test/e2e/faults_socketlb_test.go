package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/test/judge"
)

// The faults can be tried with a socket load balancer on every node, by what
// LAB_SOCKETLB says.
const (
	// unproven: with the agents as they are by default. No dial tells anything
	// about a node then, whatever breaks.
	unproven = "default"
	// proven: with agents that send raw packets, and an observer outside of the
	// cluster. What is true is told then as elsewhere.
	proven = "proof"
)

var socketLB = os.Getenv("LAB_SOCKETLB")

// unfold brings about what LAB_SOCKETLB says, until the end of the suite.
func unfold(ctx SpecContext) {
	GinkgoHelper()
	Expect(socketLB).To(BeElementOf("", unproven, proven), "LAB_SOCKETLB")
	if socketLB == "" {
		return
	}
	Expect(os.Geteuid()).To(BeZero(), "to dial from the nodes' networks, and not from their cgroups, takes root")
	if socketLB == proven {
		deployWith(ctx, "raw-probe")
		observeFromOutside(ctx)
	}
	interpose(ctx, nodes...)
}

// calmRow is the row of a node with which nothing is wrong.
func calmRow() string {
	if socketLB == unproven {
		return "Unknown " + v1alpha1.ReasonTranslatedAtSource
	}
	return reachable
}

// veiled is a phase as it looks where no dial tells anything about a node: what is
// known of the pods and the nodes by themselves stays, and there is nothing to
// follow but another port.
func veiled(phase judge.Phase, before map[string]judge.Words) judge.Phase {
	if socketLB != unproven {
		return phase
	}
	right := make(map[string]judge.Words)
	for n := range phase.Right {
		right[n] = words(calmRow())
		for _, some := range []judge.Words{phase.Right[n], phase.Passing, before[n]} {
			for says := range some {
				for _, row := range veiledRows(says) {
					right[n][row] = nil
				}
			}
		}
	}
	veiled := judge.Phase{Start: phase.Start, Port: phase.Port, Right: right, Passing: phase.Passing}
	if phase.Port != 0 {
		veiled.Turn, veiled.Anew = judge.Announced, true
	}
	return veiled
}

// veiledRows are what may be said in place of a row.
func veiledRows(says string) []string {
	_, reason, _ := strings.Cut(strings.Trim(says, "()"), " ")
	switch {
	case says == judge.Gone, strings.HasPrefix(says, "Unknown "), reason == v1alpha1.ReasonNoReadyEndpoints:
		return []string{says}
	case strings.HasPrefix(says, "("):
		return []string{"(Unknown " + reason + ")", "(" + calmRow() + ")"}
	}
	return nil
}

// dialler returns the command that dials from a node as a client there would: with
// a socket load balancer on it, from its network, and not from its cgroup.
func (n node) dialler(ctx context.Context) ([]string, error) {
	if socketLB == "" {
		return []string{"docker", "exec", "--interactive", n.name, "bash", "-c", dialLoop}, nil
	}
	pid, err := run(ctx, "docker", "inspect", "--format={{.State.Pid}}", n.name)
	if pid = strings.TrimSpace(pid); err == nil && pid == "0" {
		err = fmt.Errorf("%s does not run", n.name)
	}
	return []string{"nsenter", "--target", pid, "--net", "bash", "-c", dialLoop, "bash", "/proc/" + pid}, err
}
