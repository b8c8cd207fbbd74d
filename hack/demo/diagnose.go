package main

import (
	"context"
	"os"
	"strings"

	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// diagnose prints what helps to find out why a step failed.
func diagnose(ctx context.Context, log *step.Log) {
	for _, args := range []string{
		"get nodes --output=wide",
		"get pods --all-namespaces --output=wide",
		"get events --all-namespaces --field-selector=type=Warning --sort-by=.lastTimestamp",
		"get exposedapps --all-namespaces --output=wide",
		"get nodereachabilities",
		"logs --namespace=" + namespace + " --selector=app.kubernetes.io/name=exposedapp --prefix --tail=15",
	} {
		log.Printf("kubectl %s", args)
		command := kubectl(ctx, strings.Fields(args)...)
		command.Stdout, command.Stderr = os.Stderr, os.Stderr
		// Whatever cannot be told, the rest may help.
		_ = command.Run()
	}
}
