//! What executors refuse or leave unknown, and that they change nothing then (hazards of handoff.md section 8).
//!
//! Each test brings a workload to the command in question, makes the world wrong in one way, and expects the refusal or
//! the unknown that names it. What the guard would refuse is written as the agent, the one who gets past it. Where the fault can be repaired, it is, and the same command must go through then: a
//! refusal is not the end of a migration.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferry_proto::agent::v1::RefusalCode;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cases::{SCRIPT, planned, refused, step, unknown},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    proxy::Proxy,
    workload::{self, NAME, Shape, until},
};

/// Time for a command that is expected to run out of it.
const SHORT: Duration = Duration::from_secs(6);

/// A workload whose last ordinal is about to go through `verb`.
async fn before(clusters: &Clusters, namespace: &str, verb: Verb) -> Result<Journey> {
    let mut journey = planned(clusters, namespace, Shape { replicas: 2, parallel: false }).await?;
    for step_of in SCRIPT.into_iter().take_while(|before| *before != verb) {
        if step_of == Verb::HoldSource {
            let last = ordinals(journey.slices["east"]).end - 1;
            journey.begin(last);
        }
        step(clusters, &mut journey, step_of).await?;
    }
    Ok(journey)
}

/// The claims, written as the agent: the guard would refuse anybody else, and here somebody got past it.
fn claims(clusters: &Clusters, cluster: &str, journey: &Journey) -> Api<PersistentVolumeClaim> {
    Api::namespaced(clusters.agent(cluster), &journey.namespace)
}

fn first_claim(journey: &Journey) -> String {
    format!("data-{NAME}-{}", journey.ordinal)
}

/// The PersistentVolume of the ordinal's first claim.
async fn first_volume(clusters: &Clusters, journey: &Journey) -> Result<String> {
    let claim = claims(clusters, "east", journey).get(&first_claim(journey)).await?;
    claim.spec.and_then(|spec| spec.volume_name).context("the claim names no volume")
}

fn merge(value: Value) -> (PatchParams, Patch<Value>) {
    (PatchParams::default(), Patch::Merge(value))
}

/// I5, H18: a command of the past is refused by each cluster, and writes nothing.
pub(crate) async fn stale_epoch(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "stale-epoch", Verb::Retire).await?;
    journey.epochs.insert(journey.ordinal, 1);
    for verb in [Verb::HoldSource, Verb::Release, Verb::HoldTarget, Verb::Adopt, Verb::Retire] {
        let counted = Proxy::clear();
        let ended = journey.carry_out(clusters.through(journey.cluster(verb), &counted), verb).await;
        refused(ended, RefusalCode::StaleEpoch, "of the past")?;
        ensure!(counted.writes().is_empty(), "{verb:?} wrote although it is of the past");
    }
    Ok(())
}

/// I5: an end that comes late does not give back what a later migration has taken.
pub(crate) async fn late_end(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "late-end", Verb::EndTarget).await?;
    journey.epochs.insert(journey.ordinal, 1);
    for verb in [Verb::SettleTarget, Verb::EndTarget] {
        let counted = Proxy::clear();
        let ended = journey.carry_out(clusters.through("west", &counted), verb).await;
        refused(ended, RefusalCode::StaleEpoch, "of the past")?;
        ensure!(counted.writes().is_empty(), "{verb:?} wrote although it is of the past");
    }
    Ok(())
}

/// H3: a retention policy that somebody put back stops the release before the slice changes.
pub(crate) async fn retention(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "retention", Verb::Release).await?;
    let sets: Api<StatefulSet> = Api::namespaced(clusters.agent("east"), &journey.namespace);
    let retention = |policy: &str| {
        let policy = json!({"whenScaled": policy, "whenDeleted": policy});
        merge(json!({"spec": {"persistentVolumeClaimRetentionPolicy": policy}}))
    };
    let (params, delete) = retention("Delete");
    sets.patch(NAME, &params, &delete).await?;
    until("the set's controller to see it", async || {
        let set = sets.get(NAME).await?;
        let seen = set.status.and_then(|status| status.observed_generation) == set.metadata.generation;
        Ok(seen.then_some(()))
    })
    .await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::Conflict, "expected Retain")?;
    let replicas = sets.get(NAME).await?.spec.and_then(|spec| spec.replicas);
    ensure!(replicas == Some(2), "the slice was changed: {replicas:?}");
    let (params, retain) = retention("Retain");
    sets.patch(NAME, &params, &retain).await?;
    until("the release to be possible again", async || {
        Ok(step(clusters, &mut journey, Verb::Release).await.ok().map(drop))
    })
    .await
}

/// I9: a tombstone that somebody deleted in the target is put back.
pub(crate) async fn unburied(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "unburied", Verb::HoldTarget).await?;
    let claims = claims(clusters, "west", &journey);
    claims.delete(&first_claim(&journey), &DeleteParams::default()).await?;
    step(clusters, &mut journey, Verb::HoldTarget).await?;
    let labels = claims.get(&first_claim(&journey)).await?.metadata.labels.unwrap_or_default();
    ensure!(labels.contains_key("ferry.dev/tombstone"), "no tombstone stands: {labels:?}");
    Ok(())
}

/// H9: a finalizer of somebody else is named, and nothing is deleted.
pub(crate) async fn finalizer(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "finalizer", Verb::Release).await?;
    let (claims, name) = (claims(clusters, "east", &journey), first_claim(&journey));
    let finalizers = |list: Value| merge(json!({"metadata": {"finalizers": list}}));
    let (params, held) = finalizers(json!(["kubernetes.io/pvc-protection", "example.com/held"]));
    claims.patch(&name, &params, &held).await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::Conflict, "example.com/held")?;
    ensure!(claims.get(&name).await?.metadata.deletion_timestamp.is_none(), "the claim is being deleted");
    let (params, free) = finalizers(json!(["kubernetes.io/pvc-protection"]));
    claims.patch(&name, &params, &free).await?;
    step(clusters, &mut journey, Verb::Release).await.map(drop)
}

/// I7, H5: a disk whose policy went back to `Delete` keeps its claim.
pub(crate) async fn policy(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "policy", Verb::Release).await?;
    let volumes: Api<PersistentVolume> = Api::all(clusters.agent("east"));
    let volume = first_volume(clusters, &journey).await?;
    let policy = |policy: &str| merge(json!({"spec": {"persistentVolumeReclaimPolicy": policy}}));
    let (params, delete) = policy("Delete");
    volumes.patch(&volume, &params, &delete).await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::Conflict, "expected Retain")?;
    let claim = claims(clusters, "east", &journey).get(&first_claim(&journey)).await?;
    ensure!(claim.metadata.deletion_timestamp.is_none(), "the claim is being deleted");
    let (params, retain) = policy("Retain");
    volumes.patch(&volume, &params, &retain).await?;
    step(clusters, &mut journey, Verb::Release).await.map(drop)
}

/// H17: a slice that somebody else changed is not patched over.
pub(crate) async fn scaled(clusters: &Clusters) -> Result<()> {
    let journey = before(clusters, "scaled", Verb::Release).await?;
    let sets: Api<StatefulSet> = Api::namespaced(clusters.agent("east"), &journey.namespace);
    let (params, scale) = merge(json!({"spec": {"replicas": 4}}));
    sets.patch(NAME, &params, &scale).await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::Conflict, "somebody else scaled it")
}

/// H23: what has the workload's name in the target and is not ours stays as it is.
pub(crate) async fn name_taken(clusters: &Clusters) -> Result<()> {
    let mut journey = planned(clusters, "name-taken", Shape { replicas: 1, parallel: false }).await?;
    let west = clusters.client("west");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": journey.namespace}});
    workload::create(&west, &journey.namespace, &namespace).await?;
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "other"},
    });
    workload::create(&west, &journey.namespace, &settings).await?;
    step(clusters, &mut journey, Verb::PrepareSource).await?;
    let ended = journey.carry_out(clusters.agent("west"), Verb::PrepareTarget).await;
    refused(ended, RefusalCode::Conflict, "differs from the source's at /data/a")?;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(west.clone(), &journey.namespace);
    maps.delete("settings", &DeleteParams::default()).await?;
    let sets: Api<StatefulSet> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let mut foreign = serde_json::to_value(sets.get(NAME).await?)?;
    foreign["metadata"] = json!({"name": NAME});
    foreign["spec"]["replicas"] = json!(0);
    workload::create(&clusters.agent("west"), &journey.namespace, &foreign).await?;
    let ended = journey.carry_out(clusters.agent("west"), Verb::PrepareTarget).await;
    refused(ended, RefusalCode::Conflict, "is not of this migration")
}

/// H12: a PersistentVolume of the disk that is left over in the target stops both hold and adoption.
pub(crate) async fn leftover(clusters: &Clusters) -> Result<()> {
    let journey = before(clusters, "leftover", Verb::Adopt).await?;
    let manifest = journey.volumes[&journey.ordinal][0].volume.clone().context("no manifest")?;
    let mut volume: Value = serde_json::from_str(&manifest.json)?;
    volume["metadata"] = json!({"name": "left-over"});
    // Reserved, or the scheduler would try to give it to another test's claim for ever: the guard refuses that.
    volume["spec"]["claimRef"] = json!({"namespace": "leftover", "name": "of-nobody"});
    workload::create(&clusters.agent("west"), "", &volume).await?;
    for verb in [Verb::HoldTarget, Verb::Adopt] {
        let ended = journey.carry_out(clusters.agent("west"), verb).await;
        refused(ended, RefusalCode::Conflict, "left-over")?;
    }
    Ok(())
}

/// H11: a node that is not the machine it was, or is declared dead, leaves the detach unknown; claims stay.
pub(crate) async fn node(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "node", Verb::Release).await?;
    let held = journey.node.clone().context("no node was held")?;
    let booted =
        ferry_proto::agent::v1::NodeIdentity { boot_id: "an-earlier-boot".to_owned(), ..held.clone() };
    journey.node = Some(booted);
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    unknown(ended, "it was booted since")?;
    journey.node = Some(ferry_proto::agent::v1::NodeIdentity { uid: "another".to_owned(), ..held.clone() });
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    unknown(ended, "it was registered anew")?;
    claims(clusters, "east", &journey).get(&first_claim(&journey)).await?;
    journey.node = Some(held.clone());
    let nodes: Api<Node> = Api::all(clusters.client("east"));
    let name = format!("kubernetes.io/csi/array.ferry.test^{}", journey.ids()[0].handle);
    let (params, in_use) = merge(json!({"status": {"volumesInUse": [name]}}));
    nodes.patch_status(&held.name, &params, &in_use).await?;
    let ended = journey.carry_out_within(clusters.agent("east"), Verb::Release, SHORT).await;
    let verdict = unknown(ended, "does not use");
    let (params, unused) = merge(json!({"status": {"volumesInUse": null}}));
    nodes.patch_status(&held.name, &params, &unused).await?;
    verdict?;
    step(clusters, &mut journey, Verb::Release).await.map(drop)
}

/// H10: `attached=false` is not detached.
pub(crate) async fn attachment(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "attachment", Verb::Release).await?;
    let volume = first_volume(clusters, &journey).await?;
    let api: Api<k8s_openapi::api::storage::v1::VolumeAttachment> = Api::all(clusters.client("east"));
    let name = until("the VolumeAttachment", async || {
        let all = api.list(&kube::api::ListParams::default()).await?;
        let ours =
            all.items.into_iter().find(|a| a.spec.source.persistent_volume_name.as_ref() == Some(&volume));
        Ok(ours.filter(|a| a.status.as_ref().is_some_and(|s| s.attached)).and_then(|a| a.metadata.name))
    })
    .await?;
    let finalizers = |list: Value| Patch::Json::<()>(serde_json::from_value(list).unwrap_or_default());
    let hold = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/held"}]);
    api.patch(&name, &PatchParams::default(), &finalizers(hold)).await?;
    let ended = journey.carry_out_within(clusters.agent("east"), Verb::Release, SHORT).await;
    unknown(ended, "to be detached from")?;
    claims(clusters, "east", &journey).get(&first_claim(&journey)).await?;
    let (params, free) = merge(json!({"metadata": {"finalizers": null}}));
    api.patch(&name, &params, &free).await?;
    step(clusters, &mut journey, Verb::Release).await.map(drop)
}

/// H14: a pod that does not come up in time is unknown, with what the scheduler says of it.
pub(crate) async fn pod(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "pod", Verb::Adopt).await?;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}},
    });
    let west = clusters.client("west");
    workload::create(&west, &journey.namespace, &quota).await?;
    let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> =
        Api::namespaced(west.clone(), &journey.namespace);
    until("the quota to count", async || {
        Ok(quotas.get("none").await?.status.and_then(|status| status.used).map(drop))
    })
    .await?;
    let ended = journey.carry_out_within(clusters.agent("west"), Verb::Adopt, SHORT).await;
    unknown(ended, "to make Pod")?;
    let pods: Api<Pod> = Api::namespaced(west, &journey.namespace);
    let name = format!("{NAME}-{}", journey.ordinal);
    ensure!(pods.get_opt(&name).await?.is_none(), "pod {name} exists");
    quotas.delete("none", &DeleteParams::default()).await?;
    step(clusters, &mut journey, Verb::Adopt).await.map(drop)
}
