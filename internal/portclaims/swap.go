package portclaims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/workload"
)

// asideTries is how many node ports are tried for a Service that steps aside.
const asideTries = 16

// member is a Service in a ring of apps, each of which asks for what the next one holds.
type member struct {
	app     *v1alpha1.ExposedApp
	service *corev1.Service
	holds   int32
}

// rotate has the apps of a ring change their node ports: this one steps aside to a port
// next to its own, the last of the line takes what it held, the one before takes what that
// held, and so on, until what the app asks for is free. It is a few requests one after the
// other, so that nobody else gets hold of a port in between. It returns false where that
// cannot be done, or is done already.
func (c *Claims) rotate(
	ctx context.Context, app *v1alpha1.ExposedApp, live *corev1.Service, line []*v1alpha1.ExposedApp,
) (bool, error) {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	ring, err := c.members(ctx, app, workload.HeldPort(live), line)
	if ring == nil || err != nil {
		return false, err
	}
	first := ring[0]
	if err := c.stepAside(ctx, first); err != nil {
		return false, err
	}
	for _, next := range slices.Backward(ring[1:]) {
		if err := c.move(ctx, next, *next.app.Spec.NodePort); err != nil {
			return false, errors.Join(err, c.move(ctx, first, first.holds))
		}
	}
	return true, nil
}

// members returns the Services of a ring as they are now, this app's first. It returns none
// where one does not hold what it did, or the API server would refuse it for another
// reason than its node port.
func (c *Claims) members(
	ctx context.Context, app *v1alpha1.ExposedApp, holds int32, line []*v1alpha1.ExposedApp,
) ([]member, error) {
	ring := []member{{app: app, holds: holds}}
	for _, next := range line {
		ring = append(ring, member{app: next, holds: *ring[len(ring)-1].app.Spec.NodePort})
	}
	for i := range ring {
		ring[i].service = &corev1.Service{}
		if err := c.direct.Get(ctx, client.ObjectKeyFromObject(ring[i].app), ring[i].service); err != nil {
			return nil, fmt.Errorf("read %s: %w", describe("Service", ring[i].app), err)
		}
		if !metav1.IsControlledBy(ring[i].service, ring[i].app) || workload.HeldPort(ring[i].service) != ring[i].holds {
			return nil, nil
		}
		err := c.move(ctx, ring[i], ring[i].holds, client.DryRunAll)
		if applyerror.RefusesContent(err) || apierrors.IsForbidden(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("try %s: %w", describe("Service", ring[i].app), err)
		}
	}
	return ring, nil
}

// stepAside moves a Service to a node port that nobody holds or asks for, near its own.
func (c *Claims) stepAside(ctx context.Context, from member) error {
	var err error
	for i := range int32(asideTries) {
		aside := from.holds + i/2 + 1
		if i%2 == 1 {
			aside = from.holds - i/2 - 1
		}
		asking, lookupErr := c.asking(strconv.Itoa(int(aside)))
		if lookupErr != nil || len(asking) > 0 || c.holderOf(from.app, aside) != nil ||
			slices.Contains(workload.HeldPorts(from.service), aside) {
			continue
		}
		err = c.move(ctx, from, aside)
		if taken, outOfRange := applyerror.PortCause(err, aside); !taken && outOfRange == "" {
			return err
		}
	}
	return fmt.Errorf("no node port near %d is free to change ports over: %w", from.holds, err)
}

// move applies a Service with a node port.
func (c *Claims) move(ctx context.Context, from member, nodePort int32, options ...client.ApplyOption) error {
	wanted := workload.Service(from.app, nodePort).WithUID(from.service.UID)
	writer := client.Writer(c.client)
	if len(options) > 0 {
		writer = c.direct
	}
	return writer.Apply(ctx, wanted, append(options, client.ForceOwnership)...)
}
