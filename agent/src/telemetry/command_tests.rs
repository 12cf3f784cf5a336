//! A command and its steps are counted once each, with evidence and without.

use ferry_proto::agent::v1 as wire;

use super::*;

fn facts() -> Facts {
    Facts {
        id: "etcd-1/2/release/7".to_owned(),
        epoch: 2,
        generation: 1,
        namespace: "shop".to_owned(),
        workload: "etcd".to_owned(),
        migration: "etcd-1".to_owned(),
    }
}

#[test]
fn an_id_says_ordinal_and_verb() {
    assert_eq!(parts("etcd-1/2/release/7"), (Some(2), "release"));
    assert_eq!(parts("inspection-3/-/inspect-source/1"), (None, "inspect-source"));
    assert_eq!(parts("nonsense"), (None, ""));
}

#[test]
fn steps_end_when_they_are_done_when_the_next_begins_and_with_the_command() {
    let telemetry = Telemetry::default();
    let watch = Watch::begin(&telemetry, &facts(), "east", None);
    assert!((telemetry.metrics().running.get() - 1.0).abs() < f64::EPSILON);
    watch.said(5, StepState::Started, "taking it out");
    watch.said(5, StepState::Waiting, "it terminates");
    watch.said(5, StepState::Done, "gone");
    watch.said(6, StepState::Started, "waiting for the node");
    watch.said(7, StepState::Started, "replacing claims");
    let refusal = wire::Refusal { message: "no".to_owned(), ..wire::Refusal::default() };
    watch.end(&Evidence::Refusal(refusal));
    let metrics = telemetry.metrics();
    let text = metrics.text(false, None);
    for step in ["5", "6", "7"] {
        let line = format!("ferry_agent_step_duration_seconds_count{{step=\"{step}\"}} 1");
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    assert_eq!(metrics.commands.of(["release", "refusal"]).get(), 1);
    assert!(text.contains("ferry_agent_command_duration_seconds_count{verb=\"release\"} 1"), "{text}");
    assert!(metrics.running.get().abs() < f64::EPSILON);
}
