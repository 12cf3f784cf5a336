//! Revisions, partitions and strategies that must stop a migration, and those that must not.

use serde_json::json;

use super::check;
use crate::inspect::fixtures::{codes, pod, refused, seen, set, source, source_of};

#[test]
fn a_set_at_rest_passes() {
    assert!(check(&source()).is_empty());
}

#[test]
fn each_pod_of_another_revision_is_named() {
    let mut facts = source();
    for ordinal in [0_usize, 2] {
        let mut old = pod(ordinal.try_into().expect("small"));
        old["metadata"]["labels"]["controller-revision-hash"] = "db-0".into();
        facts.pods[ordinal] = seen(old);
    }
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K2-rollout", "K2-rollout"]);
    assert_eq!(findings[1].subject, "Pod/db-2");
}

#[test]
fn on_delete_is_judged_by_the_pods_not_by_the_current_revision() {
    let mut changed = set();
    changed["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    changed["status"]["currentRevision"] = "db-0".into();
    assert!(check(&source_of(changed)).is_empty());
}

#[test]
fn an_unseen_generation_is_refused() {
    let mut changed = set();
    changed["metadata"]["generation"] = 4.into();
    refused(&check(&source_of(changed)), "K2-not-observed");
}

#[test]
fn a_set_without_status_revision_is_refused() {
    let mut changed = set();
    changed["status"].as_object_mut().expect("status").remove("updateRevision");
    refused(&check(&source_of(changed)), "K2-no-revision");
}

#[test]
fn a_partition_counts_from_the_first_ordinal() {
    for (start, partition, expected) in [(0, 0, 0), (0, 1, 1), (5, 5, 0), (5, 6, 1)] {
        let mut changed = set();
        changed["spec"]["ordinals"] = json!({"start": start});
        changed["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = partition.into();
        let findings = check(&source_of(changed));
        let partitions = findings.iter().filter(|finding| finding.code == "K2-partition").count();
        assert_eq!(partitions, expected, "start {start}, partition {partition}");
    }
}

#[test]
fn an_unknown_strategy_is_refused() {
    let mut changed = set();
    changed["spec"]["updateStrategy"] = json!({"type": "Surge"});
    refused(&check(&source_of(changed)), "K2-strategy-unknown");
}
