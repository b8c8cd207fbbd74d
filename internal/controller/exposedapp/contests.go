package exposedapp

import (
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exposedapp/exposedapp/internal/operatorcache"
)

const (
	// contestRounds within contestWindow make a contest; fewer may be a mistake. An
	// autoscaler has a round every 15 seconds.
	contestRounds = 3
	contestWindow = 2 * time.Minute
)

// contests remembers who set the replicas of Deployments that the operator had to set back.
type contests struct {
	mu   sync.Mutex
	apps map[types.NamespacedName]*contest
}

// contest is between the operator and one field manager.
type contest struct {
	manager string
	rounds  []time.Time
}

func newContests() *contests {
	return &contests{apps: make(map[types.NamespacedName]*contest)}
}

// record notes that the operator set back a Deployment that somebody else had scaled.
func (c *contests) record(live *appsv1.Deployment, wanted int32, now time.Time) {
	if live == nil || ptr.Deref(live.Spec.Replicas, 1) == wanted {
		return
	}
	manager := operatorcache.CompactMetaOf(live).Text
	if manager == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := client.ObjectKeyFromObject(live)
	one := c.apps[key]
	if one == nil || one.manager != manager {
		one = &contest{manager: manager}
		c.apps[key] = one
	}
	if one.rounds = append(one.rounds, now); len(one.rounds) > contestRounds {
		one.rounds = one.rounds[1:]
	}
}

// rival returns the field manager with which the operator is in a contest over an app, if
// any, and after how long that may be over.
func (c *contests) rival(key types.NamespacedName, now time.Time) (manager string, over time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.apps[key]
	switch {
	case one == nil:
		return "", 0
	case now.Sub(one.rounds[len(one.rounds)-1]) >= contestWindow:
		delete(c.apps, key)
		return "", 0
	case len(one.rounds) < contestRounds || one.rounds[len(one.rounds)-1].Sub(one.rounds[0]) >= contestWindow:
		return "", 0
	}
	return one.manager, one.rounds[len(one.rounds)-1].Add(contestWindow).Sub(now)
}

func (c *contests) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.apps, key)
}
