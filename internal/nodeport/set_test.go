package nodeport_test

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/exposedapp/exposedapp/internal/nodeport"
)

func TestText(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ports []uint16
		text  string
	}{
		{"empty", nil, ""},
		{"port 0 is no port", []uint16{0}, ""},
		{"one port", []uint16{30000}, "30000"},
		{"two neighbours", []uint16{30001, 30000}, "30000-30001"},
		{"a gap", []uint16{30000, 30002}, "30000,30002"},
		{"any order, twice", []uint16{31000, 30001, 30000, 31000, 30002}, "30000-30002,31000"},
		{"the ends", []uint16{1, 2, 65534, 65535}, "1-2,65534-65535"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			set := nodeport.Of(tc.ports...)
			g.Expect(set.String()).To(Equal(tc.text))

			parsed, err := nodeport.Parse(tc.text)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(parsed.Equal(set)).To(BeTrue())
			for _, port := range tc.ports {
				g.Expect(parsed.Contains(port)).To(Equal(port != 0))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		",":                  `node port "" is not a number from 1 to 65535`,
		"30000,":             `node port "" is not a number from 1 to 65535`,
		"0":                  `node port "0" is not a number from 1 to 65535`,
		"65536":              `node port "65536" is not a number from 1 to 65535`,
		"+80":                `node port "+80" is not a number from 1 to 65535`,
		"http":               `node port "http" is not a number from 1 to 65535`,
		"30000 ,30001":       `node port "30000"… has more than 5 digits`,
		"300001":             `node port "30000"… has more than 5 digits`,
		"30001-30000":        `node port range 30001-30000 does not ascend`,
		"30000-30000":        `node port range 30000-30000 does not ascend`,
		"30000-30001-30002":  `node port "30001"… has more than 5 digits`,
		"30001,30000":        `node port 30000 is not above the range before it`,
		"30000,30000":        `node port 30000 is not above the range before it`,
		"30000-30002,30002":  `node port 30002 is not above the range before it`,
		"1-65535,1-65535,2,": `node port 1 is not above the range before it`,
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			_, err := nodeport.Parse(text)
			g.Expect(err).To(MatchError(want))
		})
	}
}

func TestAlgebra(t *testing.T) {
	for _, tc := range []struct {
		a, b                            string
		union, intersect, minus, differ string
	}{
		{"", "", "", "", "", ""},
		{"1-5", "", "1-5", "", "1-5", "1-5"},
		{"1-5", "6-9", "1-9", "", "1-5", "1-9"},
		{"1-5", "3-9", "1-9", "3-5", "1-2", "1-2,6-9"},
		{"1-9", "3-5", "1-9", "3-5", "1-2,6-9", "1-2,6-9"},
		{"1,3,5", "2,4", "1-5", "", "1,3,5", "1-5"},
		{"1-65535", "65535", "1-65535", "65535", "1-65534", "1-65534"},
		{"10-20,30-40", "15-35", "10-40", "15-20,30-35", "10-14,36-40", "10-14,21-29,36-40"},
	} {
		t.Run(tc.a+" and "+tc.b, func(t *testing.T) {
			g := NewWithT(t)
			a, b := parse(t, tc.a), parse(t, tc.b)
			g.Expect(a.Union(b).String()).To(Equal(tc.union))
			g.Expect(b.Union(a).String()).To(Equal(tc.union))
			g.Expect(a.Intersect(b).String()).To(Equal(tc.intersect))
			g.Expect(a.Minus(b).String()).To(Equal(tc.minus))
			g.Expect(a.Differ(b).String()).To(Equal(tc.differ))
			g.Expect(a.Len()).To(Equal(len(slices.Collect(a.All()))))
			g.Expect(a.IsEmpty()).To(Equal(tc.a == ""))
		})
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct{ set, blocked, want string }{
		{"", "1-5", ""},
		{"30000,31000", "", "30000-31000"},
		{"30000,31000", "30000,31000", "30000-31000"},
		{"30000,31000", "29999,31001", "30000-31000"},
		{"30000,31000", "30500", "30000,31000"},
		{"30000,30100,30200", "30150", "30000-30100,30200"},
		{"30000,30100,30200", "30001,30199", "30000,30100,30200"},
	} {
		t.Run(tc.set+" around "+tc.blocked, func(t *testing.T) {
			NewWithT(t).Expect(parse(t, tc.set).Fill(parse(t, tc.blocked)).String()).To(Equal(tc.want))
		})
	}
}

func TestCoarsen(t *testing.T) {
	g := NewWithT(t)
	set := parse(t, "1,3,10,12,20")
	g.Expect(set.Coarsen(5).String()).To(Equal("1,3,10,12,20"))
	g.Expect(set.Coarsen(4).String()).To(Equal("1-3,10,12,20"))
	g.Expect(set.Coarsen(3).String()).To(Equal("1-3,10-12,20"))
	g.Expect(set.Coarsen(2).String()).To(Equal("1-12,20"))
	g.Expect(set.Coarsen(1).String()).To(Equal("1-20"))
	g.Expect(nodeport.Set{}.Coarsen(1).String()).To(BeEmpty())
}

func TestAllStopsEarly(t *testing.T) {
	g := NewWithT(t)
	for port := range parse(t, "1-65535").All() {
		g.Expect(port).To(BeEquivalentTo(1))
		break
	}
}

// FuzzParse holds Parse to what it promises about any text, and the algebra to
// what it means for each port.
func FuzzParse(f *testing.F) {
	f.Add("", "1")
	f.Add("30000-30010,31000", "30005-31000")
	f.Add("1-65535", "1,3,5,65535")
	f.Add("-,-", "99999999999999999999")
	f.Fuzz(func(t *testing.T, textA, textB string) {
		a, err := nodeport.Parse(textA)
		if err != nil {
			return
		}
		g := NewWithT(t)
		again, err := nodeport.Parse(a.String())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again.Equal(a)).To(BeTrue())
		g.Expect(nodeport.Of(slices.Collect(a.All())...).Equal(a)).To(BeTrue())

		b, err := nodeport.Parse(textB)
		if err != nil {
			return
		}
		union, both, minus, differ := a.Union(b), a.Intersect(b), a.Minus(b), a.Differ(b)
		filled, coarse := a.Fill(b), a.Coarsen(2)
		for n := range 1 << 16 {
			port := uint16(n)
			inA, inB := a.Contains(port), b.Contains(port)
			if union.Contains(port) != (inA || inB) || both.Contains(port) != (inA && inB) ||
				minus.Contains(port) != (inA && !inB) || differ.Contains(port) != (inA != inB) {
				t.Fatalf("port %d: %s and %s: wrong union, intersection or difference", port, a, b)
			}
			if inB && filled.Contains(port) != inA || inA && !filled.Contains(port) {
				t.Fatalf("port %d: %s filled around %s is %s", port, a, b, filled)
			}
			if inA && !coarse.Contains(port) {
				t.Fatalf("port %d: %s coarsened is %s", port, a, coarse)
			}
		}
	})
}

// BenchmarkParse reads the worst report of the default node port range: every
// other port.
func BenchmarkParse(b *testing.B) {
	var ports []uint16
	for port := uint16(30000); port < 32768; port += 2 {
		ports = append(ports, port)
	}
	text := nodeport.Of(ports...).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nodeport.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func parse(t *testing.T, text string) nodeport.Set {
	t.Helper()
	set, err := nodeport.Parse(text)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return set
}
