package protocol

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/exposedapp/exposedapp/api/v1alpha1"
)

// MaxProbe is the length, in bytes, of the longest encoded probe: a path has up to 1,024
// characters, and JSON may take six bytes for each.
const MaxProbe = 8 << 10

// Probe is how the node ports of a Service are dialled.
type Probe struct {
	Path      string
	Period    time.Duration
	Timeout   time.Duration
	Threshold uint8
}

// EncodeProbe returns the value of the annotation v1alpha1.ProbeAnnotation.
func EncodeProbe(probe *v1alpha1.ProbeSpec) string {
	text, err := json.Marshal(probe)
	if err != nil {
		// Strings and integers always marshal.
		panic(err)
	}
	return string(text)
}

// DecodeProbe reads the value of the annotation. It is data from the cluster, which many
// may write: what is missing or cannot be read takes the defaults of the API, and what
// is out of bounds is brought within them. A value longer than MaxProbe is not read.
func DecodeProbe(annotation string) Probe {
	var spec v1alpha1.ProbeSpec
	if len(annotation) > MaxProbe || json.Unmarshal([]byte(annotation), &spec) != nil {
		spec = v1alpha1.ProbeSpec{}
	}
	if !validPath(spec.Path) {
		spec.Path = "/"
	}
	period := bounded(spec.PeriodSeconds, 5, 300)
	return Probe{
		Path:      spec.Path,
		Period:    seconds(period),
		Timeout:   seconds(min(bounded(spec.TimeoutSeconds, 2, 60), period)),
		Threshold: uint8(bounded(spec.FailureThreshold, 2, 10)),
	}
}

func validPath(path string) bool {
	return strings.HasPrefix(path, "/") && len(path) <= 1024 &&
		!strings.ContainsFunc(path, func(r rune) bool { return r < '!' || r > '~' })
}

// bounded brings n between 1 and most; 0 means unset and becomes preset.
func bounded(n, preset, most int32) int32 {
	if n == 0 {
		return preset
	}
	return max(1, min(n, most))
}

func seconds(n int32) time.Duration {
	return time.Duration(n) * time.Second
}
