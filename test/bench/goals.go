package main

// goal is a bound that a figure should keep.
type goal struct {
	atLeast bool
	bound   float64
}

func atMost(bound float64) goal { return goal{bound: bound} }

func (g goal) met(value float64) bool {
	if g.atLeast {
		return value >= g.bound
	}
	return value <= g.bound
}

func (g goal) String() string {
	if g.atLeast {
		return "≥ " + short(g.bound)
	}
	return "≤ " + short(g.bound)
}

// goals are by the name of the figure.
func goals() map[string]goal {
	return map[string]goal{
		"converge_ratio":                      atMost(1.25),
		"converge_naive_ratio":                {bound: 5, atLeast: true},
		"converge_growth":                     atMost(1.15),
		"writes_per_app_children":             atMost(3),
		"writes_per_app_reachable":            atMost(5),
		"writes_live_reads":                   atMost(0),
		"writes_conflicts":                    atMost(0),
		"steady_writes":                       atMost(0),
		"memory_operator_kib_per_app":         atMost(12),
		"memory_operator_mib_2500":            atMost(80),
		"memory_operator_mib_10000":           atMost(150),
		"restart_ratio":                       atMost(3),
		"restart_status_writes":               atMost(0),
		"restart_new_app_seconds":             atMost(1),
		"restart_new_app_handed_over_seconds": atMost(1),
		"probe_cpu_ratio":                     atMost(1.1),
		"probe_cpu_ratio_goroutines":          atMost(0.5),
		"agent_resident_mib":                  atMost(32),
		"agent_goroutines":                    atMost(64),
		"agent_time_wait":                     atMost(0),
		"blackhole_delay_p99":                 atMost(50),
		"fleet_steady_writes_per_second":      atMost(20),
		"fleet_steady_cr_writes":              atMost(0),
		"fleet_node_dies_peak":                atMost(150),
		"fleet_apps_die_peak":                 atMost(150),
		"fleet_all_die_peak":                  atMost(150),
		"fleet_node_dies_right_after":         atMost(60),
		"fleet_apps_die_right_after":          atMost(60),
		"fleet_all_die_right_after":           atMost(60),
		"fleet_app_bytes":                     atMost(10_000),
		"fleet_report_bytes":                  atMost(10_000),
		"fleet_operator_resident_mib":         atMost(160),
		"fleet_operator_cpu":                  atMost(0.10),
		"fleet_probes_per_app":                atMost(35),
		"fleet_observers":                     atMost(8),
		"fleet_lists_changed":                 atMost(9),
		"flapping_writes_per_app":             atMost(0.2),
		"flapping_right_after":                atMost(10),
	}
}
