//! K7: the target has the claims' StorageClasses, or classes that stand for them, and nodes that reach the disks.
//!
//! A claim travels with its class's name, or with the name that a mapping gives it. Binding asks for no such object,
//! but growing the disk does, and so does the next replica: a class that is missing is refused, and so is a mapping to
//! a class that does not exist. A PersistentVolume's node affinity and topology labels, rewritten as the target's class
//! says ([`Topology`]), have to be satisfied by a node that runs the driver, or no pod could ever use the disk. Whether
//! that node has room is [`super::k08_room`]'s.

use std::collections::{BTreeMap, BTreeSet};

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use kube::ResourceExt;
use serde_json::Value;

use super::{
    facts::Target,
    finding::{note, refuse, warn},
    nodes, place,
    read::Optional,
};
use crate::executor::topology::{MAP, Topology};

/// Labels of a PersistentVolume that the scheduler holds against the node's (its plugin VolumeZone).
const ZONES: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

/// Checks the target.
pub(crate) fn check(facts: &Target, volumes: &[PersistentVolume]) -> Vec<Finding> {
    let claims = place::claims(facts.arriving());
    let mut findings = classes(facts, &claims);
    findings.extend(attributes(facts, &claims));
    let arriving = facts.arriving().flat_map(|ordinal| &ordinal.volumes);
    let names: BTreeSet<&str> =
        arriving.filter_map(|volume| volume.volume.as_ref()).map(|manifest| manifest.name.as_str()).collect();
    let arriving = volumes.iter().filter(|volume| names.contains(volume.name_any().as_str()));
    findings.extend(arriving.filter_map(|volume| reach(facts, volume)));
    findings
}

fn classes(facts: &Target, claims: &[PersistentVolumeClaim]) -> Vec<Finding> {
    if let Optional::Denied(said) = &facts.place.classes {
        return vec![note(
            "K7-classes-unreadable",
            "StorageClass",
            format!("the agent may not list StorageClasses: {said}"),
            "that the target has the claims' classes",
            "Make sure yourself, or let the agent list storageclasses.",
        )];
    }
    let named: BTreeSet<&str> = claims.iter().map(place::class_of).filter(|name| !name.is_empty()).collect();
    let mut findings: Vec<_> = named.iter().filter_map(|name| class(facts, claims, name)).collect();
    findings.extend(of_template(facts, &named));
    findings
}

fn class(facts: &Target, claims: &[PersistentVolumeClaim], name: &str) -> Option<Finding> {
    let wanted = facts.place.mapped(name);
    let Some(found) = facts.place.class(wanted) else {
        return Some(missing(facts, name, wanted));
    };
    let subject = format!("StorageClass/{wanted}");
    if let Err(part) = Topology::of(Some(&found.json)) {
        return Some(refuse(
            "K7-topology-unreadable",
            subject,
            format!("annotation {MAP}: {part:?}"),
            "KEY=VALUE:KEY=VALUE, the source's node label and the target's, separated by commas",
            "Repair or remove the annotation, and plan again.",
        ));
    }
    let drivers: BTreeSet<&str> = drivers_of(facts, claims, name);
    let other = drivers.iter().find(|driver| **driver != found.object.provisioner)?;
    Some(warn(
        "K7-class-other-driver",
        subject,
        format!(
            "its provisioner is {}, the volumes of class {name} are of {other}",
            found.object.provisioner
        ),
        "a class of the volumes' own driver",
        "Bound disks keep working; growing them, and disks of later replicas, go through this class. Map another \
         class (--storage-class) if that is not wanted.",
    ))
}

fn missing(facts: &Target, name: &str, wanted: &str) -> Finding {
    let known = facts.place.classes.known();
    let names: Vec<_> = known.iter().map(|class| class.object.name_any()).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let subject = format!("StorageClass/{wanted}");
    if wanted == name {
        return refuse(
            "K7-class-missing",
            subject,
            format!("not in the target, but claims name it; there are: {there}"),
            "the class, or a mapping to one that stands for it",
            format!("Create it in the target, or map it: ferry plan --storage-class {name}=NAME."),
        );
    }
    refuse(
        "K7-mapped-class-missing",
        subject,
        format!("not in the target, but {name} is mapped to it; there are: {there}"),
        "a class of the target on the right-hand side of the mapping",
        format!("Map {name} to a class that exists, or create {wanted} in the target."),
    )
}

/// Drivers of the volumes of claims of a class.
fn drivers_of<'a>(facts: &'a Target, claims: &[PersistentVolumeClaim], class: &str) -> BTreeSet<&'a str> {
    let of_class: BTreeSet<String> =
        claims.iter().filter(|claim| place::class_of(claim) == class).map(ResourceExt::name_any).collect();
    let volumes = facts.arriving().flat_map(|ordinal| &ordinal.volumes);
    let wanted = volumes.filter(|volume| {
        volume.claim.as_ref().is_some_and(|claim| of_class.contains(&claim.name)) && !volume.handle.is_empty()
    });
    wanted.map(|volume| volume.driver.as_str()).collect()
}

/// The claim templates cross as they are: what a later replica would ask for.
fn of_template(facts: &Target, claimed: &BTreeSet<&str>) -> Vec<Finding> {
    let templates = facts.described.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_ref());
    let names: BTreeSet<&str> =
        templates.into_iter().flatten().map(place::class_of).filter(|name| !name.is_empty()).collect();
    let lacking = names.into_iter().filter(|name| {
        let is_said = claimed.contains(name) && facts.place.mapped(name) == *name;
        facts.place.class(name).is_none() && !is_said
    });
    lacking
        .map(|name| {
            warn(
                "K7-template-class",
                format!("StatefulSet/{}", facts.shape.name),
                format!("a claim template names StorageClass {name}, which the target does not have"),
                "a class of the target: templates cannot be changed, and both halves must have the same",
                "A replica that is added later would wait for its disk. Create a class of that name in the target \
                 before you scale up.",
            )
        })
        .collect()
}

fn attributes(facts: &Target, claims: &[PersistentVolumeClaim]) -> Vec<Finding> {
    let named: BTreeSet<&str> = claims
        .iter()
        .filter_map(|claim| claim.spec.as_ref()?.volume_attributes_class_name.as_deref())
        .filter(|name| !name.is_empty())
        .collect();
    let known: BTreeSet<&str> = facts
        .place
        .attributes_classes
        .known()
        .iter()
        .filter_map(|class| class.pointer("/metadata/name").and_then(Value::as_str))
        .collect();
    let missing = named.difference(&known);
    missing
        .map(|name| match &facts.place.attributes_classes {
            Optional::Denied(said) => note(
                "K7-attributes-class-unreadable",
                format!("VolumeAttributesClass/{name}"),
                format!("the agent may not list VolumeAttributesClasses: {said}"),
                "that it is in the target",
                "Make sure yourself, or let the agent list volumeattributesclasses.",
            ),
            Optional::Read(_) | Optional::NotInstalled => refuse(
                "K7-attributes-class-missing",
                format!("VolumeAttributesClass/{name}"),
                "not in the target, but a claim names it",
                "the VolumeAttributesClass: claim and PersistentVolume name it on both sides",
                "Create it in the target with the same parameters; it is not mapped.",
            ),
        })
        .collect()
}

/// Whether any node that runs the driver satisfies the volume's topology.
fn reach(facts: &Target, volume: &PersistentVolume) -> Option<Finding> {
    let driver = volume.spec.as_ref()?.csi.as_ref()?.driver.as_str();
    let with_driver = with_driver(facts, driver);
    let there = rewritten(facts, volume)?;
    if with_driver.is_empty() || with_driver.iter().any(|node| reaches(&there, node)) {
        return None;
    }
    Some(refuse(
        "K7-topology",
        format!("PersistentVolume/{}", volume.name_any()),
        format!(
            "it can be reached from nodes with {}; none of the {} nodes with the driver {driver} is like that",
            wants(&there),
            with_driver.len()
        ),
        "a node of the target that its node affinity and topology labels allow",
        format!(
            "If the disk is reachable there, say which of the target's node labels stand for the source's: annotate \
             the StorageClass in the target with {MAP}=KEY=VALUE:KEY=VALUE."
        ),
    ))
}

/// Nodes on which the driver is registered; all where it is on none, which K5 refuses.
pub(crate) fn with_driver<'a>(facts: &'a Target, driver: &str) -> Vec<&'a Node> {
    let registered: BTreeSet<&str> = facts
        .csi_nodes
        .iter()
        .filter(|node| node.spec.drivers.iter().any(|found| found.name == driver))
        .filter_map(|node| node.metadata.name.as_deref())
        .collect();
    facts.place.nodes.iter().filter(|node| registered.contains(node.name_any().as_str())).collect()
}

/// The volume as it will be in the target; nothing where its class there cannot be read.
pub(crate) fn rewritten(facts: &Target, volume: &PersistentVolume) -> Option<PersistentVolume> {
    let class = volume.spec.as_ref()?.storage_class_name.as_deref().unwrap_or_default();
    let class = facts.place.class(facts.place.mapped(class));
    let topology = Topology::of(class.map(|class| &class.json)).ok()?;
    let mut json = serde_json::to_value(volume).ok()?;
    topology.rewrite(&mut json);
    serde_json::from_value(json).ok()
}

/// Whether a pod on `node` could use `volume`.
pub(crate) fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required.as_ref());
    required.is_none_or(|selector| nodes::satisfies(selector, node))
        && zones(volume).all(|(key, value)| {
            // A volume of several zones has them in one label, joined by two underscores.
            node.labels().get(key).is_some_and(|found| value.split("__").any(|zone| zone == found))
        })
}

fn zones(volume: &PersistentVolume) -> impl Iterator<Item = (&String, &String)> {
    volume.labels().iter().filter(|(key, _)| ZONES.contains(&key.as_str()))
}

fn wants(volume: &PersistentVolume) -> String {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let terms = affinity.and_then(|affinity| affinity.required.as_ref());
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for term in terms.into_iter().flat_map(|selector| &selector.node_selector_terms) {
        for asked in term.match_expressions.iter().chain(&term.match_fields).flatten() {
            let values = asked.values.iter().flatten().cloned();
            all.entry(format!("{} {}", asked.key, asked.operator)).or_default().extend(values);
        }
    }
    for (key, value) in zones(volume) {
        all.entry(format!("{key} In")).or_default().insert(value.clone());
    }
    let words = all.into_iter().map(|(key, values)| {
        format!("{key} {}", values.into_iter().collect::<Vec<_>>().join("|")).trim_end().to_owned()
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "k07_class_tests.rs"]
mod tests;
