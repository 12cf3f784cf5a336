//! Plans and migrations for the controller to show.
//!
//! Made of the wire's own messages, since a controller sends these: one plan that may run, a finding, and a migration of
//! two replicas at any pair of steps, with times that are fixed, so that what the command prints can be compared to the
//! letter. Fields that a test does not care about stay empty, as proto3 would send them.

use ferry_proto::admin::v1 as admin;

/// A hash of the right form.
pub(crate) const HASH: &str = "5f2b8c0d4e7a91b3c6d8e0f1a2b4c6d8e0f2a4b6c8d0e2f4a6b8c0d2e4f6a8b0";

/// A plan that may run.
pub(crate) fn plan() -> admin::Plan {
    admin::Plan {
        hash: HASH.into(),
        namespace: "db".into(),
        workload: "etcd".into(),
        from: "east".into(),
        to: "west".into(),
        order: admin::Order::HighestFirst.into(),
        ordinals: vec![1, 0],
        budget: 1,
        expires_unix_ms: 1_790_000_000_000,
        ..admin::Plan::default()
    }
}

/// A finding.
pub(crate) fn finding(code: &str, severity: &str) -> admin::Finding {
    admin::Finding {
        check: "K3".into(),
        code: code.into(),
        severity: severity.into(),
        subject: "StatefulSet db/etcd".into(),
        found: format!("found of {code}"),
        expected: format!("expected of {code}"),
        remedy: format!("remedy of {code}"),
        cluster: "east".into(),
    }
}

/// The start of a migration.
const START: i64 = 1_790_000_000_000;

/// A migration of two replicas, of which the first is at this step; 14 is done, and then the other is at `second`.
pub(crate) fn migration(phase: admin::Phase, first: u32, second: u32) -> admin::Migration {
    let over = matches!(phase, admin::Phase::Completed | admin::Phase::Refused);
    admin::Migration {
        id: "etcd-7".into(),
        namespace: "db".into(),
        workload: "etcd".into(),
        from: "east".into(),
        to: "west".into(),
        order: admin::Order::HighestFirst.into(),
        phase: phase.into(),
        message: String::new(),
        ordinals: vec![ordinal(1, first), ordinal(0, second)],
        started_unix_ms: START,
        ended_unix_ms: if over { START + 62_000 } else { 0 },
        plan_hash: HASH.into(),
        ..admin::Migration::default()
    }
}

fn ordinal(ordinal: u32, step: u32) -> admin::OrdinalProgress {
    let at = |step: u32| START + i64::from(step) * 1_000;
    admin::OrdinalProgress {
        ordinal,
        step,
        step_name: if step == 6 { "detach".into() } else { String::new() },
        message: if step == 6 { "waits for VolumeAttachment csi-1".into() } else { String::new() },
        started_unix_ms: if step == 0 { 0 } else { at(1) },
        ended_unix_ms: if step == 14 { at(14) } else { 0 },
        steps: (1..=step.min(13))
            .map(|n| admin::StepTime {
                step: n,
                started_unix_ms: at(n),
                ended_unix_ms: if n < step { at(n + 1) } else { 0 },
                message: String::new(),
            })
            .collect(),
    }
}
