//! What is registered is written, and listed under the name that a query uses.

use super::*;

#[test]
fn what_is_registered_is_listed_and_written() {
    let mut exposition = Exposition::new();
    let runs = exposition.counters("ferry_test_runs", ["verb", "outcome"], "Runs");
    let height = exposition.gauge("ferry_test_height_meters", "Height");
    let times = exposition.histogram("ferry_test_run_duration_seconds", &[0.1, 1.0], "Times");
    runs.of(["hold", "evidence"]).inc();
    height.set(1.5);
    times.observe(0.5);
    let text = exposition.text();
    for line in [
        "# HELP ferry_test_runs Runs.",
        "# TYPE ferry_test_runs counter",
        "ferry_test_runs_total{verb=\"hold\",outcome=\"evidence\"} 1",
        "ferry_test_height_meters 1.5",
        "ferry_test_run_duration_seconds_bucket{le=\"1.0\"} 1",
        "ferry_test_run_duration_seconds_count 1",
        "# TYPE process_resident_memory_bytes gauge",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    let listed = exposition.listed();
    let names: Vec<&str> = listed.iter().map(|metric| metric.name.as_str()).collect();
    assert!(
        names.contains(&"ferry_test_runs_total") && names.contains(&"process_cpu_seconds_total"),
        "{names:?}"
    );
    for listed in listed.iter().filter(|listed| listed.name.starts_with("process")) {
        let name = listed.name.trim_end_matches("_total");
        let line = format!("# TYPE {name} {}", listed.kind);
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_label_is_forgotten_when_it_is_cleared() {
    let mut exposition = Exposition::new();
    let lag = exposition.gauges("ferry_test_lag_seconds", ["cluster"], "Lag");
    lag.of(["east"]).set(2.0);
    lag.clear();
    lag.of(["west"]).set(3.0);
    let text = exposition.text();
    assert!(text.contains("ferry_test_lag_seconds{cluster=\"west\"} 3.0"), "{text}");
    assert!(!text.contains("east"), "{text}");
}
