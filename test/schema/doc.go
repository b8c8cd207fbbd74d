// Package schema holds the CRDs to what Go can read: whatever the API server admits into
// an ExposedApp or a NodeReachability, the operator and the agents decode. One object
// that they cannot decode would end their watch of all others.
package schema
