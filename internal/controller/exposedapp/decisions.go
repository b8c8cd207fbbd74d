package exposedapp

import (
	"sync"
	"time"

	"github.com/exposedapp/exposedapp/internal/applyerror"
	"github.com/exposedapp/exposedapp/internal/ssa"
)

// decisions remembers what the API server decided against, so that it is not asked the
// same at every reconciliation.
type decisions struct {
	mu   sync.Mutex
	made map[ssa.ChildKey]decision
}

// question is what the API server is asked: to bring a child of a version, or none, to
// what is declared.
type question struct {
	ssa.Declaration
	nodePort int32
	version  string
}

// decision is what it decided, and until when that is not asked again.
type decision struct {
	question
	problem *applyerror.Error
	until   time.Time
}

func newDecisions() *decisions { return &decisions{made: make(map[ssa.ChildKey]decision)} }

// on returns the error that still answers a question, nil where it has to be asked.
func (d *decisions) on(of ssa.ChildKey, asked question, now time.Time) *applyerror.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if made := d.made[of]; made.question == asked && now.Before(made.until) {
		return made.problem
	}
	return nil
}

// note notes the API server's answer to a question, and returns it. One that may be
// another at the next try is no decision.
func (d *decisions) note(of ssa.ChildKey, asked question, answer *applyerror.Error, now time.Time) *applyerror.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if answer.Pause() == 0 {
		delete(d.made, of)
	} else {
		d.made[of] = decision{question: asked, problem: answer, until: now.Add(answer.RetryAfter)}
	}
	return answer
}

// forget forgets a child.
func (d *decisions) forget(of ssa.ChildKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.made, of)
}
