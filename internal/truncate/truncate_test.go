package truncate_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/truncate"
)

func TestText(t *testing.T) {
	g := NewWithT(t)
	for limit, want := range []string{"", "a", "a", "aé", "aé", "aé", "aé€", "aé€"} {
		g.Expect(truncate.Text("aé€", limit)).To(Equal(want), "%d bytes", limit)
	}
	g.Expect(truncate.Text("a", -1)).To(BeEmpty())
}
