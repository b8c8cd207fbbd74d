package nodeport

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads what String writes. Ranges must ascend and not overlap, so that
// the memory of a set is bounded by the number of ports whatever the text.
func Parse(text string) (Set, error) {
	if text == "" {
		return Set{}, nil
	}
	spans := make([]span, 0, strings.Count(text, ",")+1)
	for item := range strings.SplitSeq(text, ",") {
		sp, err := parseSpan(item)
		if err != nil {
			return Set{}, err
		}
		if n := len(spans); n > 0 && sp.first <= spans[n-1].last {
			return Set{}, fmt.Errorf("node port %d is not above the range before it", sp.first)
		}
		spans = join(spans, sp)
	}
	return Set{spans}, nil
}

func parseSpan(item string) (span, error) {
	first, last, isRange := strings.Cut(item, "-")
	if !isRange {
		last = first
	}
	var sp span
	var err error
	if sp.first, err = parsePort(first); err != nil {
		return span{}, err
	}
	if sp.last, err = parsePort(last); err != nil {
		return span{}, err
	}
	if isRange && sp.last <= sp.first {
		return span{}, fmt.Errorf("node port range %s does not ascend", item)
	}
	return sp, nil
}

func parsePort(digits string) (uint16, error) {
	const maxDigits = 5
	if len(digits) > maxDigits {
		return 0, fmt.Errorf("node port %q… has more than %d digits", digits[:maxDigits], maxDigits)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("node port %q is not a number from 1 to 65535", digits)
	}
	return uint16(port), nil
}
