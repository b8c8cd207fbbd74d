package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/test/judge"
)

// outside is the source of the dials from this machine, which is no node.
const outside = "outside"

// dialLoop dials all targets at once, again and again, each on a fresh
// connection, and prints a line for each. A line of input is the pause between
// two rounds, and the URLs of the targets. It ends with its input, or with a file
// that it is given. A round is one process: a curl for each dial would take half
// of a small machine.
const dialLoop = `
export LC_ALL=C
alive=${1:-/}
round() {
	local start=$EPOCHREALTIME url transfers=()
	for url in "$@"; do transfers+=(--output /dev/null "$url"); done
	curl --silent --noproxy '*' --max-time 2 --parallel --parallel-immediate \
		--write-out '%{url} %{exitcode} %{http_code}\n' "${transfers[@]}" |
		while read -r words; do echo "$start $EPOCHREALTIME $words"; done
}
pause=1
while :; do
	read -r -t "$pause" line
	case $? in
	0) targets=${line#* } pause=${line%% *} ;;
	1) exit ;;
	esac
	[ -e "$alive" ] || exit
	[ -z "$targets" ] || round $targets &
done`

// oracle dials nodes from every other node and from this machine, all the time.
type oracle struct {
	mu      sync.Mutex
	dials   []judge.Dial
	path    string
	ports   []int32
	sources map[string]io.Writer
}

// watchPorts starts to dial node ports. It ends with the spec.
func watchPorts(ctx SpecContext, path string, ports ...int32) *oracle {
	GinkgoHelper()
	o := &oracle{path: path, ports: ports, sources: make(map[string]io.Writer)}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	DeferCleanup(func() {
		stop()
		loops.Wait()
	})
	for _, n := range nodes {
		loops.Go(func() { o.loop(running, n.name, n.dialler) })
	}
	// Elsewhere the nodes' network is out of reach.
	if _, err := exec.LookPath("curl"); err == nil && runtime.GOOS == "linux" {
		loops.Go(func() {
			o.loop(running, outside, func(context.Context) ([]string, error) { return []string{"bash", "-c", dialLoop}, nil })
		})
	}
	return o
}

// turnTo dials another path, or other ports.
func (o *oracle) turnTo(path string, ports ...int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.path, o.ports = path, ports
	for source, input := range o.sources {
		fmt.Fprintln(input, o.targets(source))
	}
}

// targets is the line of input for a source. The more ports, the longer the
// pause: the machine has better things to do than to dial.
func (o *oracle) targets(source string) string {
	line := fmt.Sprintf("%.1f", 0.5*float64(len(o.ports)))
	for _, n := range nodes {
		for _, port := range o.ports {
			if n.name != source {
				line += fmt.Sprintf(" http://%s:%d%s", n.address, port, o.path)
			}
		}
	}
	return line
}

// loop keeps a source dialling by a command, also after its node was stopped.
func (o *oracle) loop(ctx context.Context, source string, dialler func(context.Context) ([]string, error)) {
	for stopped := false; ctx.Err() == nil; {
		args, err := dialler(ctx)
		if err == nil {
			err = o.listen(exec.CommandContext(ctx, args[0], args[1:]...), source)
		}
		if err != nil && ctx.Err() == nil && !stopped {
			GinkgoWriter.Printf("%s stopped dialling: %v\n", source, err)
			stopped = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (o *oracle) listen(command *exec.Cmd, source string) error {
	command.WaitDelay = time.Second
	input, err := command.StdinPipe()
	if err != nil {
		return err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	o.mu.Lock()
	o.sources[source] = input
	_, err = fmt.Fprintln(input, o.targets(source))
	o.mu.Unlock()
	for lines := bufio.NewScanner(output); err == nil && lines.Scan(); {
		var dial judge.Dial
		if dial, err = parseDial(source, lines.Text()); err == nil {
			o.mu.Lock()
			o.dials = append(o.dials, dial)
			o.mu.Unlock()
		}
	}
	o.mu.Lock()
	delete(o.sources, source)
	o.mu.Unlock()
	return errors.Join(err, command.Wait())
}

// parseDial reads a line of dialLoop.
func parseDial(source, line string) (judge.Dial, error) {
	var dial judge.Dial
	var start, end float64
	var target string
	var exit int
	if _, err := fmt.Sscanf(line, "%f %f %s %d %s", &start, &end, &target, &exit, &dial.Word); err != nil {
		return judge.Dial{}, fmt.Errorf("%q is no dial: %w", line, err)
	}
	u, err := url.Parse(target)
	if err != nil {
		return judge.Dial{}, err
	}
	port, err := strconv.ParseInt(u.Port(), 10, 32)
	if err != nil {
		return judge.Dial{}, err
	}
	for _, n := range nodes {
		if n.address == u.Hostname() {
			dial.Node = n.name
		}
	}
	dial.Source, dial.Port = source, int32(port)
	dial.Start, dial.End = time.UnixMicro(int64(start*1e6)), time.UnixMicro(int64(end*1e6))
	switch exit {
	case 0:
		dial.Answered = strings.HasPrefix(dial.Word, "2") || strings.HasPrefix(dial.Word, "3")
	case 7:
		dial.Word = refused
	case 28:
		dial.Word = timedOut
	default:
		dial.Word = fmt.Sprintf("curl: %d", exit)
	}
	return dial, nil
}

// heard returns the dials so far.
func (o *oracle) heard() []judge.Dial {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.dials)
}

// complete tells whether every node has begun to dial. To pause a container just
// when a program is being started in it makes the container engine hang.
func (o *oracle) complete() bool {
	seen := make(map[string]bool)
	for _, dial := range o.heard() {
		seen[dial.Source] = true
	}
	return !slices.ContainsFunc(nodes, func(n node) bool { return !seen[n.name] })
}

// answered tells whether every one of some nodes was dialled in the last seconds,
// and answered each time, but for the dials of deaf sources.
func (o *oracle) answered(last time.Duration, targets, deaf []string) bool {
	since := time.Now().Add(-last)
	seen := make(map[string]bool)
	for _, dial := range o.heard() {
		switch {
		case dial.Start.Before(since), slices.Contains(deaf, dial.Source),
			!slices.Contains(targets, dial.Node), !slices.Contains(o.ports, dial.Port):
			continue
		case !dial.Answered:
			return false
		}
		seen[dial.Node] = true
	}
	return len(seen) == len(targets)
}

// says expects a source's next dial of a node to have a word.
func (o *oracle) says(ctx context.Context, source, target string, words ...string) {
	GinkgoHelper()
	since := time.Now()
	Eventually(func() (words []string) {
		for _, dial := range o.heard() {
			if dial.Source == source && dial.Node == target && dial.Start.After(since) {
				words = append(words, dial.Word)
			}
		}
		return words
	}).WithContext(ctx).Should(ContainElement(BeElementOf(words)))
}
