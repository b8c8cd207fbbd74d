package e2e_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// standIn does on some nodes what a socket load balancer does, for every node
// port of the cluster: whoever dials one of any node from there gets to a pod,
// without a packet to that node.
type standIn struct {
	stop context.CancelFunc
	fed  sync.WaitGroup

	mu sync.Mutex
	// instead are the backends of a node port in place of the pods.
	instead map[int32]string
	// feeders are the processes that feed the program, by node.
	feeders map[string]*os.Process
}

// standInPath is where a node has the program, for as long as it runs.
const standInPath = "/usr/local/bin/exposedapp-e2e-socketlb"

// interpose starts a stand-in on some nodes. It ends with the spec, or before.
func interpose(ctx SpecContext, on ...node) *standIn {
	GinkgoHelper()
	program := filepath.Join(GinkgoT().TempDir(), "socketlb")
	_, err := run(ctx, "go", "build", "-o", program, "../socketlb")
	Expect(err).NotTo(HaveOccurred())

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &standIn{stop: stop, instead: make(map[int32]string), feeders: make(map[string]*os.Process)}
	DeferCleanup(s.end)
	var took []chan struct{}
	for _, n := range on {
		_, err := run(ctx, "docker", "cp", program, n.name+":"+standInPath)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) {
			_, err := n.run(ctx, "rm", "--force", standInPath)
			Expect(err).NotTo(HaveOccurred())
		})
		began := make(chan struct{}, 1)
		took = append(took, began)
		s.fed.Go(func() {
			repeat(running, func(ctx context.Context) {
				if err := s.feed(ctx, n, began); err != nil && ctx.Err() == nil {
					GinkgoWriter.Printf("the stand-in on %s ended: %v\n", n.name, err)
				}
			})
		})
	}
	for _, began := range took {
		Eventually(began).WithContext(ctx).Should(Receive())
	}
	return s
}

// end takes the stand-in away.
func (s *standIn) end() {
	s.stop()
	s.fed.Wait()
}

// sendTo makes all dials of a node port end at a backend, or at the pods again if
// there is none.
func (s *standIn) sendTo(port int32, backend string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instead[port] = backend; backend == "" {
		delete(s.instead, port)
	}
}

// killFeeder ends what feeds a node's program, as where the tests are killed.
// Another one takes its place at once.
func (s *standIn) killFeeder(n node) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.feeders[n.name].Kill()
}

// feed runs the program on a node and tells it how the node ports change. The
// program ends with its input, and so with this process, however that ends.
func (s *standIn) feed(ctx context.Context, n node, began chan<- struct{}) (err error) {
	command := exec.CommandContext(ctx, "docker", "exec", "--interactive", n.name, standInPath)
	var complaint strings.Builder
	command.Stderr = &complaint
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	command.Cancel, command.WaitDelay = input.Close, 10*time.Second
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.feeders[n.name] = command.Process
	s.mu.Unlock()
	defer func() {
		err = errors.Join(err, input.Close(), command.Wait())
		if err != nil && complaint.Len() > 0 {
			err = fmt.Errorf("%w: %s", err, complaint.String())
		}
	}()
	answers := bufio.NewScanner(output)
	for last := "none"; ctx.Err() == nil; {
		table, err := s.table(ctx)
		if err == nil && table != last {
			if _, err := io.WriteString(input, table+"\n"); err != nil {
				return err
			}
			if !answers.Scan() {
				return answers.Err()
			}
			last = table
			select {
			case began <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// table returns every node port of the cluster on every node, and the ready pods
// that serve it, as the program reads it.
func (s *standIn) table(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var services corev1.ServiceList
	if err := cluster.List(limited, &services); err != nil {
		return "", err
	}
	pods, err := readyPods(limited)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var fields []string
	for i := range services.Items {
		service := &services.Items[i]
		for _, port := range service.Spec.Ports {
			if port.NodePort == 0 || port.Protocol != corev1.ProtocolTCP {
				continue
			}
			for _, family := range service.Spec.IPFamilies {
				to := cmp.Or(s.instead[port.NodePort],
					strings.Join(pods[servicePort{service.Namespace, service.Name, port.Name, family}], ","))
				for _, n := range nodes {
					from := net.JoinHostPort(n.over(family).address, strconv.Itoa(int(port.NodePort)))
					fields = append(fields, from+"="+to)
				}
			}
		}
	}
	slices.Sort(fields)
	return strings.Join(fields, " "), nil
}

type servicePort struct {
	namespace, service, port string
	family                   corev1.IPFamily
}

// readyPods returns the addresses and ports of the ready pods by what they serve.
func readyPods(ctx context.Context) (map[servicePort][]string, error) {
	var list discoveryv1.EndpointSliceList
	if err := cluster.List(ctx, &list, client.HasLabels{discoveryv1.LabelServiceName}); err != nil {
		return nil, err
	}
	pods := make(map[servicePort][]string)
	for i := range list.Items {
		slice := &list.Items[i]
		for _, port := range slice.Ports {
			key := servicePort{slice.Namespace, slice.Labels[discoveryv1.LabelServiceName], *port.Name, corev1.IPFamily(slice.AddressType)}
			for _, endpoint := range slice.Endpoints {
				if *endpoint.Conditions.Ready {
					pods[key] = append(pods[key], net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*port.Port))))
				}
			}
			slices.Sort(pods[key])
		}
	}
	return pods, nil
}

// standIns returns the processes of stand-ins on a node.
func standIns(ctx context.Context, n node) ([]string, error) {
	pids, err := n.run(ctx, "sh", "-c", "pgrep --full ^"+standInPath+" || true")
	return strings.Fields(pids), err
}

// dialOutside is dial from this machine, which is no node.
func dialOutside(ctx context.Context, to node, port int32) (string, error) {
	return dialFrom(ctx, func(ctx context.Context, args ...string) (string, error) {
		return run(ctx, args[0], args[1:]...)
	}, to, port)
}
