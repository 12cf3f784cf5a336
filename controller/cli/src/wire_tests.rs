use super::*;

#[test]
fn control_characters_from_a_cluster_do_not_reach_the_terminal() {
    assert_eq!(clean("pv\u{1b}[2J\r\nx\t1\n"), "pv\u{fffd}[2J\u{fffd} x 1");
}

#[test]
fn h33_what_is_not_understood_is_refused() {
    let unknown = pb::Migration { phase: 99, ..pb::Migration::default() };
    assert!(matches!(migration(unknown), Err(Failure::NotUnderstood { .. })));
    let never_sent = pb::Migration::default();
    assert!(matches!(migration(never_sent), Err(Failure::NotUnderstood { .. })));
    let finding = pb::Finding { severity: "fatal".into(), ..pb::Finding::default() };
    let plan_of = pb::Plan { findings: vec![finding], ..pb::Plan::default() };
    assert!(matches!(plan(plan_of), Err(Failure::NotUnderstood { .. })));
}

#[test]
fn refusals_come_first() {
    let of = |severity: &str| pb::Finding { severity: severity.into(), ..pb::Finding::default() };
    let from = pb::Plan { findings: vec![of("note"), of("refuse"), of("warn")], ..pb::Plan::default() };
    let sorted: Vec<_> = plan(from).unwrap().findings.into_iter().map(|finding| finding.severity).collect();
    assert_eq!(sorted, [shape::Severity::Refuse, shape::Severity::Warn, shape::Severity::Note]);
}

#[test]
fn json_shapes_are_stable() {
    let from = pb::Migration {
        id: "etcd-1".into(),
        namespace: "db".into(),
        workload: "etcd".into(),
        from: "east".into(),
        to: "west".into(),
        order: pb::Order::LowestFirst.into(),
        phase: pb::Phase::Running.into(),
        message: String::new(),
        ordinals: vec![pb::OrdinalProgress {
            ordinal: 2,
            step: 6,
            step_name: "detach".into(),
            message: "waits for csi-1".into(),
            started_unix_ms: 1_790_000_000_500,
            ended_unix_ms: 0,
            steps: vec![pb::StepTime {
                step: 5,
                started_unix_ms: 1_790_000_000_500,
                ended_unix_ms: 1_790_000_001_000,
                message: "pod etcd-2 is gone".into(),
            }],
        }],
        started_unix_ms: 1_790_000_000_000,
        ended_unix_ms: 0,
        plan_hash: "ab".into(),
        started_by: "spiffe://ferry.local/role/operator/alice".into(),
        control: Some(pb::Control {
            paused_by: "bob".into(),
            rollback: "all".into(),
            ..pb::Control::default()
        }),
        certificate: None,
        deadlines: vec![pb::StepDeadline { step: 10, step_name: String::new(), deadline_ms: 300_000 }],
        on_failure: pb::OnFailure::Rollback.into(),
        unknown: vec![pb::UnknownOutcome {
            cluster: "east".into(),
            message: "not known".into(),
            unproven_nodes: vec!["east-1".into()],
        }],
    };
    let json = serde_json::to_value(migration(from).unwrap()).unwrap();
    let expected = serde_json::json!({
        "id": "etcd-1", "namespace": "db", "workload": "etcd", "from": "east", "to": "west",
        "order": "lowest-first", "phase": "running", "message": "", "planHash": "ab",
        "startedAt": "2026-09-21T14:13:20.000Z", "endedAt": null,
        "ordinals": [{
            "ordinal": 2, "step": 6, "stepName": "detach", "message": "waits for csi-1",
            "startedAt": "2026-09-21T14:13:20.500Z", "endedAt": null,
            "steps": [{
                "step": 5, "name": "stop",
                "startedAt": "2026-09-21T14:13:20.500Z", "endedAt": "2026-09-21T14:13:21.000Z",
                "message": "pod etcd-2 is gone",
            }],
        }],
        "startedBy": "spiffe://ferry.local/role/operator/alice",
        "control": {
            "pausedBy": "bob", "pausedAt": null, "stopped": false, "rollback": "all", "rollbackBy": "",
        },
        "certificate": null,
        "deadlines": [{ "step": 10, "name": "start", "deadlineMs": 300_000 }],
        "onFailure": "rollback",
        "unknown": [{ "cluster": "east", "message": "not known", "unprovenNodes": ["east-1"] }],
    });
    assert_eq!(json, expected);
}
