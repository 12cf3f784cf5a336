//! The list in the docs against the code, in both directions; and what a scrape says of a ledger.

use std::collections::BTreeMap;

use ferry_core::{ClusterName, Millis, Phase, measure::ClusterMeasure};

use super::*;

#[test]
fn the_docs_list_every_metric_and_no_other() {
    let docs = include_str!("../../../docs/metrics.md");
    let in_docs = ferry_telemetry::exposition::rows(docs, "ferry_controller_");
    let in_code: Vec<String> = Metrics::new().listed().iter().map(Listed::row).collect();
    assert_eq!(in_docs.join("\n"), in_code.join("\n"), "docs/metrics.md on the left, the code on the right");
}

#[test]
fn a_scrape_says_what_there_is_and_forgets_what_is_gone() {
    let metrics = Metrics::new();
    let east = ClusterMeasure {
        attached: true,
        api_server_ok: true,
        watch_lag_ms: 1500,
        last_seen: Millis(2000),
        workloads: 3,
        unavailable: 1,
    };
    let mut measure = Measure {
        clusters: BTreeMap::from([(ClusterName::from("east"), east)]),
        migrations: vec![(Phase::Paused, 1)],
        volumes: 6,
        volumes_in_conflict: 1,
        ..Measure::default()
    };
    let text = metrics.text(&measure);
    for line in [
        "ferry_controller_sessions 1.0",
        "ferry_controller_cluster_watch_lag_seconds{cluster=\"east\"} 1.5",
        "ferry_controller_unavailable_replicas{cluster=\"east\"} 1.0",
        "ferry_controller_migrations{phase=\"paused\"} 1.0",
        "ferry_controller_volume_conflicts 1.0",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    measure.migrations = vec![(Phase::Completed, 1)];
    let text = metrics.text(&measure);
    assert!(!text.contains("paused"), "{text}");
    assert!(text.contains("ferry_controller_migrations{phase=\"completed\"} 1.0"), "{text}");
}
