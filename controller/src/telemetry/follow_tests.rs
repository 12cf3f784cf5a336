//! A command's way through the follower: counted once, by how it ended.

use ferry_core::{Input, Session, facts::Outcome, facts::OutcomeResult};

use super::*;

fn follower() -> Follower {
    let (telemetry, _) = Telemetry::start("ferry.local", None).expect("nothing to set up");
    Follower::new(telemetry, &State::default(), Millis(0))
}

fn outcome(id: &str) -> Input {
    let outcome = Outcome { command_id: id.into(), result: OutcomeResult::Settled };
    Input::Outcome { cluster: "east".into(), session: Session(1), outcome: Box::new(outcome) }
}

#[test]
fn a_command_id_says_ordinal_and_verb() {
    let name = |text: &str| {
        let id = CommandId::from(text);
        let name = commands::name(&id);
        (name.ordinal, name.verb.to_owned())
    };
    assert_eq!(name("etcd-1/2/release/7"), (Some(2), "release".to_owned()));
    assert_eq!(name("etcd-1/-/prepare-source/1"), (None, "prepare-source".to_owned()));
    assert_eq!(name(""), (None, String::new()));
}

#[test]
fn a_command_ends_with_its_outcome_or_is_withdrawn() {
    let mut commands = Commands::default();
    for id in ["etcd-1/2/hold/1", "etcd-1/2/hold/2"] {
        commands.issued(id.into(), "east".into(), ferry_core::Epoch(2), Millis(1000));
    }
    commands.hear(&outcome("etcd-1/2/hold/1"));
    commands.hear(&outcome("a stranger's"));
    let (under_way, ending) = commands.ended(&"etcd-1/2/hold/1".into()).expect("known");
    assert_eq!((under_way.since, ending.outcome), (Millis(1000), "evidence"));
    let (_, ending) = commands.ended(&"etcd-1/2/hold/2".into()).expect("known");
    assert_eq!(ending.outcome, "withdrawn");
    assert!(commands.ended(&"etcd-1/2/hold/1".into()).is_none(), "counted twice");
    assert!(commands.ended(&"a stranger's".into()).is_none());
}

#[test]
fn inputs_and_commits_are_counted() {
    let mut follower = follower();
    follower.heard(&Input::Timer);
    let state = State::default();
    let entries = [Entry::InspectionNumbered { number: 1 }];
    let took = Duration::from_millis(3);
    follower.committed(Commit { entries: &entries, state: &state, took, now: Millis(5) });
    let text = follower.telemetry.metrics.text(&ferry_core::measure::measure(&ferry_core::Core::default()));
    for line in [
        "ferry_controller_inputs_total 1",
        "ferry_controller_journal_entries_total 1",
        "ferry_controller_journal_commit_duration_seconds_count 1",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
}
