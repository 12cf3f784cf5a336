//! K14, leaders (H30): replicas that elect one through an object of their own cluster would elect two.
//!
//! A Lease, or an annotation on a ConfigMap, is seen by one cluster's half only. Held by a replica it is proof that the
//! workload elects in this way, and two leaders of one database are two databases: refused, unless a person says by
//! [`APART`] that a leader in each cluster does no harm. Objects that a replica merely seems to have written, by the
//! program's name in `managedFields` (which names programs, not accounts), are listed.

use std::collections::BTreeSet;

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Resource, ResourceExt};
use serde_json::Value;

use super::{
    facts::Source,
    finding::{note, refuse},
    read::Optional,
    template,
};

/// A person's word on the StatefulSet that a leader in each cluster does no harm: `"true"`.
pub(crate) const APART: &str = "ferry.dev/leaders-apart";
/// Annotations in which leaders are written: by client-go, and by Patroni.
const LEADERS: [&str; 2] = ["control-plane.alpha.kubernetes.io/leader", "leader"];

/// Whether a ConfigMap may concern an election: read of all that the namespace has.
pub(crate) fn concerns(map: &ConfigMap) -> bool {
    LEADERS.iter().any(|key| map.annotations().contains_key(*key)) || !map.managed_fields().is_empty()
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Optional::Denied(said) = &facts.leases {
        findings.push(note(
            "K14-leases-unreadable",
            "Lease",
            format!("the agent may not list Leases in the namespace: {said}"),
            "that no replica holds one",
            "Make sure yourself that the replicas do not elect a leader through a Lease, or let the agent list leases.",
        ));
    }
    let programs = programs(facts);
    for lease in facts.leases.known() {
        let held = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        findings.extend(object(facts, "Lease", lease, held.and_then(|text| replica(facts, text)), &programs));
    }
    for map in &facts.elections {
        let held =
            LEADERS.iter().filter_map(|key| map.annotations().get(*key)).find_map(|text| holder(facts, text));
        findings.extend(object(facts, "ConfigMap", map, held, &programs));
    }
    findings
}

fn object<T: Resource>(
    facts: &Source,
    kind: &str,
    object: &T,
    held: Option<String>,
    programs: &BTreeSet<String>,
) -> Option<Finding> {
    let subject = format!("{kind}/{}", object.meta().name.as_deref().unwrap_or_default());
    let expected = "no leader elected through an object of one cluster";
    if let Some(pod) = held {
        let found =
            format!("held by replica {pod}: the other cluster's half would elect a leader of its own");
        let annotations = facts.set.object.metadata.annotations.as_ref();
        if annotations.and_then(|all| all.get(APART)).map(String::as_str) == Some("true") {
            let remedy = format!("Nothing: {APART} says that a leader in each cluster does no harm.");
            return Some(note("K14-leader", subject, found, expected, remedy));
        }
        let remedy = format!(
            "Let the replicas elect among themselves (by their own protocol) while they are in two clusters; if two \
             leaders do no harm, annotate the StatefulSet with {APART}=true."
        );
        return Some(refuse("K14-leader", subject, found, expected, remedy));
    }
    let managers = object.meta().managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    let written = managers.into_iter().find(|name| programs.contains(*name))?;
    Some(note(
        "K14-leader-possible",
        subject,
        format!("written by {written}, a program of the workload's name"),
        expected,
        "Look what it is for: what replicas agree on through it, they agree on in one cluster only.",
    ))
}

/// The replica that `text` names, as client-go writes holders: the pod's name, perhaps with more behind it.
fn replica(facts: &Source, text: &str) -> Option<String> {
    facts.shape.pods().find(|pod| {
        text.strip_prefix(pod.as_str())
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    })
}

/// The same, where the annotation may hold a record as JSON.
fn holder(facts: &Source, text: &str) -> Option<String> {
    let record = serde_json::from_str::<Value>(text).ok();
    let inside = record.as_ref().and_then(|record| record.get("holderIdentity")).and_then(Value::as_str);
    replica(facts, inside.unwrap_or(text))
}

/// Names under which programs of the workload write: their containers', and the last part of their images' names.
fn programs(facts: &Source) -> BTreeSet<String> {
    let template = facts.set.object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = template.into_iter().flat_map(template::containers);
    let names = containers.flat_map(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        let bare = last.split([':', '@']).next().unwrap_or_default();
        [container.name.clone(), bare.to_owned()]
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
#[path = "k14_leader_tests.rs"]
mod tests;
