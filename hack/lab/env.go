package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// env prints what lets a shell reach the lab's engine and cluster, be they
// there yet or not.
func (l *lab) env(ctx context.Context) error {
	own, host := l.private(), ""
	path := []string{l.assetsPath()}
	if reached := l.reachEngine(ctx); !reached || os.Getenv("DOCKER_HOST") == own.Host() {
		host, path = own.Host(), append(path, own.Bin())
	}
	_, err := fmt.Print(exports(host, l.kubeconfig(), path))
	return err
}

// exports renders the shell's commands. Without a host, the shell's own is left
// as it is.
func exports(host, kubeconfig string, path []string) string {
	var lines strings.Builder
	if host != "" {
		fmt.Fprintf(&lines, "export DOCKER_HOST=%s\n", quote(host))
	}
	fmt.Fprintf(&lines, "export KUBECONFIG=%s\n", quote(kubeconfig))
	fmt.Fprintf(&lines, "export PATH=%s:\"$PATH\"\n", quote(strings.Join(path, ":")))
	return lines.String()
}

// quote makes one word of a text for a POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
