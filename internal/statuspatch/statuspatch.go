// Package statuspatch makes the patch by which a program writes a status that is its
// own, whole.
//
// A server-side apply would do as well, but for two things. On a status subresource it
// does not hold the UID that it names against the object's, and so it may give the
// status of one object to the next of that name. And the API server reads it as YAML
// and merges it field by field, which is an eighth of what writing a status costs.
package statuspatch

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/types"
)

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Of returns a patch of types.JSONPatchType, for the status subresource. It gives the
// object with a UID this status in place of the one that it has, if any, and fails with
// 422 on another object. The error is that of a status which JSON cannot carry.
func Of(uid types.UID, status any) ([]byte, error) {
	return json.Marshal(operations(uid, status))
}

// OfVersion returns the same, of an object in one version: on a later one the patch fails
// with 409. So who was stopped for a while, and goes on with what it knew before, does not
// overwrite what another wrote since. The version is set rather than tested, because a
// test that fails is answered with 422, as it is for another object.
func OfVersion(uid types.UID, resourceVersion string, status any) ([]byte, error) {
	return json.Marshal(append(operations(uid, status),
		operation{Op: "replace", Path: "/metadata/resourceVersion", Value: resourceVersion}))
}

func operations(uid types.UID, status any) []operation {
	return []operation{
		{Op: "test", Path: "/metadata/uid", Value: uid},
		{Op: "add", Path: "/status", Value: status},
	}
}
