package trouble

import (
	"regexp"
	"strings"
)

// nonRoot is what to set where a pod must not run as root. An image that names its
// user by name leaves the kubelet unable to tell that it is not root.
const nonRoot = "spec.app.securityContext.runAsNonRoot: true, and runAsUser (a number) where the image names " +
	"its user by name"

// OfRefusal tells why no pod could be made, from the words by which the API server
// refused the last one: a quota, a limit range, the namespace's pod security level, a
// webhook.
func OfRefusal(words string) Trouble {
	// Each try is for a pod of another name.
	words = regexp.MustCompile(`^pods "[^"]*" is forbidden`).ReplaceAllString(words, "pods are forbidden")
	text := Clean(words, maxWords)
	fields := securityFields(words)
	if strings.Contains(words, "must specify ") || strings.Contains(words, " usage per ") {
		// A quota that counts what the pods ask for, or a limit range.
		fields = append(fields, "spec.app.resources")
	}
	if len(fields) > 0 {
		text += ": set " + strings.Join(fields, ", ")
	}
	return Trouble{Text: text}
}

// securityFields returns what to set in the ExposedApp for the violations of a pod
// security level.
func securityFields(words string) []string {
	_, violations, found := strings.Cut(words, "violates PodSecurity ")
	if !found {
		return nil
	}
	var fields []string
	for _, violation := range []struct{ words, field string }{
		{"runAsNonRoot != true", nonRoot},
		{"runAsUser=0", "spec.app.securityContext.runAsUser to another number than 0"},
		{"privileged (", "spec.app.securityContext.privileged: false"},
		{"allowPrivilegeEscalation != false", "spec.app.securityContext.allowPrivilegeEscalation: false"},
		{"unrestricted capabilities", "spec.app.securityContext.capabilities.drop: [ALL], and add NET_BIND_SERVICE at most"},
		{"non-default capabilities", "spec.app.securityContext.capabilities.add to none of these"},
		{"seccompProfile", "spec.app.securityContext.seccompProfile.type: RuntimeDefault"},
		{"procMount", "spec.app.securityContext.procMount: Default"},
	} {
		if strings.Contains(violations, violation.words) {
			fields = append(fields, violation.field)
		}
	}
	return fields
}
