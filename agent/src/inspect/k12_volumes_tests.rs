//! Claims and volumes that can and cannot be taken along.

use ferry_proto::agent::v1::{Finding, Severity};
use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    facts::Source,
    fixtures::{claim, codes, pod, refused, seen, source, typed, volume},
    read::Optional,
};

fn with_claim(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut facts = source();
    let mut changed = claim(1);
    change(&mut changed);
    facts.claims.insert("data-db-1".to_owned(), seen(changed));
    check(&facts)
}

fn with_volume(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut facts = source();
    let mut changed = volume(1);
    change(&mut changed);
    facts.volumes.insert("pv-1".to_owned(), seen(changed));
    check(&facts)
}

fn with_snapshot(ready: bool) -> Source {
    let mut facts = source();
    facts.snapshots = Optional::Read(vec![
        json!({
            "metadata": {"name": "nightly"},
            "spec": {"source": {"persistentVolumeClaimName": "data-db-1"}}, "status": {"readyToUse": ready},
        }),
        json!({"metadata": {"name": "of-others"}, "spec": {"source": {"persistentVolumeClaimName": "data-web-0"}}}),
    ]);
    facts
}

#[test]
fn bound_claims_at_rest_pass() {
    assert!(check(&source()).is_empty());
}

#[test]
fn access_modes() {
    let with = |modes: Value| with_claim(|claim| claim["spec"]["accessModes"] = modes);
    assert!(with(json!(["ReadWriteOncePod"])).is_empty());
    refused(&with(json!(["ReadOnlyMany"])), "K12-access-mode");
    let shared = with(json!(["ReadWriteMany"]));
    assert_eq!(codes(&shared), ["K12-access-mode-shared"]);
    assert_eq!(shared[0].severity(), Severity::Warn);
}

#[test]
fn disks_of_one_node_are_refused() {
    let local = |source: &str| {
        with_volume(|volume| {
            volume["spec"].as_object_mut().expect("spec").remove("csi");
            volume["spec"][source] = json!({"path": "/data"});
        })
    };
    refused(&local("hostPath"), "K12-host-path");
    refused(&local("local"), "K12-local");
}

#[test]
fn claims_must_be_bound_both_ways() {
    let mut facts = source();
    facts.claims.remove("data-db-1");
    refused(&check(&facts), "K12-claim-missing");
    facts = source();
    facts.volumes.remove("pv-1");
    refused(&check(&facts), "K12-claim-unbound");
    refused(&with_claim(|claim| claim["status"]["phase"] = "Lost".into()), "K12-claim-unbound");
    refused(&with_volume(|volume| volume["spec"]["claimRef"]["uid"] = "older".into()), "K12-claim-unbound");
}

#[test]
fn a_resize_in_each_of_its_stages_is_refused() {
    refused(
        &with_claim(|claim| claim["spec"]["resources"]["requests"]["storage"] = "2Gi".into()),
        "K12-resize",
    );
    refused(
        &with_claim(|claim| {
            claim["status"]["conditions"] = json!([{"type": "FileSystemResizePending", "status": "True"}]);
        }),
        "K12-resize",
    );
    refused(
        &with_claim(|claim| {
            claim["status"]["allocatedResourceStatuses"] = json!({"storage": "NodeResizePending"});
        }),
        "K12-resize",
    );
    let smaller = with_claim(|claim| claim["spec"]["resources"]["requests"]["storage"] = "1000M".into());
    assert!(smaller.is_empty(), "drivers round up");
}

#[test]
fn a_modification_is_refused() {
    refused(&with_claim(|claim| claim["spec"]["volumeAttributesClassName"] = "gold".into()), "K12-modify");
    refused(
        &with_claim(|claim| claim["status"]["modifyVolumeStatus"] = json!({"status": "InProgress"})),
        "K12-modify",
    );
}

#[test]
fn another_pod_on_the_claim_is_refused_unless_it_has_ended() {
    let mut facts = source();
    let mut backup = pod(1);
    backup["metadata"]["name"] = "backup".into();
    facts.pods.push(seen(backup.clone()));
    assert!(refused(&check(&facts), "K12-claim-shared").found.contains("backup"));
    backup["status"]["phase"] = "Succeeded".into();
    facts.pods[3] = seen(backup);
    assert!(check(&facts).is_empty());
}

#[test]
fn two_attachments_of_one_volume_are_refused() {
    let mut facts = source();
    facts.attachments = ["n1", "n2"]
        .map(|node| {
            typed(json!({
                "metadata": {"name": node},
                "spec": {"attacher": "disk.example", "nodeName": node, "source": {"persistentVolumeName": "pv-1"}},
            }))
        })
        .to_vec();
    refused(&check(&facts), "K12-attached-twice");
}

#[test]
fn h34_snapshots_of_its_claims_are_listed_and_unready_ones_refused() {
    let listed = check(&with_snapshot(true));
    assert_eq!(codes(&listed), ["K12-snapshot"]);
    assert_eq!(listed[0].severity(), Severity::Note);
    refused(&check(&with_snapshot(false)), "K12-snapshot-in-progress");
}

#[test]
fn snapshots_that_may_not_be_listed_are_said() {
    let mut facts = source();
    facts.snapshots = Optional::Denied("forbidden".to_owned());
    assert_eq!(codes(&check(&facts)), ["K12-snapshots-unreadable"]);
}

#[test]
fn every_fault_is_named_at_once() {
    let mut facts = with_snapshot(false);
    facts.claims.remove("data-db-0");
    let mut local = volume(2);
    local["spec"].as_object_mut().expect("spec").remove("csi");
    local["spec"]["hostPath"] = json!({"path": "/data"});
    facts.volumes.insert("pv-2".to_owned(), seen(local));
    assert_eq!(codes(&check(&facts)), ["K12-claim-missing", "K12-host-path", "K12-snapshot-in-progress"]);
}
