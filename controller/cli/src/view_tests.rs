use super::*;
use crate::samples::{at, migration, ordinal};

#[test]
fn the_closing_summary() {
    let ended = Migration {
        phase: Phase::Completed,
        ended_at: Some(at(62_000)),
        ordinals: vec![ordinal(0, 14, 0)],
        ..migration()
    };
    let text = summary(&ended, Paint(false));
    assert!(
        text.starts_with("db/etcd  east → west  completed: 1 of 1 replicas moved in 1m02s\n\nREPLICA"),
        "{text}"
    );
    let refused = Migration { phase: Phase::Refused, ordinals: vec![ordinal(0, 0, 0)], ..ended };
    let text = summary(&refused, Paint(false));
    assert_eq!(text, "db/etcd  east → west  refused: 0 of 1 replicas moved in 1m02s\n");
}

#[test]
fn a_pause_stays_on_the_screen() {
    let message = "claim data-etcd-1 exists in west; remove it".to_owned();
    let held = Migration { phase: Phase::Paused, message, ..migration() };
    assert_eq!(
        paused(&held, at(0), Paint(false)),
        "2026-09-21T14:13:20Z db/etcd paused: claim data-etcd-1 exists in west; remove it"
    );
}
