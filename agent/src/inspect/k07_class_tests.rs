//! Classes that are there, mapped or missing, and topology that the target's nodes satisfy or not.

use ferry_proto::agent::v1::Severity;
use k8s_openapi::api::core::v1::PersistentVolume;
use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    facts::Target,
    fixtures::{codes, refused, seen, target, typed, volume},
    read::Optional,
};

const ZONE: &str = "topology.kubernetes.io/zone";

fn with_class(name: &str, provisioner: &str, annotations: Value) -> (Target, Vec<PersistentVolume>) {
    let (mut facts, volumes) = target();
    let class = json!({"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner});
    facts.place.classes = Optional::Read(vec![seen(class)]);
    (facts, volumes)
}

/// A volume that its source's nodes reach in zone `a` only.
fn zonal() -> PersistentVolume {
    let mut zonal = volume(0);
    zonal["metadata"]["labels"] = json!({ZONE: "a"});
    zonal["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["a"]}]},
    ]}});
    typed(zonal)
}

#[test]
fn a_class_of_the_same_name_and_driver_passes() {
    let (facts, volumes) = target();
    assert!(check(&facts, &volumes).is_empty());
}

#[test]
fn a_class_that_is_missing_is_refused_with_those_there_are() {
    let (facts, volumes) = with_class("slow", "disk.example", json!({}));
    let findings = check(&facts, &volumes);
    let finding = refused(&findings, "K7-class-missing");
    assert_eq!(finding.subject, "StorageClass/fast");
    assert!(
        finding.found.contains("slow") && finding.remedy.contains("--storage-class fast="),
        "{finding:?}"
    );
}

#[test]
fn a_mapping_is_followed_and_must_lead_somewhere() {
    let (mut facts, volumes) = with_class("slow", "disk.example", json!({}));
    facts.place.mapping.insert("fast".into(), "slow".into());
    assert!(check(&facts, &volumes).is_empty());
    facts.place.mapping.insert("fast".into(), "nowhere".into());
    let findings = check(&facts, &volumes);
    assert_eq!(refused(&findings, "K7-mapped-class-missing").subject, "StorageClass/nowhere");
}

#[test]
fn a_template_whose_class_only_a_mapping_provides_warns() {
    let (mut facts, volumes) = with_class("slow", "disk.example", json!({}));
    facts.place.mapping.insert("fast".into(), "slow".into());
    let templates = facts.described.spec.as_mut().and_then(|spec| spec.volume_claim_templates.as_mut());
    let spec = templates.and_then(|all| all[0].spec.as_mut()).expect("a template");
    spec.storage_class_name = Some("fast".into());
    let findings = check(&facts, &volumes);
    assert_eq!(codes(&findings), ["K7-template-class"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
}

#[test]
fn a_class_of_another_driver_warns() {
    let (facts, volumes) = with_class("fast", "other.example", json!({}));
    assert_eq!(codes(&check(&facts, &volumes)), ["K7-class-other-driver"]);
}

#[test]
fn classes_that_may_not_be_listed_are_a_note() {
    let (mut facts, volumes) = target();
    facts.place.classes = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts, &volumes)), ["K7-classes-unreadable"]);
}

#[test]
fn an_attributes_class_has_to_be_there() {
    let (mut facts, volumes) = target();
    let claim = facts.description.ordinals[0].volumes[0].claim.as_mut().expect("a claim");
    let mut json: Value = serde_json::from_str(&claim.json).expect("JSON");
    json["spec"]["volumeAttributesClassName"] = "gold".into();
    claim.json = json.to_string();
    refused(&check(&facts, &volumes), "K7-attributes-class-missing");
    facts.place.attributes_classes = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts, &volumes)), ["K7-attributes-class-unreadable"]);
    facts.place.attributes_classes = Optional::Read(vec![json!({"metadata": {"name": "gold"}})]);
    assert!(check(&facts, &volumes).is_empty());
}

#[test]
fn a_zone_that_no_node_is_in_is_refused() {
    let (facts, _) = target();
    let findings = check(&facts, &[zonal()]);
    let finding = refused(&findings, "K7-topology");
    assert!(finding.found.contains("topology.kubernetes.io/zone In a"), "{finding:?}");
}

#[test]
fn a_zone_that_the_class_rewrites_passes() {
    let (facts, _) =
        with_class("fast", "disk.example", json!({"ferry.dev/topology": format!("{ZONE}=a:zone=w1")}));
    assert!(check(&facts, &[zonal()]).is_empty());
    let (facts, volumes) = with_class("fast", "disk.example", json!({"ferry.dev/topology": "a"}));
    refused(&check(&facts, &volumes), "K7-topology-unreadable");
}

#[test]
fn a_label_alone_binds_a_volume_to_its_zones() {
    let (mut facts, _) = target();
    let mut labelled = volume(0);
    labelled["metadata"]["labels"] = json!({ZONE: "w0__w1"});
    refused(&check(&facts, &[typed(labelled.clone())]), "K7-topology");
    facts.place.nodes[0].metadata.labels = Some([(ZONE.to_owned(), "w1".to_owned())].into());
    assert!(check(&facts, &[typed(labelled)]).is_empty());
}
