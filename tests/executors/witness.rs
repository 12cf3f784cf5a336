//! What must be true of the clusters at any moment of a migration, and what evidence must say again.
//!
//! Read from the API servers by the test's own client, sharing nothing with the executors: a disk is bound in one
//! cluster at most (I1), its PersistentVolume is `Retain` from preparation to the end (I7), and under each claim's name
//! there is nothing, a tombstone, or a claim of the very disk; never an empty one.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ferry_agent::outcome::Evidence;
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{PersistentVolume, PersistentVolumeClaim, Pod},
        policy::v1::PodDisruptionBudget,
        storage::v1::VolumeAttachment,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde_json::{Value, json};

use crate::{clusters::Clusters, journey::Journey, workload::NAME};

/// Checks the clusters. `retained`: preparation is over, and the end has not begun.
pub(crate) async fn look(clusters: &Clusters, journey: &Journey, retained: bool) -> Result<()> {
    let handles: Vec<_> = journey.volumes.values().flatten().map(|volume| volume.handle.clone()).collect();
    let mut usable: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for cluster in clusters.names() {
        let client = clusters.client(cluster);
        let volumes: Api<PersistentVolume> = Api::all(client.clone());
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client, &journey.namespace);
        let claims = claims.list(&ListParams::default()).await?.items;
        let volumes = volumes.list(&ListParams::default()).await?.items;
        for volume in &volumes {
            let Some((handle, uid)) = bound(volume) else { continue };
            if !handles.contains(&handle) {
                continue;
            }
            let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.clone());
            ensure!(
                !retained || policy.as_deref() == Some("Retain"),
                "{} in {cluster} is {policy:?}",
                volume.name_any()
            );
            if claims.iter().any(|claim| claim.uid().as_ref() == Some(&uid)) {
                usable.entry(handle).or_default().push(cluster.clone());
            }
        }
        for claim in &claims {
            let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
            let is_tombstone = claim.labels().get("ferry.dev/tombstone").is_some_and(|value| value == "true");
            let is_ours = volumes.iter().any(|volume| {
                volume.name_any() == named
                    && bound(volume).is_some_and(|(handle, _)| handles.contains(&handle))
            });
            ensure!(
                is_tombstone || is_ours || handles.is_empty(),
                "claim {} in {cluster} is neither a tombstone nor of a disk of the workload: {named:?}",
                claim.name_any()
            );
        }
    }
    for (handle, holders) in usable {
        ensure!(holders.len() == 1, "disk {handle} is usable in {holders:?}");
    }
    Ok(())
}

/// What is wrong with the deletion of the object at `path`, as the cluster is right before it: a claim goes when no pod
/// names it and its disk is `Retain` and attached nowhere, a PersistentVolume moreover when nothing is bound to it. The
/// disk of a probe alone may be deleted.
pub(crate) async fn deletion(client: &Client, cluster: &str, path: &str) -> Option<String> {
    let mut parts = path.rsplit('/');
    let (name, kind, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    let wrong = match kind {
        "persistentvolumeclaims" => claim_goes(client, namespace, name).await,
        "persistentvolumes" => volume_goes(client, name, true).await,
        _ => return None,
    };
    let wrong = wrong.err()?;
    Some(format!("{path} is deleted in {cluster}, and {wrong:#}"))
}

async fn claim_goes(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let Some(claim) = claims.get_opt(name).await? else { return Ok(()) };
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
    if volume.is_empty() || claim.labels().contains_key("ferry.dev/tombstone") {
        return Ok(());
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await? {
        let of = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let mut claims = of.filter_map(|volume| volume.persistent_volume_claim.as_ref());
        ensure!(!claims.any(|of| of.claim_name == name), "pod {} names the claim", pod.name_any());
    }
    volume_goes(client, &volume, false).await
}

async fn volume_goes(client: &Client, name: &str, is_itself: bool) -> Result<()> {
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let Some(volume) = volumes.get_opt(name).await? else { return Ok(()) };
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.clone());
    let is_scratch = volume.labels().contains_key("ferry.dev/probe");
    ensure!(is_scratch || policy.as_deref() == Some("Retain"), "volume {name} is {policy:?}");
    if is_itself && let Some(claim) = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()) {
        let (of, named) = (claim.namespace.as_deref().unwrap_or_default(), claim.name.as_deref());
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), of);
        let found = claims.get_opt(named.unwrap_or_default()).await?.and_then(|claim| claim.uid());
        ensure!(found.is_none() || found != claim.uid, "volume {name} is bound to a claim");
    }
    let attachments: Api<VolumeAttachment> = Api::all(client.clone());
    for attachment in attachments.list(&ListParams::default()).await? {
        let of = attachment.spec.source.persistent_volume_name.as_deref();
        ensure!(of != Some(name), "volume {name} is attached to {}", attachment.spec.node_name);
    }
    Ok(())
}

/// Handle and claim's uid of a volume.
fn bound(volume: &PersistentVolume) -> Option<(String, String)> {
    let spec = volume.spec.as_ref()?;
    let uid = spec.claim_ref.as_ref().and_then(|claim| claim.uid.clone()).unwrap_or_default();
    Some((spec.csi.as_ref()?.volume_handle.clone(), uid))
}

/// Evidence without what changes by itself: versions, field managers, finalizers, status.
pub(crate) fn essence(evidence: &Evidence) -> String {
    let mut evidence = evidence.clone();
    let manifests: Vec<_> = match &mut evidence {
        Evidence::SourcePrepared(prepared) => {
            let volumes = prepared.ordinals.iter_mut().flat_map(|entry| entry.volumes.iter_mut());
            let parts = volumes.flat_map(|volume| [volume.claim.as_mut(), volume.volume.as_mut()]);
            parts.chain([prepared.stateful_set.as_mut()]).flatten().collect()
        }
        Evidence::Released(released) => pairs(&mut released.volumes),
        Evidence::Adopted(adopted) => pairs(&mut adopted.volumes),
        Evidence::Reclaimed(reclaimed) => pairs(&mut reclaimed.volumes),
        Evidence::Probed(probed) => probed.volume.as_mut().into_iter().collect(),
        Evidence::Fenced(fenced) => {
            // What was found is said once.
            fenced.nothing_found = true;
            fenced.pv_names.clear();
            Vec::new()
        }
        _ => Vec::new(),
    };
    for manifest in manifests {
        let mut object: Value = serde_json::from_str(&manifest.json).unwrap_or_default();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // The attacher sets and takes off a finalizer in its own time.
            let passing = ["managedFields", "resourceVersion", "generation", "finalizers"];
            metadata.retain(|field, _| !passing.contains(&field.as_str()));
        }
        object["status"] = json!(null);
        manifest.json = object.to_string();
    }
    format!("{evidence:?}")
}

fn pairs(
    volumes: &mut [ferry_proto::agent::v1::ClaimedVolume],
) -> Vec<&mut ferry_proto::agent::v1::Manifest> {
    volumes.iter_mut().flat_map(|volume| [volume.claim.as_mut(), volume.volume.as_mut()]).flatten().collect()
}

/// At the end the target has what the source had: policies, budget; the moved disks' volumes `Delete` again.
pub(crate) async fn restored(clusters: &Clusters, journey: &Journey) -> Result<()> {
    let client = clusters.client(&journey.target);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &journey.namespace);
    let spec = sets.get(NAME).await?.spec.unwrap_or_default();
    let retention = spec.persistent_volume_claim_retention_policy.unwrap_or_default();
    ensure!(retention.when_scaled.as_deref() == Some("Delete"), "retention in the target is {retention:?}");
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), &journey.namespace);
    let budget = budgets.get(NAME).await?.spec.unwrap_or_default();
    let amount = (budget.min_available, budget.max_unavailable);
    ensure!(
        amount == (Some(IntOrString::String("50%".into())), None),
        "the budget in the target is {amount:?}"
    );
    let moved: Vec<_> = journey.ids().into_iter().map(|id| id.handle).collect();
    let volumes: Api<PersistentVolume> = Api::all(client);
    let volumes = volumes.list(&ListParams::default()).await?.items;
    for handle in moved {
        let volume = volumes.iter().find(|volume| bound(volume).is_some_and(|(found, _)| found == handle));
        let policy = volume.and_then(|volume| volume.spec.as_ref()?.persistent_volume_reclaim_policy.clone());
        ensure!(policy.as_deref() == Some("Delete"), "the volume of {handle} in the target is {policy:?}");
    }
    let sets: Api<StatefulSet> = Api::namespaced(clusters.client(&journey.source), &journey.namespace);
    let spec = sets.get(NAME).await?.spec.unwrap_or_default();
    let retention = spec.persistent_volume_claim_retention_policy.unwrap_or_default();
    ensure!(retention.when_scaled.as_deref() == Some("Retain"), "retention in the source is {retention:?}");
    Ok(())
}
