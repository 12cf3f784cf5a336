//! The table of stages and events, written out a second time, by hand.

use std::collections::BTreeSet;

use super::event::Event;
use super::stage::Stage;
use crate::facts::{Adopted, Fenced, Held, Reclaimed, Released, SourcePrepared};
use crate::{ClusterName, Epoch, Millis, Slice};

const STAGES: [Stage; 18] = [
    Stage::PreparingSource,
    Stage::PreparingTarget,
    Stage::Converging,
    Stage::Between,
    Stage::Holding,
    Stage::Releasing,
    Stage::Adopting,
    Stage::Gating,
    Stage::Resolving,
    Stage::Retiring,
    Stage::Settling,
    Stage::Finishing,
    Stage::Fencing,
    Stage::Reclaiming,
    Stage::Unpreparing,
    Stage::Completed,
    Stage::Refused,
    Stage::RolledBack,
];

/// One of each; the match makes sure that none is forgotten.
fn events() -> Vec<Event> {
    let cluster = ClusterName::from("east");
    let all = vec![
        Event::SourcePrepared { evidence: Box::new(SourcePrepared::default()) },
        Event::TargetPrepared { uid: "u".to_owned(), slice: Slice::default() },
        Event::Converged,
        Event::HandoffBegan { ordinal: 0, epoch: Epoch(2) },
        Event::SideHeld { cluster: cluster.clone(), held: Held::default() },
        Event::HoldLapsed { cluster: cluster.clone() },
        Event::Held { old_addresses: Vec::new() },
        Event::ReleaseDeclined,
        Event::RecheckDeclined,
        Event::Released { evidence: Box::new(Released::default()) },
        Event::Adopted { evidence: Box::new(Adopted::default()) },
        Event::GatePassed { resolvers_until: Millis(0) },
        Event::ResolversWaited,
        Event::Retired { last: false },
        Event::Retired { last: true },
        Event::SideSettled { cluster: cluster.clone() },
        Event::Settled,
        Event::GivenUp { message: String::new() },
        Event::Withdrawn,
        Event::FenceBegan { epoch: Epoch(3) },
        Event::ReclaimBegan { epoch: Epoch(3) },
        Event::Fenced { evidence: Box::new(Fenced::default()) },
        Event::Reclaimed { evidence: Box::new(Reclaimed::default()) },
        Event::EpochRaised { epoch: Epoch(9) },
        Event::Turned,
        Event::UnprepareBegan,
        Event::SideUnprepared { cluster, left: Vec::new() },
        Event::Unprepared,
    ];
    let kinds: BTreeSet<u32> = all
        .iter()
        .map(|event| match event {
            Event::SourcePrepared { .. } => 0,
            Event::TargetPrepared { .. } => 1,
            Event::Converged => 2,
            Event::HandoffBegan { .. } => 3,
            Event::SideHeld { .. } => 4,
            Event::HoldLapsed { .. } => 5,
            Event::Held { .. } => 6,
            Event::ReleaseDeclined => 7,
            Event::RecheckDeclined => 8,
            Event::Released { .. } => 9,
            Event::Adopted { .. } => 10,
            Event::GatePassed { .. } => 11,
            Event::ResolversWaited => 12,
            Event::Retired { last: false } => 13,
            Event::Retired { last: true } => 14,
            Event::SideSettled { .. } => 15,
            Event::Settled => 16,
            Event::GivenUp { .. } => 17,
            Event::Withdrawn => 18,
            Event::FenceBegan { .. } => 19,
            Event::ReclaimBegan { .. } => 20,
            Event::Fenced { .. } => 21,
            Event::Reclaimed { .. } => 22,
            Event::EpochRaised { .. } => 23,
            Event::Turned => 24,
            Event::UnprepareBegan => 25,
            Event::SideUnprepared { .. } => 26,
            Event::Unprepared => 27,
        })
        .collect();
    assert_eq!(kinds, (0..28).collect());
    all
}

#[test]
fn the_whole_table() {
    let mut legal: Vec<String> = Vec::new();
    for stage in STAGES {
        for event in events() {
            let last = matches!(event, Event::Retired { last: true });
            let name = if last { "retired (last)" } else { event.name() };
            match stage.after(&event) {
                Ok(next) => legal.push(format!("{stage:?} + {name} = {next:?}")),
                Err(illegal) => {
                    assert_eq!((illegal.stage, illegal.event), (stage, event.name()));
                }
            }
        }
    }
    let expected = [
        "PreparingSource + source-prepared = PreparingTarget",
        "PreparingSource + given-up = Refused",
        "PreparingSource + unprepare-began = Unpreparing",
        "PreparingTarget + target-prepared = Converging",
        "PreparingTarget + given-up = Refused",
        "PreparingTarget + unprepare-began = Unpreparing",
        "Converging + converged = Between",
        "Converging + unprepare-began = Unpreparing",
        "Between + handoff-began = Holding",
        "Between + turned = Between",
        "Between + unprepare-began = Unpreparing",
        "Holding + side-held = Holding",
        "Holding + hold-lapsed = Holding",
        "Holding + held = Releasing",
        "Holding + recheck-declined = Releasing",
        "Holding + withdrawn = Settling",
        "Holding + fence-began = Fencing",
        "Holding + reclaim-began = Reclaiming",
        "Holding + epoch-raised = Holding",
        "Releasing + release-declined = Holding",
        "Releasing + released = Adopting",
        "Releasing + withdrawn = Settling",
        "Releasing + fence-began = Fencing",
        "Releasing + reclaim-began = Reclaiming",
        "Releasing + epoch-raised = Releasing",
        "Adopting + adopted = Gating",
        "Adopting + fence-began = Fencing",
        "Adopting + reclaim-began = Reclaiming",
        "Adopting + epoch-raised = Releasing",
        "Gating + gate-passed = Resolving",
        "Gating + fence-began = Fencing",
        "Resolving + resolvers-waited = Retiring",
        "Resolving + fence-began = Fencing",
        "Retiring + retired = Settling",
        "Retiring + retired (last) = Finishing",
        "Retiring + epoch-raised = Retiring",
        "Settling + side-settled = Settling",
        "Settling + settled = Between",
        "Finishing + side-settled = Finishing",
        "Finishing + settled = Completed",
        "Fencing + fenced = Reclaiming",
        "Fencing + epoch-raised = Fencing",
        "Reclaiming + reclaimed = Settling",
        "Reclaiming + epoch-raised = Fencing",
        "Unpreparing + side-unprepared = Unpreparing",
        "Unpreparing + unprepared = RolledBack",
    ];
    assert_eq!(legal, expected);
}

#[test]
fn nothing_happens_after_the_end() {
    for event in events() {
        assert!(Stage::Completed.after(&event).is_err());
        assert!(Stage::Refused.after(&event).is_err());
        assert!(Stage::RolledBack.after(&event).is_err());
    }
}
