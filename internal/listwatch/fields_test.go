package listwatch

import (
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
)

func TestCulprit(t *testing.T) {
	type spec struct {
		Port int32 `json:"port"`
		App  struct {
			Env []struct {
				Name  string `json:"name"`
				Value *int8  `json:"value"`
			} `json:"env"`
		} `json:"app"`
	}
	for text, want := range map[string]string{
		`{"port": 80, "app": {"env": [{"name": "a", "value": 7}]}}`: "",
		`{"port": 3000000000}`: ".port",
		`{"port": 80, "app": {"env": [{"name": "a"}, {"name": "b", "value": 300}]}, "other": true}`: ".app.env[1].value",
		`{"app": []}`: ".app",
		`[]`:          "",
	} {
		g := NewWithT(t)
		path, err := Culprit(json.RawMessage(text), func(value json.RawMessage) error {
			return json.Unmarshal(value, &spec{})
		})
		g.Expect(path).To(Equal(want), text)
		g.Expect(err == nil).To(Equal(json.Unmarshal([]byte(text), &spec{}) == nil), text)
	}
}
