package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// What node.dial returns where there is no HTTP answer.
const (
	refused  = "refused"
	timedOut = "timed out"
)

// run runs a program and returns what it prints.
func run(ctx context.Context, program string, args ...string) (string, error) {
	return runWith(ctx, "", program, args...)
}

func runWith(ctx context.Context, stdin, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin = strings.NewReader(stdin)
	out, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// kubectl runs kubectl, which must succeed, and returns what it prints.
func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := run(ctx, "kubectl", args...)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(out)
}

// apply applies a manifest.
func apply(ctx context.Context, namespace, manifest string) {
	GinkgoHelper()
	_, err := runWith(ctx, manifest, "kubectl", "apply", "--namespace", namespace, "--filename=-")
	Expect(err).NotTo(HaveOccurred())
}

// node is a Node of the cluster and the container, of the same name, that is its
// machine.
type node struct {
	// address is the one to dial: of IPv4, unless over says otherwise.
	name, address string
	// ipv6 is none on a cluster of IPv4 alone.
	ipv6 string
}

func nodeOf(object *corev1.Node) node {
	GinkgoHelper()
	found := node{name: object.Name}
	for _, address := range object.Status.Addresses {
		if address.Type != corev1.NodeInternalIP {
			continue
		}
		if strings.Contains(address.Address, ":") {
			found.ipv6 = address.Address
		} else {
			found.address = address.Address
		}
	}
	Expect(found.address).NotTo(BeEmpty(), "Node "+object.Name+" has no InternalIP of IPv4")
	return found
}

// over returns the node as it is to be dialled over an IP family.
func (n node) over(family corev1.IPFamily) node {
	if family == corev1.IPv6Protocol {
		n.address = n.ipv6
	}
	return n
}

// run runs a program on the node.
func (n node) run(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "docker", append([]string{"exec", n.name}, args...)...)
}

// dial returns what curl on the node says of a node port of another one: the
// status code of the answer, refused or timedOut.
func (n node) dial(ctx context.Context, to node, port int32) (string, error) {
	return dialFrom(ctx, n.run, to, port)
}

// dialFrom is dial from wherever run runs curl.
func dialFrom(
	ctx context.Context, run func(ctx context.Context, args ...string) (string, error), to node, port int32,
) (string, error) {
	out, err := run(ctx, "curl", "--silent", "--noproxy", "*", "--show-error", "--max-time", "2",
		"--output", "/dev/null", "--write-out", "%{http_code}",
		"http://"+net.JoinHostPort(to.address, strconv.Itoa(int(port)))+"/")
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		switch exit.ExitCode() {
		case 7:
			return refused, nil
		case 28:
			return timedOut, nil
		}
	}
	return out, err
}

// dialAll returns what every node says of a node port of every other one, as in
// "worker → worker2: 200".
func dialAll(ctx context.Context, port int32) ([]string, error) {
	return dialAllOver(ctx, corev1.IPv4Protocol, port)
}

// dialAllOver is dialAll over an IP family.
func dialAllOver(ctx context.Context, family corev1.IPFamily, port int32) ([]string, error) {
	var said []string
	for _, to := range nodes {
		for _, from := range others(to) {
			word, err := from.dial(ctx, to.over(family), port)
			if err != nil {
				return nil, err
			}
			said = append(said, fmt.Sprintf("%s → %s: %s", from.name, to.name, word))
		}
	}
	return said, nil
}
