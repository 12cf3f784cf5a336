//! Which replicas count as Available, and what is said of the others.

use serde_json::json;

use super::{check, missing};
use crate::inspect::{
    facts::Source,
    fixtures::{codes, pod, refused, seen, set, source, source_of},
};
use ferry_proto::agent::v1::Severity;

fn with_pod(change: impl FnOnce(&mut serde_json::Value)) -> Source {
    let mut facts = source();
    let mut changed = pod(1);
    change(&mut changed);
    facts.pods[1] = seen(changed);
    facts
}

#[test]
fn three_ready_replicas_pass() {
    assert!(check(&source()).is_empty());
}

#[test]
fn a_missing_set_is_a_finding() {
    refused(&[missing("shop", "db")], "K3-no-stateful-set");
}

#[test]
fn an_unready_replica_is_named_with_its_message() {
    let facts = with_pod(|pod| {
        pod["status"]["conditions"] =
            json!([{"type": "Ready", "status": "False", "message": "probe failed"}]);
    });
    let findings = check(&facts);
    let finding = refused(&findings, "K3-replica-unavailable");
    assert_eq!(finding.subject, "Pod/db-1");
    assert!(finding.found.contains("probe failed"));
}

#[test]
fn a_replica_that_is_missing_ending_or_foreign_is_refused() {
    let mut facts = source();
    facts.pods.remove(1);
    refused(&check(&facts), "K3-replica-missing");
    let ending = with_pod(|pod| pod["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z".into());
    refused(&check(&ending), "K3-replica-unavailable");
    let foreign = with_pod(|pod| pod["metadata"]["ownerReferences"][0]["uid"] = "another".into());
    refused(&check(&foreign), "K3-replica-foreign");
    let stray = with_pod(|pod| pod["metadata"]["ownerReferences"] = json!([]));
    refused(&check(&stray), "K3-replica-foreign");
}

#[test]
fn min_ready_seconds_are_honoured() {
    let mut changed = set();
    changed["spec"]["minReadySeconds"] = 3600.into();
    assert!(check(&source_of(changed.clone())).is_empty(), "ready for exactly an hour");
    changed["spec"]["minReadySeconds"] = 3601.into();
    assert_eq!(codes(&check(&source_of(changed))), ["K3-replica-unavailable"; 3]);
}

#[test]
fn a_clock_behind_the_api_server_changes_nothing() {
    let mut facts = source();
    facts.now = "2026-03-01T10:59:58Z".parse().expect("a time");
    assert!(check(&facts).is_empty());
}

#[test]
fn the_controllers_own_count_decides_as_well() {
    let mut changed = set();
    changed["status"]["availableReplicas"] = 2.into();
    refused(&check(&source_of(changed)), "K3-not-all-available");
}

#[test]
fn without_a_readiness_probe_it_warns() {
    let mut changed = set();
    let container = &mut changed["spec"]["template"]["spec"]["containers"][0];
    container.as_object_mut().expect("container").remove("readinessProbe");
    let findings = check(&source_of(changed));
    assert_eq!(codes(&findings), ["K3-no-readiness-probe"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
}
