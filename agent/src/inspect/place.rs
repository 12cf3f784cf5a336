//! What the target has to offer a workload: classes, nodes and what is free on them, quotas.
//!
//! Read once, beside what the target already holds of the workload ([`super::facts::Target`]), and judged by K7 and K8.
//! Of the pods of the whole cluster only sums are kept, so that a cluster of 100,000 pods costs one page of memory. What
//! the agent may not read is said to be so: the checks then note that they could not look.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use ferry_proto::agent::v1::{InspectTarget, OrdinalVolumes};
use futures::try_join;
use k8s_openapi::api::{
    core::v1::{LimitRange, Node, PersistentVolumeClaim, Pod, ResourceQuota},
    storage::v1::StorageClass,
};
use kube::api::{ApiResource, GroupVersionKind};
use serde_json::Value;

use super::{
    amounts::{self, Amounts},
    read::{self, Optional, Seen},
};
use crate::{context::Context, outcome::Stop};

/// What a target offers.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// StorageClasses here for the source's, where they differ.
    pub mapping: HashMap<String, String>,
    /// StorageClasses.
    pub classes: Optional<Seen<StorageClass>>,
    /// VolumeAttributesClasses.
    pub attributes_classes: Optional<Value>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// What the pods on each node ask for, `pods` among it, by the node's name.
    pub used: Optional<(String, Amounts)>,
    /// ResourceQuotas of the namespace.
    pub quotas: Optional<ResourceQuota>,
    /// LimitRanges of the namespace.
    pub limit_ranges: Optional<LimitRange>,
}

impl Place {
    /// Reads it all.
    pub(crate) async fn read(ctx: &Context, command: &InspectTarget) -> Result<Self, Stop> {
        let namespace = ctx.command.namespace.as_str();
        let (classes, attributes_classes, nodes, used, quotas, limit_ranges) = try_join!(
            read::permitted_global::<StorageClass>(ctx),
            attributes_classes(ctx),
            read::list_global::<Node>(ctx, |_| true),
            used(ctx),
            read::permitted::<ResourceQuota>(ctx, namespace),
            read::permitted::<LimitRange>(ctx, namespace),
        )?;
        Ok(Self {
            mapping: command.storage_classes.clone(),
            classes,
            attributes_classes,
            nodes: nodes.into_iter().map(|node| node.object).collect(),
            used,
            quotas: quotas.map(|quota| quota.object),
            limit_ranges: limit_ranges.map(|range| range.object),
        })
    }

    /// Name of the class here for the source's class `name`.
    pub(crate) fn mapped<'a>(&'a self, name: &'a str) -> &'a str {
        self.mapping.get(name).map_or(name, String::as_str)
    }

    /// The class `name` of this cluster.
    pub(crate) fn class(&self, name: &str) -> Option<&Seen<StorageClass>> {
        let Optional::Read(all) = &self.classes else { return None };
        all.iter().find(|class| class.object.metadata.name.as_deref() == Some(name))
    }
}

/// `storage.k8s.io` serves them as v1 since Kubernetes 1.34, as v1beta1 before.
async fn attributes_classes(ctx: &Context) -> Result<Optional<Value>, Stop> {
    for version in ["v1", "v1beta1"] {
        let kind = GroupVersionKind::gvk("storage.k8s.io", version, "VolumeAttributesClass");
        let resource = ApiResource::from_gvk_with_plural(&kind, "volumeattributesclasses");
        let found = read::list_optional_global(ctx, &resource).await?;
        if found != Optional::NotInstalled {
            return Ok(found);
        }
    }
    Ok(Optional::NotInstalled)
}

async fn used(ctx: &Context) -> Result<Optional<(String, Amounts)>, Stop> {
    let sums: Mutex<BTreeMap<String, Amounts>> = Mutex::new(BTreeMap::new());
    let listed = read::permitted_everywhere::<Pod>(ctx, |pod| {
        if let (Some((node, asked)), Ok(mut sums)) = (seated(pod), sums.lock()) {
            amounts::add(sums.entry(node).or_default(), &asked);
        }
        false
    });
    Ok(match listed.await? {
        Optional::Read(_) => Optional::Read(sums.into_inner().unwrap_or_default().into_iter().collect()),
        Optional::NotInstalled => Optional::NotInstalled,
        Optional::Denied(said) => Optional::Denied(said),
    })
}

/// The node that a pod is on and what it takes there; nothing for a pod that is on none or has ended.
pub(crate) fn seated(pod: &Pod) -> Option<(String, Amounts)> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let spec = pod.spec.as_ref().filter(|_| !matches!(phase, Some("Succeeded" | "Failed")))?;
    let mut asked = amounts::requests(spec);
    asked.insert("pods".to_owned(), 1_000);
    Some((spec.node_name.clone()?, asked))
}

/// Claims of described ordinals, as typed objects; one that cannot be read is left out, for its volume is refused elsewhere.
pub(crate) fn claims<'a>(ordinals: impl Iterator<Item = &'a OrdinalVolumes>) -> Vec<PersistentVolumeClaim> {
    let volumes = ordinals.flat_map(|ordinal| &ordinal.volumes);
    let manifests = volumes.filter_map(|volume| volume.claim.as_ref());
    manifests.filter_map(|manifest| serde_json::from_str(&manifest.json).ok()).collect()
}

/// The class that a claim names, in its field or in the annotation that came before it; empty if none.
pub(crate) fn class_of(claim: &PersistentVolumeClaim) -> &str {
    let field = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref());
    let annotations = claim.metadata.annotations.as_ref();
    let beta = annotations.and_then(|all| all.get("volume.beta.kubernetes.io/storage-class"));
    beta.map(String::as_str).or(field).unwrap_or_default()
}
