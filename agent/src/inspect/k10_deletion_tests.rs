//! Policies that preparation sets, and objects that it cannot hold on to.

use ferry_proto::agent::v1::Severity;
use serde_json::json;

use super::check;
use crate::inspect::fixtures::{claim, codes, pod, refused, seen, set, source, source_of, volume};

#[test]
fn a_workload_that_retains_everything_passes() {
    assert!(check(&source()).is_empty());
}

#[test]
fn delete_policies_are_notes_because_preparation_sets_them() {
    let mut changed = set();
    changed["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    let mut facts = source_of(changed);
    let mut deleted = volume(0);
    deleted["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into();
    facts.volumes.insert("pv-0".to_owned(), seen(deleted));
    let mut owned = claim(0);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "set-uid"}]);
    facts.claims.insert("data-db-0".to_owned(), seen(owned));
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K10-retention-policy", "K10-claim-owned-by-set", "K10-reclaim-policy"]);
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Note));
}

#[test]
fn another_owner_is_refused() {
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]);
    let mut facts = source();
    let mut owned = claim(0);
    owned["metadata"]["ownerReferences"] = owner.clone();
    facts.claims.insert("data-db-0".to_owned(), seen(owned));
    refused(&check(&facts), "K10-claim-owned");
    let mut facts = source();
    let mut owned = volume(0);
    owned["metadata"]["ownerReferences"] = owner;
    facts.volumes.insert("pv-0".to_owned(), seen(owned));
    refused(&check(&facts), "K10-volume-owned");
}

#[test]
fn whatever_is_being_deleted_is_refused_with_what_holds_it() {
    let mut facts = source();
    let mut leaving = claim(2);
    leaving["metadata"]["deletionTimestamp"] = "2026-03-01T11:00:00Z".into();
    facts.claims.insert("data-db-2".to_owned(), seen(leaving));
    assert!(refused(&check(&facts), "K10-being-deleted").found.contains("kubernetes.io/pvc-protection"));
    let mut changed = set();
    changed["metadata"]["deletionTimestamp"] = "2026-03-01T11:00:00Z".into();
    refused(&check(&source_of(changed)), "K10-being-deleted");
}

#[test]
fn finalizers_of_kubernetes_pass_and_others_are_named() {
    let mut facts = source();
    let mut held = volume(0);
    held["metadata"]["finalizers"] =
        json!(["kubernetes.io/pv-protection", "external-attacher/disk-example", "backup.example/hold"]);
    facts.volumes.insert("pv-0".to_owned(), seen(held));
    let mut kept = pod(0);
    kept["metadata"]["finalizers"] = json!(["example/drain"]);
    facts.pods[0] = seen(kept);
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K10-pod-finalizer", "K10-volume-finalizer"]);
    assert_eq!(findings[1].found, "finalizer backup.example/hold");
}
