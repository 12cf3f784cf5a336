//! What the commands that take something back refuse, and what they leave; and the ending of a source.
//!
//! As in `refusals.rs`: the world is made wrong in one way, the command says so and has changed nothing that could hold
//! data; where the fault can be repaired, the same command goes through then. How handoffs are taken back when nothing
//! is wrong is in `undo.rs`.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferry_agent::outcome::Evidence;
use ferry_proto::agent::v1::{Finished, RefusalCode};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, PersistentVolumeClaim},
        policy::v1::PodDisruptionBudget,
        storage::v1::VolumeAttachment,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cases::{SCRIPT, clear, planned, refused, step, twice, unknown},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    proxy::{Fault, Proxy},
    witness,
    workload::{self, NAME, Shape, until},
};

/// Time for a command that is expected to run out of it.
const SHORT: Duration = Duration::from_secs(6);

/// A workload whose last ordinal is about to go through `verb`.
pub(crate) async fn before(
    clusters: &Clusters,
    namespace: &str,
    replicas: u32,
    verb: Verb,
) -> Result<Journey> {
    let mut journey = planned(clusters, namespace, Shape { replicas, parallel: false }).await?;
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
pub(crate) fn claims(clusters: &Clusters, cluster: &str, journey: &Journey) -> Api<PersistentVolumeClaim> {
    Api::namespaced(clusters.agent(cluster), &journey.namespace)
}

/// After step 12 the way back is a handoff: the source has no PersistentVolume to reclaim.
pub(crate) async fn retired(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "undo-retired", 2, Verb::SettleSource).await?;
    journey.withdraw();
    let ended = journey.carry_out(clusters.agent("east"), Verb::Reclaim).await;
    refused(ended, RefusalCode::Conflict, "it was retired")?;
    clear(clusters, "undo-retired").await
}

/// A claim that is not the adoption's may hold data: it stays, and is named.
pub(crate) async fn foreign(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "undo-foreign", 2, Verb::Adopt).await?;
    let (claims, name) = (claims(clusters, "west", &journey), format!("data-{NAME}-{}", journey.ordinal));
    claims.delete(&name, &DeleteParams::default()).await?;
    until("the tombstone to be gone", async || Ok(claims.get_opt(&name).await?.is_none().then_some(())))
        .await?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "array",
            "resources": {"requests": {"storage": "16Mi"}},
        },
    });
    workload::create(&clusters.agent("west"), &journey.namespace, &claim).await?;
    journey.withdraw();
    let ended = journey.carry_out(clusters.agent("west"), Verb::Fence).await;
    refused(ended, RefusalCode::Conflict, "It may hold data")?;
    ensure!(claims.get(&name).await?.metadata.deletion_timestamp.is_none(), "the claim is being deleted");
    claims.delete(&name, &DeleteParams::default()).await?;
    until("the claim to be gone", async || Ok(claims.get_opt(&name).await?.is_none().then_some(()))).await?;
    for verb in [Verb::Fence, Verb::Reclaim] {
        step(clusters, &mut journey, verb).await?;
    }
    let labels = claims.get(&name).await?.metadata.labels.unwrap_or_default();
    ensure!(labels.contains_key("ferry.dev/tombstone"), "no tombstone stands: {labels:?}");
    witness::look(clusters, &journey, true).await?;
    clear(clusters, "undo-foreign").await
}

/// H10: the target's claims stay until its attachment is gone, not merely `attached=false`.
pub(crate) async fn attached(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "undo-attached", 2, Verb::Retire).await?;
    let (claims, name) = (claims(clusters, "west", &journey), format!("data-{NAME}-{}", journey.ordinal));
    let volume = claims.get(&name).await?.spec.and_then(|spec| spec.volume_name);
    let api: Api<VolumeAttachment> = Api::all(clusters.client("west"));
    let attachment = until("the disk to be attached in the target", async || {
        let mut all = api.list(&ListParams::default()).await?.items.into_iter();
        let ours = all.find(|a| a.spec.source.persistent_volume_name == volume);
        Ok(ours.filter(|a| a.status.as_ref().is_some_and(|s| s.attached)).and_then(|a| a.metadata.name))
    })
    .await?;
    let hold = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/held"}]);
    let hold = Patch::Json::<()>(serde_json::from_value(hold)?);
    api.patch(&attachment, &PatchParams::default(), &hold).await?;
    journey.withdraw();
    let ended = journey.carry_out_within(clusters.agent("west"), Verb::Fence, SHORT).await;
    unknown(ended, "to be detached from")?;
    let claim = claims.get(&name).await?;
    ensure!(claim.metadata.deletion_timestamp.is_none(), "the claim is being deleted");
    ensure!(claim.spec.and_then(|spec| spec.volume_name) == volume, "the claim is of another volume");
    witness::look(clusters, &journey, true).await?;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch(&attachment, &PatchParams::default(), &free).await?;
    for verb in [Verb::Fence, Verb::Reclaim] {
        step(clusters, &mut journey, verb).await?;
    }
    witness::look(clusters, &journey, true).await?;
    clear(clusters, "undo-attached").await
}

/// I5: once it was taken back, nothing of the handoff passes, and an older undo does not either.
pub(crate) async fn stale(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "undo-stale", 2, Verb::Retire).await?;
    let adopted = journey.epochs[&journey.ordinal];
    journey.withdraw();
    for verb in [Verb::Fence, Verb::Reclaim] {
        step(clusters, &mut journey, verb).await?;
    }
    journey.epochs.insert(journey.ordinal, adopted);
    for verb in [Verb::Release, Verb::Adopt, Verb::Retire, Verb::Fence, Verb::Reclaim] {
        let counted = Proxy::clear();
        let ended = journey.carry_out(clusters.through(journey.cluster(verb), &counted), verb).await;
        refused(ended, RefusalCode::StaleEpoch, "of the past")?;
        ensure!(counted.writes().is_empty(), "{verb:?} wrote although it is of the past");
    }
    clear(clusters, "undo-stale").await
}

/// Preparation is not taken back while an ordinal is away.
pub(crate) async fn away(clusters: &Clusters) -> Result<()> {
    let journey = before(clusters, "undo-away", 2, Verb::Retire).await?;
    let ended = journey.carry_out(clusters.agent("west"), Verb::UnprepareTarget).await;
    refused(ended, RefusalCode::Conflict, "Take it back first")?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::UnprepareSource).await;
    refused(ended, RefusalCode::Conflict, "is not here")?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Finish).await;
    refused(ended, RefusalCode::Conflict, "expected an empty slice")?;
    clear(clusters, "undo-away").await
}

/// What somebody else has written to in the target stays, and is named.
pub(crate) async fn used(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "undo-used", 1, Verb::HoldSource).await?;
    let maps: Api<ConfigMap> = Api::namespaced(clusters.client("west"), &journey.namespace);
    let change = json!({"data": {"b": "c"}});
    maps.patch("settings", &PatchParams::default(), &Patch::Merge(change)).await?;
    let evidence = step(clusters, &mut journey, Verb::UnprepareTarget).await?;
    let Evidence::Unprepared(unprepared) = evidence else { bail!("{evidence:?}") };
    let said =
        unprepared.left.iter().any(|line| line.contains("settings") && line.contains("has written to it"));
    ensure!(said, "{:?}", unprepared.left);
    ensure!(maps.get_opt("settings").await?.is_some(), "the ConfigMap is gone");
    let sets: Api<StatefulSet> = Api::namespaced(clusters.client("west"), &journey.namespace);
    ensure!(sets.get_opt(NAME).await?.is_none(), "the empty set is still there");
    clear(clusters, "undo-used").await
}

/// K12: a disk that is being resized does not leave.
pub(crate) async fn resized(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "resized", 1, Verb::HoldSource).await?;
    journey.begin(ordinals(journey.slices["east"]).start);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let name = format!("data-{NAME}-{}", journey.ordinal);
    let condition = |list: Value| Patch::Merge(json!({"status": {"conditions": list}}));
    let resizing = json!([{"type": "FileSystemResizePending", "status": "True"}]);
    claims.patch_status(&name, &PatchParams::default(), &condition(resizing)).await?;
    let ended = journey.carry_out_within(clusters.agent("east"), Verb::HoldSource, SHORT).await;
    unknown(ended, "the resize of claim")?;
    claims.patch_status(&name, &PatchParams::default(), &condition(json!([]))).await?;
    step(clusters, &mut journey, Verb::HoldSource).await?;
    clear(clusters, "resized").await
}

/// A settlement that is paused before it gives the budget back, and goes on after the next hold, gives nothing back;
/// whether that is of the same migration, where numbers tell, or of a later one, where only an epoch does.
pub(crate) async fn late_settlement(clusters: &Clusters) -> Result<()> {
    for (namespace, is_same) in [("late-settlement", true), ("later-migration", false)] {
        late(clusters, namespace, is_same).await?;
    }
    Ok(())
}

async fn late(clusters: &Clusters, namespace: &str, is_same: bool) -> Result<()> {
    let mut journey = before(clusters, namespace, 3, Verb::SettleSource).await?;
    let (kill, paused) = (Proxy::at(2, Fault::Stopped), journey.clone());
    let client = clusters.through("east", &kill);
    let task = tokio::spawn(async move { paused.carry_out(client, Verb::SettleSource).await });
    kill.reached().await;
    journey.accepted += 1;
    if !is_same {
        journey.migration.push_str("-next");
    }
    journey.begin(journey.ordinal - 1);
    step(clusters, &mut journey, Verb::HoldSource).await?;
    kill.go_on();
    refused(task.await?, RefusalCode::StaleEpoch, "of the past")?;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let amount = budgets.get(NAME).await?.spec.and_then(|spec| spec.max_unavailable);
    ensure!(amount == Some(IntOrString::Int(0)), "the budget is {amount:?}");
    clear(clusters, namespace).await
}

/// The source's end: killed at each write and repeated, accepted later, also by a new process.
pub(crate) async fn finished(clusters: &Clusters) -> Result<()> {
    let mut journey = ended(clusters, "finished").await?;
    let found = finish(clusters, &mut journey, Verb::Finish).await?;
    ensure!(found.stateful_set_gone && !found.accepted && found.tombstones.len() == 2, "{found:?}");
    ensure!(found.pvs.is_empty() && found.claims.is_empty() && found.pods.is_empty(), "{found:?}");
    let found = finish(clusters, &mut journey, Verb::Accept).await?;
    ensure!(found.accepted && found.tombstones.is_empty() && found.by_hand.is_empty(), "{found:?}");
    let claims = claims(clusters, "east", &journey);
    ensure!(claims.list(&ListParams::default()).await?.items.is_empty(), "claims are left");
    clear(clusters, "finished").await
}

/// Who makes the set anew is named, and the tombstones stay then, accepted or not.
pub(crate) async fn recreated(clusters: &Clusters) -> Result<()> {
    let mut journey = ended(clusters, "recreated").await?;
    let sets: Api<StatefulSet> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let mut set = serde_json::to_value(sets.get(NAME).await?)?;
    set["metadata"] =
        json!({"name": NAME, "annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/db"}});
    twice(clusters, &mut journey, Verb::Finish).await?;
    set["apiVersion"] = json!("apps/v1");
    set["kind"] = json!("StatefulSet");
    workload::create(&clusters.agent("east"), &journey.namespace, &set).await?;
    let found = finish(clusters, &mut journey, Verb::Accept).await?;
    ensure!(!found.stateful_set_gone && !found.accepted, "{found:?}");
    ensure!(found.recreated_by.contains("Argo CD") && found.tombstones.len() == 2, "{found:?}");
    clear(clusters, "recreated").await
}

/// A workload that has moved whole.
async fn ended(clusters: &Clusters, namespace: &str) -> Result<Journey> {
    let mut journey = before(clusters, namespace, 1, Verb::EndTarget).await?;
    step(clusters, &mut journey, Verb::EndTarget).await?;
    Ok(journey)
}

async fn finish(clusters: &Clusters, journey: &mut Journey, verb: Verb) -> Result<Finished> {
    match step(clusters, journey, verb).await? {
        Evidence::Finished(finished) => Ok(finished),
        other => Err(anyhow::anyhow!("{other:?}")).context("not what an end says"),
    }
}
