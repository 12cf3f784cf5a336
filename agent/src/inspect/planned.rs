//! The API writes that a migration will make, one line each, for the plan to print.
//!
//! A person who approves a plan approves these. A line says the verb, the object and what changes; what an original
//! value was stands beside it. The lines are promises of the executors, in their order: preparation, then what each
//! handoff does to the named objects.

use ferry_proto::agent::v1::Description;

use crate::executor::epochs::PREFIX;

use super::{
    budget,
    facts::{Source, Target},
};

/// Writes on the source.
pub(crate) fn source(facts: &Source) -> Vec<String> {
    let set = &facts.shape.name;
    let mut lines = vec![
        format!("create ConfigMap/{PREFIX}{set}: the epochs of its ordinals"),
        format!(
            "patch StatefulSet/{set}: retention Retain/Retain, spec.ordinals.start {} written out, originals in an \
             annotation",
            facts.shape.start
        ),
    ];
    for (name, claim) in &facts.claims {
        if claim.object.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty()) {
            lines.push(format!("patch PersistentVolumeClaim/{name}: owner references removed"));
        }
    }
    for (name, volume) in &facts.volumes {
        let policy =
            volume.object.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        if policy != Some("Retain") {
            let was = policy.unwrap_or("unset");
            lines.push(format!(
                "patch PersistentVolume/{name}: persistentVolumeReclaimPolicy Retain (was {was})"
            ));
        }
    }
    let labels = budget::pod_labels(facts);
    for one in budget::selecting(facts.budgets.iter().map(|budget| &budget.object), &labels) {
        lines.push(held(one.metadata.name.as_deref().unwrap_or_default()));
    }
    lines.push(format!("patch StatefulSet/{set}: the slice without the ordinal, once for each handoff"));
    for (name, _, volume) in facts.claimed_volumes() {
        let volume = volume.object.metadata.name.as_deref().unwrap_or_default();
        lines.push(format!("delete PersistentVolumeClaim/{name}: after detach is proven"));
        lines.push(format!("create PersistentVolumeClaim/{name}: a tombstone"));
        lines.push(format!("delete PersistentVolume/{volume}: Released and Retain, the disk stays"));
    }
    lines.extend(mirrored(k14(facts)));
    lines
}

/// Writes on the target.
pub(crate) fn target(facts: &Target) -> Vec<String> {
    let description = &facts.description;
    let set = &facts.shape.name;
    let mut lines = Vec::new();
    if !facts.namespace_exists {
        lines.push(format!(
            "create Namespace/{}",
            facts.described.metadata.namespace.as_deref().unwrap_or_default()
        ));
    }
    for manifest in &description.dependencies {
        let exists = facts.dependencies.iter().any(|object| {
            object["kind"] == manifest.kind.as_str() && object["metadata"]["name"] == manifest.name.as_str()
        });
        if !exists {
            lines.push(format!("create {}/{}: as in the source", manifest.kind, manifest.name));
        }
    }
    lines.push(format!("create ConfigMap/{PREFIX}{set}: the epochs of its ordinals"));
    lines.extend(
        facts.shape.claims().map(|(_, claim)| format!("create PersistentVolumeClaim/{claim}: a tombstone")),
    );
    let verb = if facts.set.is_some() { "patch" } else { "create" };
    lines.push(format!("{verb} StatefulSet/{set}: an empty slice, the source's template"));
    if !description.disruption_budget.is_empty() {
        lines.push(held(&description.disruption_budget));
    }
    lines.extend(handoffs(description, set));
    lines.extend(mirrored(Some(description.service.as_str()).filter(|name| !name.is_empty())));
    lines
}

fn handoffs(description: &Description, set: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for volume in description.ordinals.iter().flat_map(|ordinal| &ordinal.volumes) {
        let claim = volume.claim.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default();
        let name = volume.volume.as_ref().map(|manifest| manifest.name.as_str()).unwrap_or_default();
        lines.push(format!("delete PersistentVolumeClaim/{claim}: the tombstone"));
        lines.push(format!("create PersistentVolume/{name}: {} {}, Retain", volume.driver, volume.handle));
        lines.push(format!("create PersistentVolumeClaim/{claim}: bound to PersistentVolume/{name}"));
    }
    lines.push(format!("patch StatefulSet/{set}: the slice with the ordinal, once for each handoff"));
    lines.push(format!("patch StatefulSet/{set}: the original retention policy, at the end"));
    lines
}

fn held(budget: &str) -> String {
    format!(
        "patch PodDisruptionBudget/{budget}: maxUnavailable as an integer while it runs, the original in an annotation"
    )
}

fn mirrored(service: Option<&str>) -> Option<String> {
    service.map(|name| {
        format!("create EndpointSlice/{name}-…: the other cluster's endpoints of Service/{name}, mirrored")
    })
}

fn k14(facts: &Source) -> Option<&str> {
    super::k14_service::governing(facts)
}
