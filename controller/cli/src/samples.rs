//! Shapes for the golden tests: one migration in the middle, one plan with everything in it, fixed times.
//!
//! Every rendering is tested on the same few things, so that the displays can be compared by eye: a replica that has
//! arrived, one whose disk is being detached, one that waits for its turn. A test changes what it is about and leaves the
//! rest. Built for tests only.

use jiff::Timestamp;

use crate::shape::{
    Finding, Migration, Order, Ordinal, Phase, Plan, PlannedVolume, PlannedWrite, Severity, Step,
};

/// 2026-09-21T14:13:20Z, when the sample migration starts.
pub(crate) const START_MS: i64 = 1_790_000_000_000;

/// So many milliseconds after the start.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(START_MS + ms).unwrap_or_default()
}

/// An ordinal that began at `from` and took a second for each step, now at `step`; 14 is done.
pub(crate) fn ordinal(ordinal: u32, step: u32, from: i64) -> Ordinal {
    let begin = |step: u32| at(from + (i64::from(step) - 1) * 1_000);
    Ordinal {
        ordinal,
        step,
        step_name: crate::steps::name(step).to_owned(),
        message: String::new(),
        started_at: (step > 0).then(|| begin(1)),
        ended_at: (step == 14).then(|| begin(14)),
        steps: (1..=step.min(13))
            .map(|n| Step {
                step: n,
                name: crate::steps::name(n).to_owned(),
                started_at: Some(begin(n)),
                ended_at: (n < step).then(|| begin(n + 1)),
                message: String::new(),
            })
            .collect(),
    }
}

/// etcd-2 has arrived, etcd-1 waits for its detachment, etcd-0 for its turn.
pub(crate) fn migration() -> Migration {
    let mut moving = ordinal(1, 6, 14_000);
    moving.message = "VolumeAttachment csi-8f2c of node east-2 to be gone".to_owned();
    Migration {
        id: "etcd-1".to_owned(),
        namespace: "db".to_owned(),
        workload: "etcd".to_owned(),
        from: "east".to_owned(),
        to: "west".to_owned(),
        order: Order::HighestFirst,
        phase: Phase::Running,
        message: String::new(),
        plan_hash: "ab".to_owned(),
        started_at: Some(at(0)),
        ended_at: None,
        ordinals: vec![ordinal(2, 14, 1_000), moving, ordinal(0, 0, 0)],
        started_by: "spiffe://ferry.local/role/operator/alice".to_owned(),
        control: None,
        certificate: None,
        deadlines: Vec::new(),
        on_failure: crate::shape::OnFailure::Pause,
        unknown: Vec::new(),
    }
}

/// A plan with a refusal, a warning, volumes and writes in both clusters.
pub(crate) fn plan() -> Plan {
    let finding = |check: &str, code: &str, severity, cluster: &str| Finding {
        check: check.to_owned(),
        code: code.to_owned(),
        severity,
        cluster: cluster.to_owned(),
        subject: "StatefulSet db/etcd".to_owned(),
        found: "2 of 3 replicas Available".to_owned(),
        expected: "3 of 3".to_owned(),
        remedy: "wait until etcd-1 is Available".to_owned(),
    };
    let write = |cluster: &str, write: &str| PlannedWrite { cluster: cluster.into(), write: write.into() };
    let volume = |ordinal| PlannedVolume {
        ordinal,
        claim: format!("data-etcd-{ordinal}"),
        pv: format!("pvc-{ordinal}"),
        driver: "array.csi".to_owned(),
        handle: format!("vol-{ordinal}"),
    };
    Plan {
        hash: None,
        namespace: "db".to_owned(),
        workload: "etcd".to_owned(),
        from: "east".to_owned(),
        to: "west".to_owned(),
        order: Order::LowestFirst,
        ordinals: vec![0, 1],
        findings: vec![
            finding("K3", "replicas-unavailable", Severity::Refuse, "east"),
            finding("P", "few-nodes", Severity::Warn, ""),
        ],
        budget: 1,
        volumes: vec![volume(0), volume(1)],
        writes: vec![
            write("west", "create ConfigMap db/etcd-config"),
            write("east", "patch StatefulSet db/etcd: replicas 2 → 1"),
            write("west", "create PersistentVolume pvc-0"),
        ],
        storage_classes: std::collections::BTreeMap::new(),
        deadlines: Vec::new(),
        on_failure: crate::shape::OnFailure::Pause,
        expires_at: None,
    }
}
