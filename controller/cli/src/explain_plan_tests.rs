use super::*;
use crate::samples::{at, plan};

const PLAIN: Paint = Paint(false);

#[test]
fn a_refused_plan() {
    let text = whole(&plan(), at(0), "ferry", PLAIN);
    let expected = "\
Move StatefulSet db/etcd from east to west

  Replicas  etcd-0, etcd-1
  Order     lowest ordinal first, one at a time
  Budget    at most 1 unavailable at any time, over both clusters
  Volumes   2, moved with their replicas; no data is copied

Findings: 1 refusal, 1 warning, no notes

  REFUSED  K3 replicas-unavailable: StatefulSet db/etcd in east
    found     2 of 3 replicas Available
    expected  3 of 3
    to do     wait until etcd-1 is Available

  WARNING  P few-nodes: StatefulSet db/etcd
    found     2 of 3 replicas Available
    expected  3 of 3
    to do     wait until etcd-1 is Available

Volumes
  ORDINAL   CLAIM         PERSISTENTVOLUME   DRIVER      HANDLE
  0         data-etcd-0   pvc-0              array.csi   vol-0
  1         data-etcd-1   pvc-1              array.csi   vol-1

API writes, numbered in their order over both clusters
  east
    2  patch StatefulSet db/etcd: replicas 2 → 1
  west
    1  create ConfigMap db/etcd-config
    3  create PersistentVolume pvc-0

Refused: 1 finding. Nothing was changed in any cluster.
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn a_plan_that_can_run_ends_with_its_command() {
    let mut good = plan();
    good.findings.clear();
    good.volumes.clear();
    good.writes.clear();
    good.hash = Some("5f2b".into());
    good.expires_at = Some(at(600_000));
    let text = whole(&good, at(0), "kubectl ferry", PLAIN);
    let expected = "\
Move StatefulSet db/etcd from east to west

  Replicas  etcd-0, etcd-1
  Order     lowest ordinal first, one at a time
  Budget    at most 1 unavailable at any time, over both clusters
  Volumes   0, moved with their replicas; no data is copied

Findings: no refusals, no warnings, no notes

This plan can run. Nothing was changed yet. It may be started until 2026-09-21T14:23:20.000Z (in 10m).
Plan hash 5f2b

To run exactly this:

  kubectl ferry migrate statefulset/etcd -n db --to west --order lowest-first --plan 5f2b
";
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn a_large_set_is_not_listed_whole() {
    let mut large = plan();
    large.ordinals = (0..100).collect();
    let text = summary(&large, PLAIN);
    assert!(text.contains("etcd-11, … , etcd-88"), "{text}");
    assert!(text.contains("etcd-99 (100 in all)"), "{text}");
}

#[test]
fn colours_mark_refusals_only_when_wanted() {
    assert!(whole(&plan(), at(0), "ferry", Paint(true)).contains("\u{1b}[31m"));
    assert!(!whole(&plan(), at(0), "ferry", PLAIN).contains('\u{1b}'));
}
