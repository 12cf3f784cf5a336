use super::*;
use crate::samples::{at, migration};

#[test]
fn a_migration_with_its_history() {
    let mut moving = migration();
    moving.ordinals.truncate(2);
    for ordinal in &mut moving.ordinals {
        ordinal.steps.retain(|step| matches!(step.step, 5 | 6));
    }
    moving.ordinals[0].steps[0].message = "pod etcd-2 of node east-1 is gone".into();
    moving.control = Some(Control {
        paused_by: "spiffe://ferry.local/role/operator/bob".into(),
        paused_at: Some(at(2_000)),
        ..Control::default()
    });
    let deadline = |step: u32, deadline_ms| Deadline { step, name: steps::name(step).into(), deadline_ms };
    moving.deadlines = vec![deadline(5, 300_000), deadline(6, 600_000), deadline(10, 300_000)];
    let record = AuditRecord {
        number: 7,
        at: at(2_000),
        by: "spiffe://ferry.local/role/operator/bob".into(),
        action: "pause-migration".into(),
        subject: "db/etcd from east to west".into(),
        migration: "etcd-1".into(),
        result: "done".into(),
        message: "pauses after ordinal 1".into(),
    };
    let text = text(&moving, &[record], at(20_000), Paint(false));
    let expected = "\
Name:         etcd-1
Namespace:    db
StatefulSet:  etcd
From:         east
To:           west
Phase:        Running
Order:        highest ordinal first
Started:      2026-09-21T14:13:20.000Z (20s ago), by spiffe://ferry.local/role/operator/alice
Ended:        <none>
Asked:        to pause, by spiffe://ferry.local/role/operator/bob at 2026-09-21T14:13:22.000Z, on its way to the next safe point
Plan:         ab
Deadlines:    5m for stop, start; 10m for detach
Replicas:
  etcd-2: done in 13.0s
    STEP        BEGAN (UTC)    TOOK   EVIDENCE
     5 stop     14:13:25.000   1.0s   pod etcd-2 of node east-1 is gone
     6 detach   14:13:26.000   1.0s
  etcd-1: detach (6/13): VolumeAttachment csi-8f2c of node east-2 to be gone
    STEP        BEGAN (UTC)    TOOK          EVIDENCE
     5 stop     14:13:38.000   1.0s
     6 detach   14:13:39.000   1.0s so far   VolumeAttachment csi-8f2c of node east-2 to be gone
Events:
  AGE   FROM           REASON            RESULT   MESSAGE
  18s   operator/bob   pause-migration   done     pauses after ordinal 1
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn one_that_has_not_begun_says_so() {
    let mut waiting = migration();
    waiting.ordinals.drain(..2);
    let text = text(&waiting, &[], at(0), Paint(false));
    assert!(text.ends_with("Replicas:\n  etcd-0: waiting\nEvents:  <none>\n"), "{text}");
}
