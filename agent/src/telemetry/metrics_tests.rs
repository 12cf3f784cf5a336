//! The list in the docs against the code, in both directions.

use super::*;

#[test]
fn the_docs_list_every_metric_and_no_other() {
    let docs = include_str!("../../../docs/metrics.md");
    let in_docs = ferry_telemetry::exposition::rows(docs, "ferry_agent_");
    let in_code: Vec<String> = Metrics::new().listed().iter().map(Listed::row).collect();
    assert_eq!(in_docs.join("\n"), in_code.join("\n"), "docs/metrics.md on the left, the code on the right");
}

#[test]
fn an_agent_that_waits_for_its_identity_says_what_it_can() {
    let metrics = Metrics::new();
    metrics.streams.inc();
    let text = metrics.text(false, None);
    for line in ["ferry_agent_attached 0.0", "ferry_agent_streams_total 1", "ferry_agent_api_server_up 0.0"] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
}
