package agent

import "github.com/exposedapp/exposedapp/test/agentgen"

// The words of these tests.
var (
	onPorts   = agentgen.OnPorts
	addresses = agentgen.Addresses
	refused   = agentgen.Refused
	timedOut  = agentgen.TimedOut
	along     = agentgen.Along
	elsewhere = agentgen.Elsewhere
	atHome    = agentgen.AtHome
)
