// Package limits runs the programs as they are shipped, within the memory that their
// manifests give them, against a real API server full of what others may write.
package limits
