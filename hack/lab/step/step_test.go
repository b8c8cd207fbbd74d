package step

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestFailedStepShowsTheEndOfItsLog(t *testing.T) {
	var out bytes.Buffer
	err := New(&out, t.TempDir()).Run("counting to twenty", exec.Command("sh", "-c", "seq 20; exit 3"))
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"counting to twenty", "exit status 3", "\n20\n", "counting-to-twenty.log"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n5\n") {
		t.Errorf("error %q shows more than the end of the log", err)
	}
	if !strings.Contains(out.String(), "s] counting to twenty …\n") {
		t.Errorf("progress %q lacks the step", out.String())
	}
}

func TestTail(t *testing.T) {
	for _, tt := range []struct {
		content string
		lines   int
		want    string
	}{
		{"", 2, ""},
		{"a\n", 2, "a"},
		{"a\nb\nc\n", 2, "b\nc"},
		{"a\nb\nc", 3, "a\nb\nc"},
	} {
		if got := Tail([]byte(tt.content), tt.lines); got != tt.want {
			t.Errorf("Tail(%q, %d) = %q, want %q", tt.content, tt.lines, got, tt.want)
		}
	}
}
