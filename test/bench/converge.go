package main

import "context"

// converge creates many apps at once, and takes the time from the first create
// until all have both children and a status of their generation.
//
// The API server, the bench that creates the apps, and the subject share one
// machine, so a part of each time is the creation of the apps themselves, which
// is the same for every subject. It is measured as well, with nobody at work on
// the apps, so that a reader can take it away; the ratios leave it in, since
// nobody's apps come about without.
func converge(ctx context.Context, b *bench) error {
	r, err := newRace(ctx, b)
	if err != nil {
		return err
	}
	apps := pick(b, 1000, 12)
	floor, err := r.warmUp(ctx, apps)
	if err != nil {
		return err
	}
	subjects := []contestant{r.operator(), floor, r.naive(), nobody()}
	taken := make(map[string][]trial)
	for _, i := range alternate(len(subjects), pick(b, 5, 1)) {
		t, err := r.trial(ctx, subjects[i], apps)
		if err != nil {
			return err
		}
		taken[subjects[i].name] = append(taken[subjects[i].name], t)
	}
	seconds := func(t trial) float64 { return t.seconds }
	times := func(name string) []float64 { return column(taken[name], seconds) }
	// By rounds: the machine itself may be slower in one than in the next.
	b.report("converge_ratio", "×", ratios(times("operator"), times("floor"))...)
	b.report("converge_naive_ratio", "×", ratios(times("naive"), times("operator"))...)
	// Nobody can be faster than the naive one by more.
	b.report("converge_naive_ratio_of_floor", "×", ratios(times("naive"), times("floor"))...)
	for _, subject := range subjects {
		trials := taken[subject.name]
		b.report("converge_seconds_"+subject.name, "s", column(trials, seconds)...)
		if subject.start != nil {
			b.report("converge_cpu_"+subject.name, "s", column(trials, func(t trial) float64 { return t.cpu })...)
		}
		b.report("converge_apiserver_cpu_"+subject.name, "s",
			column(trials, func(t trial) float64 { return t.apiServerCPU })...)
	}
	return nil
}

// convergeGrowth compares the time that the operator takes per app when there
// are many apps with that when there are few. How much slower the API server
// itself is by then shows in that of the floor.
func convergeGrowth(ctx context.Context, b *bench) error {
	r, err := newRace(ctx, b)
	if err != nil {
		return err
	}
	few, many := pick(b, 100, 4), pick(b, 2500, 16)
	floor, err := r.warmUp(ctx, many)
	if err != nil {
		return err
	}
	subjects, sizes := []contestant{r.operator(), floor}, []int{few, many}
	taken := make([][]trial, len(subjects)*len(sizes))
	for _, i := range alternate(len(taken), pick(b, 3, 1)) {
		apps := sizes[i%len(sizes)]
		t, err := r.trial(ctx, subjects[i/len(sizes)], apps)
		if err != nil {
			return err
		}
		t.seconds /= float64(apps)
		taken[i] = append(taken[i], t)
	}
	milliseconds := func(t trial) float64 { return 1000 * t.seconds }
	times := func(i int) []float64 { return column(taken[i], milliseconds) }
	b.report("converge_growth", "×", ratios(times(1), times(0))...)
	b.report("converge_growth_floor", "×", ratios(times(3), times(2))...)
	for i, name := range []string{"100_operator", "2500_operator", "100_floor", "2500_floor"} {
		b.report("converge_growth_per_app_of_"+name, "ms", times(i)...)
	}
	return nil
}

// alternate is the order of n subjects over trials: forward, then backward, so
// that none is always behind the same one.
func alternate(n, trials int) []int {
	var order []int
	for t := range trials {
		for i := range n {
			if t%2 == 1 {
				i = n - 1 - i
			}
			order = append(order, i)
		}
	}
	return order
}

func column(trials []trial, value func(trial) float64) []float64 {
	values := make([]float64, len(trials))
	for i, t := range trials {
		values[i] = value(t)
	}
	return values
}
