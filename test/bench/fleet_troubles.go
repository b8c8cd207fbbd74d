package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// trouble is something that breaks, and is mended. turn does either, in the world
// and in the fleet, and expect in the truth.
type trouble struct {
	name   string
	turn   func(broken bool) error
	expect func(t *truth, broken bool)
}

// patience is how long verdicts may take to be right. They are then called wrong,
// and the next trouble begins.
const patience = 5 * time.Minute

// endure goes through a trouble and its end, and measures for both the most writes
// per second, and the time until all verdicts are right.
func (s *stage) endure(ctx context.Context, t trouble) error {
	for _, half := range []struct {
		name   string
		broken bool
	}{{t.name, true}, {t.name + "_mended", false}} {
		s.logf("%s", half.name)
		begun, err := s.cluster.mark()
		if err != nil {
			return err
		}
		began := time.Now()
		s.verdicts.expect(func(table *truth) { t.expect(table, half.broken) })
		if err := t.turn(half.broken); err != nil {
			return err
		}
		took := patience
		if right, err := s.verdicts.awaitRight(ctx, patience); err == nil {
			took = right.Sub(began)
		} else if ctx.Err() != nil {
			return err
		} else {
			s.logf("%s: %s", half.name, err)
		}
		// What is still to be written is part of it.
		if err := sleep(ctx, pick(s.bench, 45*time.Second, time.Second)); err != nil {
			return err
		}
		written, err := s.written(begun)
		if err != nil {
			return err
		}
		told, err := s.endpointsTold(begun)
		if err != nil {
			return err
		}
		if told.After(began) {
			s.report(s.name+"_"+half.name+"_endpoints_after", "s", told.Sub(began).Seconds())
		}
		s.report(s.name+"_"+half.name+"_right_after", "s", took.Seconds())
		s.report(s.name+"_"+half.name+"_peak", "1/s", peak(written))
		s.report(s.name+"_"+half.name+"_app_writes", "", float64(count(written, writesApp)))
		s.report(s.name+"_"+half.name+"_reports", "", float64(count(written, func(r request) bool {
			return r.resource == "nodereachabilities/status"
		})))
	}
	return s.operator.alive()
}

// troubles are, in this order: a node that dies, a node whose ports alone do, a
// hundred apps, and all of them.
func (s *stage) troubles() []trouble {
	dying, ailing := nodeName(s.world.nodes/2), nodeName(s.world.nodes/3)
	some := min(100, len(s.apps)/2)
	return []trouble{
		{
			name: "node_dies",
			turn: func(broken bool) error {
				if err := s.fleet.turn(Break{Nodes: []string{dying}, Broken: broken, Silent: true, Dead: broken}); err != nil {
					return err
				}
				return s.world.setNode(dying, !broken)
			},
			expect: func(t *truth, broken bool) { t.gone[dying] = broken },
		},
		{
			name: "ports_die",
			turn: func(broken bool) error {
				return s.fleet.turn(Break{Nodes: []string{ailing}, Broken: broken})
			},
			expect: func(t *truth, broken bool) { t.silenced[ailing] = broken },
		},
		s.deathOf("apps_die", s.apps[:some], s.ports[:some]),
		s.deathOf("all_die", s.apps, s.ports),
	}
}

// deathOf is the trouble that the pods of apps fail: they are ready no more, and
// their ports are refused on every node.
func (s *stage) deathOf(name string, apps []types.NamespacedName, ports []uint16) trouble {
	return trouble{
		name: name,
		turn: func(broken bool) error {
			if err := s.fleet.turn(Break{Ports: ports, Broken: broken}); err != nil {
				return err
			}
			return s.world.setApps(apps, !broken)
		},
		expect: func(t *truth, broken bool) {
			for _, port := range ports {
				t.dead[int32(port)] = broken
			}
		},
	}
}
