package feed

import (
	"time"

	"github.com/exposedapp/exposedapp/internal/reachability"
)

// hearing knows whether reports can be heard. While they cannot, none ages: that none
// comes says nothing about the agents.
//
// They cannot be heard while the API server is away, by the word of a request for them;
// while it is silent, which a watch alone does not tell from agents that have nothing to
// say; and while the operator itself is stopped.
type hearing struct {
	state *reachability.State
	// last is when the API server was last heard, and checked when that was last looked at.
	last, checked time.Time
	// isAway and isSilent are why reports cannot be heard.
	isAway, isSilent bool
}

// heard notes that something came.
func (h *hearing) heard(now time.Time) {
	h.last, h.isSilent = now, false
	h.resume(now)
}

// away notes whether a request found the API server away.
func (h *hearing) away(away bool, now time.Time) {
	if h.isAway = away; away {
		h.state.PauseExpiry(now)
		return
	}
	h.resume(now)
}

// check notes that time passes. The operator was stopped where too much did.
func (h *hearing) check(now time.Time) {
	if now.Sub(h.checked) > frozenTime {
		h.state.PauseExpiry(h.checked)
		h.last = h.last.Add(now.Sub(h.checked))
		h.resume(now)
	}
	h.checked = now
}

// silent reports whether the API server is to be asked: it has been silent for so long
// that some report was not renewed, and no other was either.
func (h *hearing) silent(now time.Time) bool {
	due := h.state.Due(now)
	return h.isSilent || due > 0 && now.Sub(h.last) > due
}

// answered notes whether the API server answered.
func (h *hearing) answered(answered bool, now time.Time) {
	if h.isSilent = !answered; answered {
		h.resume(now)
		return
	}
	h.state.PauseExpiry(h.last)
}

func (h *hearing) resume(now time.Time) {
	if !h.isAway && !h.isSilent {
		h.state.ResumeExpiry(now)
	}
}
