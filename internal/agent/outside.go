package agent

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// checkTime is how long CheckOutside waits for the API server.
const checkTime = 10 * time.Second

// CheckOutside asks once whether an observer outside of the cluster could report, so
// that the agent says at its start what is missing. An API server that does not
// answer is no reason to give up.
func (c *Client) CheckOutside(ctx context.Context, observer string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	var reachability v1alpha1.NodeReachability
	err := c.nodeReachabilities.Get().
		Resource(c.nodeReachabilities.name).Name(observer).Do(ctx).Into(&reachability)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return advise(observer, err)
	}
	if err != nil {
		// The watches go on to ask, and log the answers.
		return nil
	}
	return unfit(&reachability)
}

// unfit returns why a NodeReachability cannot have the report of an observer outside
// of the cluster, nil if it can.
func unfit(reachability *v1alpha1.NodeReachability) error {
	const label = v1alpha1.VantageLabel + "=" + v1alpha1.VantageOutside
	switch name := reachability.Name; {
	case reachability.Outside():
		return nil
	case reachability.Labels[v1alpha1.VantageLabel] == v1alpha1.VantageOutside:
		return fmt.Errorf("NodeReachability %s is that of the Node of its name: "+
			"make another for this observer, and name that in --outside-observer", name)
	default:
		return fmt.Errorf("NodeReachability %s lacks the label %s: "+
			"if it is for this observer, an admin sets it by kubectl label nodereachability %[1]s %[2]s", name, label)
	}
}

// missing is what there is to say where there is no NodeReachability.
func missing(observer string) error {
	return fmt.Errorf("there is no NodeReachability %s: an admin makes it, with the label %s=%s, "+
		"as in config/components/outside-observer", observer, v1alpha1.VantageLabel, v1alpha1.VantageOutside)
}

// advise adds to an answer of the API server what to do about it. The one to a report
// that the policy refuses says so itself.
func advise(observer string, err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w (%w)", missing(observer), err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not take the credentials in the kubeconfig, a token may have expired: "+
			"kubectl create token %s --namespace=exposedapp-system makes another (%w)", observer, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the user in the kubeconfig lacks a right of config/components/outside-observer: "+
			"it should be the ServiceAccount %s of the namespace exposedapp-system (%w)", observer, err)
	}
	return err
}

// leaveNodes makes the loop that of an observer outside of the cluster.
func (l *loop) leaveNodes(observer string) {
	l.outside = observer
	l.schedule.Outside = true
}

// explained returns an error of the API server with what to do about it.
func (l *loop) explained(err error) error {
	if l.outside == "" || err == nil {
		return err
	}
	return advise(l.outside, err)
}
