package probe

import (
	"context"
	"net/netip"
)

// Asker asks an address whether it takes connections, in a way that is not
// translated. The zero Result means that it does. An error means that it was not
// asked.
type Asker interface {
	Ask(ctx context.Context, address netip.AddrPort) (Result, error)
}

// Prover makes good for dials that were translated: it asks the address itself as
// well. Both together are evidence about it, as a client's connection is: the way to
// the node's port works or not, and so does the app behind it.
type Prover struct {
	prober *Prober
	asker  Asker
}

// NewProver returns a Prover.
func NewProver(prober *Prober, asker Asker) *Prover {
	return &Prover{prober, asker}
}

// asked is what an address said.
type asked struct {
	result Result
	err    error
}

// Probe makes a probe as Prober does. Where it is translated, what the address says
// counts before it: a port that refuses or keeps silent does so for every client. If
// the port takes connections, the result is that of the dial, since what failed then
// is the app.
//
// Where a translated dial is expected, the address is asked at the same time, so that
// silence of both takes no longer than that of one.
func (p *Prover) Probe(ctx context.Context, target Target) Result {
	if !target.Provable {
		return p.prober.Probe(ctx, target)
	}
	var early chan asked
	if target.Detoured {
		early = make(chan asked, 1)
		go func() { early <- p.ask(ctx, target) }()
	}
	result := p.prober.Probe(ctx, target)
	unseen := result.Path.Way == Unseen && target.Detoured
	if result.Path.Own || result.Path.Way != Translated && !unseen || result.Reason == NotDialled {
		return result
	}
	var said asked
	if early != nil {
		said = <-early
	} else {
		said = p.ask(ctx, target)
	}
	if said.err != nil {
		return result
	}
	path := result.Path
	if !said.result.Reached() {
		result = said.result
	}
	result.Path = path
	result.Path.Way, result.Path.Proven = Translated, true
	return result
}

func (p *Prover) ask(ctx context.Context, target Target) asked {
	ctx, cancel := context.WithTimeout(ctx, target.Timeout)
	defer cancel()
	result, err := p.asker.Ask(ctx, target.Address)
	return asked{result, err}
}
