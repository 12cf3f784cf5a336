//! K12, the pod template: what replicas mount without a claim template would stay behind.
//!
//! A `hostPath`, and an `emptyDir` or generic ephemeral volume, may hold data that nobody has written down as
//! scratch: they are named and refused. Many a workload has an `emptyDir` that really is scratch; a person says so
//! by the annotation [`SCRATCH`] on the StatefulSet, volume by volume. What projects objects of the API (ConfigMaps,
//! Secrets, tokens, images) holds nothing of its own.

use std::collections::BTreeSet;

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::Volume;

use super::{
    facts::Source,
    finding::{refuse, warn},
};

/// Names of the template's volumes that hold nothing worth keeping, separated by commas.
pub(crate) const SCRATCH: &str = "ferry.dev/scratch-volumes";

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let template = facts.set.object.spec.as_ref().map(|spec| &spec.template);
    let volumes = template.and_then(|template| template.spec.as_ref()).and_then(|pod| pod.volumes.as_ref());
    let annotations = facts.set.object.metadata.annotations.as_ref();
    let scratch: BTreeSet<_> = annotations
        .and_then(|annotations| annotations.get(SCRATCH))
        .map(|names| names.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let own: BTreeSet<_> = facts.shape.claim_templates.iter().map(String::as_str).collect();
    volumes
        .into_iter()
        .flatten()
        // A claim template of the same name takes the volume's place in every pod.
        .filter(|volume| !own.contains(volume.name.as_str()))
        .filter_map(|volume| one(volume, &facts.shape.name, scratch.contains(volume.name.as_str())))
        .collect()
}

fn one(volume: &Volume, set: &str, scratch: bool) -> Option<Finding> {
    let subject = format!("StatefulSet/{set}");
    let name = &volume.name;
    if volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
        || volume.image.is_some()
    {
        return None;
    }
    if let Some(path) = &volume.host_path {
        return Some(refuse(
            "K12-host-path",
            subject,
            format!("volume {name} of the pod template is the node's own path {}", path.path),
            "volumes from claim templates",
            "Put the data on a claim; what the node itself provides (a socket, a device) has to be taken out of the \
             template first.",
        ));
    }
    if let Some(code) = short_lived(volume) {
        let (code, kind) = code;
        return (!scratch).then(|| {
            refuse(
                code,
                subject,
                format!("volume {name} of the pod template is {kind}: what it holds ends with the pod"),
                "volumes from claim templates, or the word that it is scratch",
                format!(
                    "If it holds nothing worth keeping, say so: annotate the StatefulSet with {SCRATCH}={name} \
                     (several: separated by commas). Else put the data on a claim."
                ),
            )
        });
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return Some(refuse(
            "K12-common-claim",
            subject,
            format!(
                "volume {name} of the pod template is claim {}, common to all replicas",
                claim.claim_name
            ),
            "claims made from claim templates, one for each replica",
            "Take it out of the template, or provide a claim of that name in the target by other means and make it \
             a separate workload's.",
        ));
    }
    Some(warn(
        "K12-direct-volume",
        subject,
        format!("volume {name} of the pod template reaches storage directly, without a claim"),
        "volumes from claim templates",
        "Make sure that the target's nodes reach the same storage and have what mounts it.",
    ))
}

fn short_lived(volume: &Volume) -> Option<(&'static str, &'static str)> {
    if volume.empty_dir.is_some() {
        Some(("K12-empty-dir", "an emptyDir"))
    } else if volume.ephemeral.is_some() {
        Some(("K12-ephemeral", "a generic ephemeral volume"))
    } else {
        None
    }
}

#[cfg(test)]
#[path = "k12_template_tests.rs"]
mod tests;
