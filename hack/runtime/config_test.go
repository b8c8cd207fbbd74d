package main

import "testing"

// without returns the limits of a machine that lacks some capabilities.
func without(bits ...int) limits {
	l := limits{bounding: 1<<41 - 1, openFiles: 20000}
	for _, bit := range bits {
		l.bounding &^= 1 << bit
	}
	return l
}

func TestClampBundle(t *testing.T) {
	for _, tt := range []struct {
		name         string
		within       limits
		config, want string
	}{{
		name:   "a capability that the machine lacks goes from every set",
		within: without(21),
		config: `{"process":{"capabilities":{"bounding":["CAP_SYS_ADMIN","CAP_CHOWN"],"effective":["CAP_SYS_ADMIN"]}}}`,
		want:   `{"process":{"capabilities":{"bounding":["CAP_CHOWN"],"effective":[]}}}`,
	}, {
		name:   "a capability from the future stays",
		within: without(sysResource),
		config: `{"process":{"capabilities":{"bounding":["CAP_NOT_YET"]}}}`,
		want:   `{"process":{"capabilities":{"bounding":["CAP_NOT_YET"]}}}`,
	}, {
		name:   "limits are lowered to the hard limit, and only those that exceed it",
		within: without(sysResource),
		config: `{"process":{"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1024},{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}]}}`,
		want:   `{"process":{"rlimits":[{"type":"RLIMIT_NOFILE","hard":20000,"soft":1024},{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}]}}`,
	}, {
		name:   "a negative OOM score becomes zero",
		within: without(sysResource),
		config: `{"process":{"oomScoreAdj":-500}}`,
		want:   `{"process":{"oomScoreAdj":0}}`,
	}, {
		name:   "a positive OOM score stays",
		within: without(sysResource),
		config: `{"process":{"oomScoreAdj":500}}`,
		want:   `{"process":{"oomScoreAdj":500}}`,
	}, {
		name:   "with CAP_SYS_RESOURCE limits and score stay",
		within: without(),
		config: `{"process":{"oomScoreAdj":-500,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1048576}]}}`,
		want:   `{"process":{"oomScoreAdj":-500,"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1048576}]}}`,
	}, {
		name:   "what is unknown stays, numbers to the digit",
		within: without(sysResource),
		config: `{"ociVersion":"1.2.0","linux":{"resources":{"memory":{"limit":9223372036854771712}}},"process":{}}`,
		want:   `{"ociVersion":"1.2.0","linux":{"resources":{"memory":{"limit":9223372036854771712}}},"process":{}}`,
	}, {
		name:   "a config without a process stays",
		within: without(sysResource),
		config: `{"hostname":"a"}`,
		want:   `{"hostname":"a"}`,
	}} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := clampBundle([]byte(tt.config), tt.within)
			if err != nil {
				t.Fatal(err)
			}
			if want := canonical(t, []byte(tt.want)); string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestClampProcess(t *testing.T) {
	got, err := clampProcess([]byte(`{"args":["sh"],"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}`), without(sysResource))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"args":["sh"],"capabilities":{"bounding":[]}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestClampRefusesWhatIsNoObject(t *testing.T) {
	for _, config := range []string{"", "[]", `{"process":`} {
		if _, err := clampBundle([]byte(config), without()); err == nil {
			t.Errorf("%q: want an error", config)
		}
	}
}

func TestConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"create", []string{"--root", "/r", "--log", "/l", "create", "--bundle", "/b", "--pid-file", "/p", "id"}, "/b/config.json"},
		{"joined flag", []string{"run", "--bundle=/b", "id"}, "/b/config.json"},
		{"bundle in the working directory", []string{"create", "id"}, "config.json"},
		{"exec", []string{"--root", "/r", "exec", "--process", "/p.json", "--detach", "id"}, "/p.json"},
		{"exec without a process file", []string{"exec", "id", "sh"}, ""},
		{"other commands", []string{"--root", "/r", "delete", "--force", "id"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, _ := configuration(tt.args); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// canonical returns a JSON object in one spelling, its numbers to the digit.
func canonical(t *testing.T, object []byte) string {
	t.Helper()
	same, err := edit(object, func(map[string]any) {})
	if err != nil {
		t.Fatal(err)
	}
	return string(same)
}
