package cluster

import (
	"fmt"
	"io"

	"sigs.k8s.io/kind/pkg/log"
)

// logger writes what KinD says into a step's log.
type logger struct {
	out io.Writer
}

func (l logger) Warn(message string)               { fmt.Fprintln(l.out, message) }
func (l logger) Warnf(format string, args ...any)  { fmt.Fprintf(l.out, format+"\n", args...) }
func (l logger) Error(message string)              { fmt.Fprintln(l.out, message) }
func (l logger) Errorf(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }
func (l logger) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return logger{io.Discard}
	}
	return l
}

func (l logger) Info(message string)              { fmt.Fprintln(l.out, message) }
func (l logger) Infof(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }
func (l logger) Enabled() bool                    { return l.out != io.Discard }
