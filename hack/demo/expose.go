package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/hack/lab/docker"
	"github.com/exposedapp/exposedapp/hack/lab/step"
)

// expose exposes podinfo, and asks first the status and then every node whether
// that worked.
func expose(ctx context.Context, log *step.Log) error {
	apply := kubectl(ctx, "apply", "--server-side", "--namespace=default", "--filename=config/samples/podinfo.yaml")
	if err := log.Run("exposing podinfo", apply); err != nil {
		return err
	}
	wait := kubectl(ctx, "wait", "--namespace=default", "--for=condition=Ready", "exposedapp/podinfo", rolloutTimeout)
	if err := log.Run("waiting for podinfo", wait); err != nil {
		return err
	}
	log.Printf("podinfo is Ready")

	listing, err := kubectlOutput(ctx, "get", "--namespace=default", "exposedapp", "podinfo")
	if err != nil {
		return err
	}
	object, err := kubectlOutput(ctx, "get", "--namespace=default", "exposedapp", "podinfo", "--output=json")
	if err != nil {
		return err
	}
	var app v1alpha1.ExposedApp
	if err := json.Unmarshal(object, &app); err != nil {
		return fmt.Errorf("reading ExposedApp podinfo: %w", err)
	}
	fmt.Fprintf(os.Stdout, "\n$ kubectl get exposedapp podinfo\n%s\n", listing)
	printVerdicts(os.Stdout, app.Status.Nodes)
	fmt.Fprintln(os.Stdout)
	return connect(ctx, &app)
}

// printVerdicts prints a line for each verdict.
func printVerdicts(out io.Writer, verdicts []v1alpha1.NodeVerdict) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tEXPECTED\tSTATE\tOBSERVERS\tREASON")
	for _, v := range verdicts {
		fmt.Fprintf(table, "%s\t%s\t%t\t%s\t%s\t%s\n", v.Node, v.Address, v.Expected, v.State, v.Observers, v.Reason)
	}
	table.Flush()
}

// connect dials the node port of every node from this machine, by the port on
// which the engine publishes it.
func connect(ctx context.Context, app *v1alpha1.ExposedApp) error {
	names, err := kubectlOutput(ctx, "get", "nodes", "--output=name")
	if err != nil {
		return err
	}
	// A fresh connection for each node.
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var failed []error
	for name := range strings.FieldsSeq(string(names)) {
		node := strings.TrimPrefix(name, "node/")
		// KinD's nodes are containers of the same names.
		address, err := docker.Output(ctx, "port", node, fmt.Sprintf("%d/tcp", app.Status.NodePort))
		if err != nil {
			return err
		}
		if err := fetch(ctx, web, address); err != nil {
			fmt.Fprintf(os.Stdout, "Failed to connect to %s at %s\n", node, address)
			failed = append(failed, fmt.Errorf("%s at %s: %w", node, address, err))
			continue
		}
		fmt.Fprintf(os.Stdout, "Successfully connected to %s at %s\n", node, address)
	}
	return errors.Join(failed...)
}

func fetch(ctx context.Context, web *http.Client, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	response, err := web.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
