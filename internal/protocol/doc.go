// Package protocol is the contract between the operator and the agents. Each part is
// encoded by one of them and decoded by the other:
//
//	what             where it stands                  encoded by  decoded by
//	probe            annotation of the Service        operator    agent
//	heartbeat, size  NodeReachability spec            operator    agent
//	recheck          NodeReachability spec.recheck    operator    agent
//	report           NodeReachability status          agent       operator
//
// What others may have written is brought within bounds as it is decoded. The package
// makes no call and reads no clock.
package protocol
