package agent

import "github.com/go-logr/logr"

// outage logs the beginning and the end of a time in which an action fails, and
// nothing between.
type outage struct {
	action string
	began  bool
}

// note takes the outcome of the action.
func (o *outage) note(log logr.Logger, err error) {
	log = log.WithCallDepth(1)
	switch {
	case err != nil && !o.began:
		o.began = true
		log.Error(err, "Failing, and trying again until it works", "action", o.action)
	case err == nil && o.began:
		o.began = false
		log.Info("Works again", "action", o.action)
	}
}
