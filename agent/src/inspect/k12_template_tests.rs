//! Volumes of the pod template that do not come from a claim template.

use ferry_proto::agent::v1::{Finding, Severity};
use serde_json::{Value, json};

use super::check;
use crate::inspect::fixtures::{codes, refused, set, source, source_of};

fn with(volume: Value) -> Vec<Finding> {
    let mut changed = set();
    changed["spec"]["template"]["spec"]["volumes"] = json!([volume]);
    check(&source_of(changed))
}

#[test]
fn what_projects_objects_passes() {
    assert!(check(&source()).is_empty());
    assert!(with(json!({"name": "a", "configMap": {"name": "db-config"}})).is_empty());
    assert!(with(json!({"name": "a", "projected": {"sources": []}})).is_empty());
    assert!(with(json!({"name": "a", "downwardAPI": {}})).is_empty());
}

#[test]
fn what_would_stay_behind_is_refused() {
    refused(&with(json!({"name": "a", "hostPath": {"path": "/data"}})), "K12-host-path");
    refused(&with(json!({"name": "a", "ephemeral": {}})), "K12-ephemeral");
    refused(
        &with(json!({"name": "a", "persistentVolumeClaim": {"claimName": "common"}})),
        "K12-common-claim",
    );
    let found = with(json!({"name": "a", "emptyDir": {}}));
    assert!(refused(&found, "K12-empty-dir").remedy.contains("ferry.dev/scratch-volumes=a"));
}

#[test]
fn a_person_may_call_a_volume_scratch_but_not_a_host_path() {
    let mut changed = set();
    changed["metadata"]["annotations"] = json!({"ferry.dev/scratch-volumes": "tmp, run,disk"});
    changed["spec"]["template"]["spec"]["volumes"] = json!([
        {"name": "tmp", "emptyDir": {}}, {"name": "run", "emptyDir": {"medium": "Memory"}},
        {"name": "disk", "hostPath": {"path": "/data"}}, {"name": "cache", "emptyDir": {}},
    ]);
    assert_eq!(codes(&check(&source_of(changed))), ["K12-host-path", "K12-empty-dir"]);
}

#[test]
fn a_claim_template_takes_the_place_of_a_volume_of_its_name() {
    assert!(with(json!({"name": "data", "emptyDir": {}})).is_empty());
}

#[test]
fn direct_storage_warns() {
    let found = with(json!({"name": "a", "nfs": {"server": "s", "path": "/"}}));
    assert_eq!(codes(&found), ["K12-direct-volume"]);
    assert_eq!(found[0].severity(), Severity::Warn);
}
