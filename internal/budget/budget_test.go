package budget_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/budget"
)

func TestPeriod(t *testing.T) {
	for name, tc := range map[string]struct {
		declared        time.Duration
		size, addresses int
		want            time.Duration
	}{
		"nobody to ask":          {5 * time.Second, 5000, 0, 5 * time.Second},
		"a small cluster":        {5 * time.Second, 16, 9, 5 * time.Second},
		"more than there may be": {5 * time.Second, 35, 10, 10 * time.Second},
		"a long period":          {time.Minute, 35, 10, time.Minute},
		"the largest cluster":    {time.Second, 7000, 9, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(budget.Period(tc.declared, tc.size, tc.addresses)).To(Equal(tc.want))
		})
	}
}
