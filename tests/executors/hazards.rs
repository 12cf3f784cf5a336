//! Hazards that only a real API server and its controllers show: the binder, the StatefulSet controller, the tombstone.
//!
//! As in `refusals.rs`: a workload is brought to the command in question and the world is made wrong in one way, as it
//! has gone wrong elsewhere. What is asserted is the disk: nobody gets another one, nobody gets this one, and when the
//! fault is repaired the same command goes through. docs/hazards.md lists the hazards and where each is tested.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferry_proto::agent::v1::RefusalCode;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolume, PersistentVolumeClaim, Pod},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cases::{clear, refused, step, unknown},
    clusters::Clusters,
    journey::{Journey, Verb},
    undo_refusals::{before, claims},
    workload::{self, NAME, until},
};

/// Time for a command that is expected to run out of it.
const SHORT: Duration = Duration::from_secs(6);
/// What a tombstone names in place of a volume.
const TOMBSTONE: &str = "ferry.dev/TOMBSTONE";

fn claim_name(journey: &Journey) -> String {
    format!("data-{NAME}-{}", journey.ordinal)
}

fn pod_name(journey: &Journey) -> String {
    format!("{NAME}-{}", journey.ordinal)
}

fn pods(clusters: &Clusters, cluster: &str, journey: &Journey) -> Api<Pod> {
    Api::namespaced(clusters.client(cluster), &journey.namespace)
}

/// What a person patches onto the set who got past the guard: by the agent's name, which it knows.
async fn patch_set(clusters: &Clusters, cluster: &str, journey: &Journey, spec: Value) -> Result<()> {
    let sets: Api<StatefulSet> = Api::namespaced(clusters.agent(cluster), &journey.namespace);
    let patch = Patch::Merge(json!({"spec": spec}));
    sets.patch(NAME, &PatchParams::default(), &patch).await.map(drop).context("a person's patch of the set")
}

/// H4: the claims lose their owner in the source and get none in the target, so the end of a set takes no claim along.
pub(crate) async fn owners(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "owners", 1, Verb::PrepareSource).await?;
    let owned = async |cluster: &str, journey: &Journey| -> Result<Vec<String>> {
        let listed = claims(clusters, cluster, journey).list(&ListParams::default()).await?.items;
        let owners = listed.into_iter().flat_map(|claim| claim.metadata.owner_references.unwrap_or_default());
        Ok(owners.map(|owner| owner.name).collect())
    };
    until("the set's controller to own the claims", async || {
        Ok((!owned("east", &journey).await?.is_empty()).then_some(()))
    })
    .await?;
    step(clusters, &mut journey, Verb::PrepareSource).await?;
    ensure!(owned("east", &journey).await?.is_empty(), "the source's claims have owners after preparation");
    step(clusters, &mut journey, Verb::PrepareTarget).await?;
    journey.begin(workload::START);
    for verb in [Verb::HoldSource, Verb::HoldTarget, Verb::Release, Verb::Adopt] {
        step(clusters, &mut journey, verb).await?;
    }
    let found = owned("west", &journey).await?;
    ensure!(found.is_empty(), "the target's claims have owners: {found:?}");
    clear(clusters, "owners").await
}

/// H13: a target whose slice is patched before its claims exist gets a pod that stays Pending, and no empty disk.
pub(crate) async fn too_early(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "too-early", 2, Verb::Adopt).await?;
    let start = json!({"replicas": 1, "ordinals": {"start": journey.ordinal}});
    patch_set(clusters, "west", &journey, start).await?;
    let pods = pods(clusters, "west", &journey);
    let told = until("the scheduler to say why the pod waits", async || {
        let conditions = pods.get(&pod_name(&journey)).await?.status.and_then(|status| status.conditions);
        let scheduled = conditions.into_iter().flatten().find(|condition| condition.type_ == "PodScheduled");
        Ok(scheduled.filter(|condition| condition.status == "False").and_then(|condition| condition.message))
    })
    .await?;
    ensure!(told.contains("unbound immediate PersistentVolumeClaims"), "the pod waits for {told:?}");
    for claim in claims(clusters, "west", &journey).list(&ListParams::default()).await?.items {
        buried(&claim)?;
    }
    let volumes: Api<PersistentVolume> = Api::all(clusters.client("west"));
    let made = volumes.list(&ListParams::default()).await?.items.into_iter().filter(|volume| {
        let reserved = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        reserved.and_then(|claim| claim.namespace.as_deref()) == Some("too-early")
    });
    let made: Vec<_> = made.filter_map(|volume| volume.metadata.name).collect();
    ensure!(made.is_empty(), "volumes were made for the stray pod: {made:?}");
    patch_set(clusters, "west", &journey, json!({"replicas": 0})).await?;
    until("the stray pod to go", async || {
        Ok(pods.get_opt(&pod_name(&journey)).await?.is_none().then_some(()))
    })
    .await?;
    step(clusters, &mut journey, Verb::Adopt).await?;
    clear(clusters, "too-early").await
}

fn buried(claim: &PersistentVolumeClaim) -> Result<()> {
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref());
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    ensure!(
        volume == Some(TOMBSTONE) && phase == Some("Pending"),
        "claim {:?} is {phase:?} with volume {volume:?}, expected a tombstone that is Pending",
        claim.metadata.name
    );
    Ok(())
}

/// H25: a set whose ordinals an API server has forgotten is not written to.
pub(crate) async fn forgotten(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "forgotten", 2, Verb::Adopt).await?;
    patch_set(clusters, "west", &journey, json!({"ordinals": null})).await?;
    let ended = journey.carry_out(clusters.agent("west"), Verb::Adopt).await;
    refused(ended, RefusalCode::Conflict, "ordinals")?;
    ensure!(
        pods(clusters, "west", &journey).list(&ListParams::default()).await?.items.is_empty(),
        "a pod was made in the target"
    );
    patch_set(clusters, "west", &journey, json!({"ordinals": {"start": workload::START}})).await?;
    step(clusters, &mut journey, Verb::Adopt).await?;
    clear(clusters, "forgotten").await
}

/// H31: while another pod is not ready an OrderedReady set does not let the ordinal go; the wait says for which.
pub(crate) async fn unwell(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "unwell", 2, Verb::Release).await?;
    let pods = pods(clusters, "east", &journey);
    let other = format!("{NAME}-{}", workload::START);
    let ready = async |status: &str| -> Result<()> {
        let condition = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        pods.patch_status(&other, &PatchParams::default(), &Patch::Strategic(condition)).await?;
        Ok(())
    };
    ready("False").await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::NotReady, "does not stop before this is over")?;
    // The other pod failed a moment too late for that: the slice is patched, by an agent that has ended since.
    patch_set(clusters, "east", &journey, json!({"replicas": 1})).await?;
    let ended = journey.carry_out_within(clusters.agent("east"), Verb::Release, SHORT).await;
    unknown(ended, &format!("waits for pod {other} first"))?;
    let pod = pods.get(&pod_name(&journey)).await?;
    ensure!(pod.metadata.deletion_timestamp.is_none(), "the ordinal's pod is being deleted");
    ready("True").await?;
    step(clusters, &mut journey, Verb::Release).await?;
    clear(clusters, "unwell").await
}

/// H32: a pod that no node runs does not hold the claim it names, so the release looks for it.
pub(crate) async fn unscheduled(clusters: &Clusters) -> Result<()> {
    let mut journey = before(clusters, "unscheduled", 2, Verb::Release).await?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "successor"},
        "spec": {
            "schedulerName": "nobody",
            "containers": [{"name": "one", "image": workload::IMAGE}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name(&journey)}}],
        },
    });
    workload::create(&clusters.agent("east"), &journey.namespace, &pod).await?;
    let ended = journey.carry_out(clusters.agent("east"), Verb::Release).await;
    refused(ended, RefusalCode::Conflict, "Pod successor uses claim")?;
    let claim = claims(clusters, "east", &journey).get(&claim_name(&journey)).await?;
    ensure!(claim.metadata.deletion_timestamp.is_none(), "the claim is being deleted");
    pods(clusters, "east", &journey).delete("successor", &DeleteParams::default()).await?;
    step(clusters, &mut journey, Verb::Release).await?;
    clear(clusters, "unscheduled").await
}
