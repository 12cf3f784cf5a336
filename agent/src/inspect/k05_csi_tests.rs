//! Drivers that can and cannot be followed to another cluster.

use ferry_proto::agent::v1::Severity;
use serde_json::json;

use super::{check, check_target};
use crate::inspect::{
    fixtures::{codes, refused, seen, source, target, typed, volume},
    read::Exists,
};

#[test]
fn a_registered_driver_passes_on_both_sides() {
    assert!(check(&source()).is_empty());
    let (facts, volumes) = target();
    assert!(check_target(&facts, &volumes).is_empty());
}

#[test]
fn an_in_tree_volume_is_refused_by_its_plugin() {
    let mut facts = source();
    let mut nfs = volume(1);
    nfs["spec"].as_object_mut().expect("spec").remove("csi");
    nfs["spec"]["nfs"] = json!({"server": "s", "path": "/"});
    nfs["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": []}});
    facts.volumes.insert("pv-1".to_owned(), seen(nfs));
    assert!(refused(&check(&facts), "K5-in-tree").found.ends_with("nfs"));
}

#[test]
fn host_path_is_left_to_k12() {
    let mut facts = source();
    let mut local = volume(1);
    local["spec"].as_object_mut().expect("spec").remove("csi");
    local["spec"]["hostPath"] = json!({"path": "/data"});
    facts.volumes.insert("pv-1".to_owned(), seen(local));
    assert!(check(&facts).is_empty());
}

#[test]
fn attach_not_required_is_refused_on_both_sides() {
    let driver = || typed(json!({"metadata": {"name": "disk.example"}, "spec": {"attachRequired": false}}));
    let mut facts = source();
    facts.drivers.insert("disk.example".to_owned(), driver());
    refused(&check(&facts), "K5-attach-not-required");
    let (mut facts, volumes) = target();
    facts.drivers.insert("disk.example".to_owned(), driver());
    refused(&check_target(&facts, &volumes), "K5-attach-not-required");
}

#[test]
fn an_unregistered_driver_warns_in_the_source_and_is_refused_in_the_target() {
    let mut facts = source();
    facts.drivers.clear();
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K5-driver-unregistered"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
    let (mut facts, volumes) = target();
    facts.drivers.clear();
    refused(&check_target(&facts, &volumes), "K5-driver-missing");
}

#[test]
fn a_driver_on_no_node_is_refused() {
    let (mut facts, volumes) = target();
    facts.csi_nodes.clear();
    refused(&check_target(&facts, &volumes), "K5-driver-on-no-node");
}

#[test]
fn a_missing_secret_of_a_volume_is_named() {
    let (mut facts, volumes) = target();
    facts.volume_secrets.insert("storage/array".to_owned(), Exists::No);
    assert_eq!(refused(&check_target(&facts, &volumes), "K5-secret-missing").subject, "Secret/storage/array");
    facts.volume_secrets.insert("storage/array".to_owned(), Exists::Unknown("forbidden".to_owned()));
    assert_eq!(codes(&check_target(&facts, &volumes)), ["K5-secret-unreadable"]);
}
