//! The guard on real API servers: who is refused, what is let through, who sees that it is gone, and when it goes.
//!
//! Intruders write with the test's own identity, an administrator's, or as a controller of the cluster; each must be
//! refused by the API server with a message of Ferry's that says who tried. What is to be let through is a dry run. That
//! the cluster's own controllers and the kubelets get on with their work under a guard, every other case of these tests
//! shows: each workload in them is guarded. What people see of it is asked end to end.

use anyhow::{Context, Result, ensure};
use ferry_agent::{inventory::Inventory, watch::Revival};
use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, TypeMeta},
};
use serde_json::{Value, json};

use crate::{
    cases::{SCRIPT, clear, planned, step},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    workload::{self, NAME, Shape, until},
};

/// The identity under which the cluster's autoscaler scales.
const AUTOSCALER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
/// The identity under which the pods of Deployments are made.
const REPLICAS: &str = "system:serviceaccount:kube-system:replicaset-controller";

/// A workload whose last ordinal is released: its replica is nowhere, its PersistentVolume Released.
async fn between(clusters: &Clusters, namespace: &str) -> Result<Journey> {
    let mut journey = planned(clusters, namespace, Shape { replicas: 2, parallel: false }).await?;
    for verb in SCRIPT.into_iter().take_while(|verb| *verb != Verb::Adopt) {
        if verb == Verb::HoldSource {
            let last = ordinals(journey.slices["east"]).end - 1;
            journey.begin(last);
        }
        step(clusters, &mut journey, verb).await?;
    }
    Ok(journey)
}

/// The write was refused by the guard, which says who tried.
fn refused<T>(what: &str, who: &str, answer: kube::Result<T>) -> Result<()> {
    let Err(kube::Error::Api(status)) = answer.map(drop) else {
        anyhow::bail!("{what} was not refused");
    };
    println!("{what}: {}", status.message);
    let is_ours = status.message.contains("Ferry guards StatefulSet") && status.message.contains(who);
    ensure!(status.code == 403 && is_ours, "{what} was told something else: {status:?}");
    Ok(())
}

fn by(manager: &str) -> PatchParams {
    PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() }
}

fn forced() -> DeleteParams {
    DeleteParams::default().grace_period(0)
}

/// Every intruder is refused, by name; labels, finalizers and status pass; afterwards the migration goes on to its end.
pub(crate) async fn intruders(clusters: &Clusters) -> Result<()> {
    let mut journey = between(clusters, "intruders").await?;
    on_the_set(clusters, &journey).await?;
    on_disks(clusters, &journey).await?;
    on_pods(clusters, &journey).await?;
    on_what_is_kept(clusters, &journey).await?;
    passing(clusters, &journey).await?;
    for verb in [Verb::Adopt, Verb::Retire, Verb::SettleSource, Verb::SettleTarget] {
        step(clusters, &mut journey, verb).await?;
    }
    clear(clusters, "intruders").await
}

async fn on_the_set(clusters: &Clusters, journey: &Journey) -> Result<()> {
    for cluster in ["east", "west"] {
        let who = "admin";
        let sets: Api<StatefulSet> = Api::namespaced(clusters.client(cluster), &journey.namespace);
        let scale = Patch::Merge(json!({"spec": {"replicas": 5}}));
        refused("scale", who, sets.patch_scale(NAME, &by("kubectl-scale"), &scale).await)?;
        refused("patch of replicas", who, sets.patch(NAME, &by("kubectl-edit"), &scale).await)?;
        let autoscaler: Api<StatefulSet> =
            Api::namespaced(clusters.acting_as(cluster, AUTOSCALER)?, &journey.namespace);
        let mut wanted = autoscaler.get_scale(NAME).await?;
        wanted.spec.get_or_insert_default().replicas = Some(5);
        let scaled = autoscaler.replace_scale(NAME, &PostParams::default(), &wanted).await;
        refused("autoscaler", AUTOSCALER, scaled)?;
        let template = json!({"spec": {"template": {"metadata": {"annotations": {"edited": "yes"}}}}});
        refused(
            "edit of the template",
            who,
            sets.patch(NAME, &by("kubectl-edit"), &Patch::Merge(template)).await,
        )?;
        let chart = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": NAME}, "spec": {"replicas": 3},
        });
        refused(
            "helm upgrade",
            who,
            sets.patch(NAME, &PatchParams::apply("helm").force(), &Patch::Apply(chart)).await,
        )?;
        let marks = json!({"metadata": {"annotations": {"ferry.dev/epoch": "99"}}});
        refused("a forged epoch", who, sets.patch(NAME, &by("kubectl"), &Patch::Merge(marks)).await)?;
        refused("deletion of the set", who, sets.delete(NAME, &DeleteParams::default()).await)?;
        let all = sets.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
        refused("deletion of all sets", who, all)?;
        let agents: Api<StatefulSet> = Api::namespaced(clusters.agent(cluster), &journey.namespace);
        let past = json!({"metadata": {"annotations": {"ferry.dev/epoch": "0"}}});
        let past = agents.patch(NAME, &by("ferry-agent"), &Patch::Merge(past)).await;
        refused("a lower epoch, by the agent itself", "ferry-agent", past)?;
    }
    Ok(())
}

async fn on_disks(clusters: &Clusters, journey: &Journey) -> Result<()> {
    let released = journey.volumes[&journey.ordinal][0].volume.clone().context("no manifest")?;
    let (remaining, gone) = (ordinals(journey.slices["east"]).start, journey.ordinal);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let claim = format!("data-{NAME}-{remaining}");
    let tombstone = format!("data-{NAME}-{gone}");
    refused("deletion of a claim", "admin", claims.delete(&claim, &DeleteParams::default()).await)?;
    refused("deletion of a tombstone", "admin", claims.delete(&tombstone, &DeleteParams::default()).await)?;
    let all = claims.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    refused("deletion of all claims", "admin", all)?;
    let unmarked = Patch::Merge(json!({"metadata": {"labels": {"ferry.dev/tombstone": null}}}));
    refused(
        "a tombstone without its label",
        "admin",
        claims.patch(&tombstone, &by("kubectl"), &unmarked).await,
    )?;
    let owned = Patch::Merge(json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": "c0ffee"},
    ]}}));
    refused("an owner of a claim", "admin", claims.patch(&claim, &by("kubectl"), &owned).await)?;

    let volumes: Api<PersistentVolume> = Api::all(clusters.client("east"));
    let unclaimed = Patch::Merge(json!({"spec": {"claimRef": null}}));
    let cleared = volumes.patch(&released.name, &by("kubectl-patch"), &unclaimed).await;
    refused("clearing a Released volume's claimRef", "admin", cleared)?;
    let delete = Patch::Merge(json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}}));
    refused(
        "the policy Delete",
        "admin",
        volumes.patch(&released.name, &by("kubectl-patch"), &delete).await,
    )?;
    refused("deletion of a volume", "admin", volumes.delete(&released.name, &DeleteParams::default()).await)?;
    for cluster in ["east", "west"] {
        let mut volume: Value = serde_json::from_str(&released.json)?;
        volume["metadata"] = json!({"name": "another"});
        volume["spec"]["claimRef"] = Value::Null;
        let made = rehearsed::<PersistentVolume>(clusters.client(cluster), None, &volume).await;
        refused("another volume of a guarded disk", "admin", made)?;
        volume["spec"]["csi"]["volumeHandle"] = "empty".into();
        volume["spec"]["claimRef"] = json!({"namespace": journey.namespace, "name": tombstone});
        let made = rehearsed::<PersistentVolume>(clusters.client(cluster), None, &volume).await;
        refused("an empty volume for a guarded claim", "admin", made)?;
    }
    Ok(())
}

async fn on_pods(clusters: &Clusters, journey: &Journey) -> Result<()> {
    let remaining = ordinals(journey.slices["east"]).start;
    let pods: Api<Pod> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let name = format!("{NAME}-{remaining}");
    refused("deletion of a pod by force", "admin", pods.delete(&name, &forced()).await)?;
    let all = pods.delete_collection(&forced(), &ListParams::default()).await;
    refused("deletion of all pods by force", "admin", all)?;
    // By hand: the client's own eviction does not send the options of the deletion.
    let evict = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
        "deleteOptions": {"gracePeriodSeconds": 0},
    });
    let evict = http::Request::post(format!("/api/v1/namespaces/{}/pods/{name}/eviction", journey.namespace))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(evict.to_string().into_bytes())?;
    refused("eviction by force", "admin", clusters.client("east").request::<Value>(evict).await)?;
    let stray = |name: &str, claim: &str| {
        json!({
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "stray", "image": workload::IMAGE}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
            },
        })
    };
    let claim = format!("data-{NAME}-{remaining}");
    for (client, who) in
        [(clusters.client("east"), "admin"), (clusters.acting_as("east", REPLICAS)?, REPLICAS)]
    {
        let made = rehearsed::<Pod>(client, Some(&journey.namespace), &stray("stray", &claim)).await;
        refused("a stray pod that uses a guarded claim", who, made)?;
    }
    let west = clusters.client("west");
    let named = format!("{NAME}-{}", journey.ordinal);
    let made = rehearsed::<Pod>(west, Some(&journey.namespace), &stray(&named, "its-own")).await;
    refused("a stray pod of a guarded name", "admin", made)
}

async fn on_what_is_kept(clusters: &Clusters, journey: &Journey) -> Result<()> {
    let east = clusters.client("east");
    let maps: Api<ConfigMap> = Api::namespaced(east.clone(), &journey.namespace);
    let (epochs, guard) = (format!("ferry-epochs-{NAME}"), format!("ferry-guard-{NAME}"));
    refused("deletion of the epochs", "admin", maps.delete(&epochs, &DeleteParams::default()).await)?;
    refused("deletion of the guard's list", "admin", maps.delete(&guard, &DeleteParams::default()).await)?;
    let empty = Patch::Merge(json!({"data": {"claims": "\n"}}));
    refused("a shorter list", "admin", maps.patch(&guard, &by("kubectl-edit"), &empty).await)?;
    let agents: Api<ConfigMap> = Api::namespaced(clusters.agent("east"), &journey.namespace);
    let mut kept = agents.get(&epochs).await?;
    kept.data.get_or_insert_default().insert(journey.ordinal.to_string(), "1".to_owned());
    let lowered = agents.replace(&epochs, &PostParams::default(), &kept).await;
    refused("a lower epoch kept, by the agent itself", "ferry-agent", lowered)?;
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(east.clone(), &journey.namespace);
    let more = Patch::Merge(json!({"spec": {"maxUnavailable": 2}}));
    refused("a larger budget", "admin", budgets.patch(NAME, &by("kubectl-edit"), &more).await)?;
    let namespaces: Api<Namespace> = Api::all(east);
    let gone = namespaces.delete(&journey.namespace, &DeleteParams::default()).await;
    refused("deletion of the namespace", "admin", gone)
}

/// What the guard has no business with.
async fn passing(clusters: &Clusters, journey: &Journey) -> Result<()> {
    let east = clusters.client("east");
    let dry = |manager| PatchParams { dry_run: true, ..by(manager) };
    let label = Patch::Merge(
        json!({"metadata": {"labels": {"team": "storage"}, "finalizers": ["example.com/held"]}}),
    );
    let sets: Api<StatefulSet> = Api::namespaced(east.clone(), &journey.namespace);
    sets.patch(NAME, &dry("kubectl"), &label).await.context("a label of the set")?;
    let same = Patch::Merge(json!({"spec": {"replicas": journey.slices["east"].replicas}}));
    sets.patch_scale(NAME, &dry("kubectl"), &same).await.context("the scale that it has")?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(east.clone(), &journey.namespace);
    let remaining = ordinals(journey.slices["east"]).start;
    claims
        .patch(&format!("data-{NAME}-{remaining}"), &dry("kubectl"), &label)
        .await
        .context("a claim's label")?;
    let pods: Api<Pod> = Api::namespaced(east.clone(), &journey.namespace);
    let plain = DeleteParams { dry_run: true, ..DeleteParams::default() };
    pods.delete(&format!("{NAME}-{remaining}"), &plain).await.context("a pod's deletion in peace")?;
    let settings = json!({"metadata": {"name": "another"}, "data": {"a": "b"}});
    rehearsed::<ConfigMap>(east.clone(), Some(&journey.namespace), &settings)
        .await
        .context("another ConfigMap")?;
    let other = json!({
        "metadata": {"name": "data-other-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    });
    rehearsed::<PersistentVolumeClaim>(east, Some(&journey.namespace), &other)
        .await
        .context("another claim")?;
    Ok(())
}

/// A dry run of a creation: what admission says of it is all that counts.
async fn rehearsed<T>(client: Client, namespace: Option<&str>, object: &Value) -> kube::Result<DynamicObject>
where
    T: kube::Resource<DynamicType = ()>,
{
    let kind = ApiResource::erase::<T>(&());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let mut object: DynamicObject =
        serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
    object.types = Some(TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() });
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await
}

/// The agent sees that its guard was taken away or changed, and by whom where that can be known; the next hold puts it
/// up again; a guard that Ferry itself takes away is no fault.
pub(crate) async fn watched(clusters: &Clusters) -> Result<()> {
    let mut journey = planned(clusters, "watched", Shape { replicas: 2, parallel: true }).await?;
    let inventory = Inventory::follow(&clusters.agent("east"), &Revival::new());
    let faults = || -> Vec<String> {
        let faults = inventory.report().0.guard_faults.into_iter();
        let ours =
            faults.filter(|of| of.workload.as_ref().is_some_and(|of| of.namespace == journey.namespace));
        ours.map(|fault| fault.message).collect()
    };
    let said = async |words: &str| {
        until(&format!("a fault that says {words:?}"), async || {
            Ok(faults().iter().any(|fault| fault.contains(words)).then_some(()))
        })
        .await
    };
    let well = async || until("no fault", async || Ok(faults().is_empty().then_some(()))).await;
    let mut steps = journey.clone();
    for verb in [Verb::PrepareSource, Verb::PrepareTarget] {
        step(clusters, &mut steps, verb).await?;
    }
    steps.begin(ordinals(steps.slices["east"]).end - 1);
    let east = clusters.client("east");
    workload::unguard(&east, &journey.namespace).await?;
    said("Binding ferry-guard.watched.db was deleted").await?;
    step(clusters, &mut steps, Verb::HoldSource).await?;
    well().await?;

    let policies: Api<ValidatingAdmissionPolicy> = Api::all(east.clone());
    let name = format!("ferry-guard.{}.{NAME}", journey.namespace);
    let weak = Patch::Merge(json!({"spec": {"failurePolicy": "Ignore"}}));
    policies.patch(&name, &by("kubectl-edit"), &weak).await?;
    said("Policy ferry-guard.watched.db was changed by field manager kubectl-edit").await?;
    step(clusters, &mut steps, Verb::HoldSource).await?;
    well().await?;
    let policy = policies.get(&name).await?.spec.and_then(|spec| spec.failure_policy);
    ensure!(policy.as_deref() == Some("Fail"), "the policy is {policy:?}");

    for verb in [Verb::UnprepareTarget, Verb::UnprepareSource] {
        step(clusters, &mut steps, verb).await?;
    }
    ensure!(policies.get_opt(&name).await?.is_none(), "the policy is still there");
    ensure!(faults().is_empty(), "{:?}", faults());
    journey.accepted = steps.accepted;
    clear(clusters, "watched").await
}

/// The guard of a target goes when the whole workload is there, that of a source only when its end is accepted: until
/// then nothing makes a set of that name anew.
pub(crate) async fn ended(clusters: &Clusters) -> Result<()> {
    let mut journey = planned(clusters, "guard-ended", Shape { replicas: 1, parallel: false }).await?;
    for verb in SCRIPT {
        if verb == Verb::HoldSource {
            let last = ordinals(journey.slices["east"]).end - 1;
            journey.begin(last);
        }
        step(clusters, &mut journey, verb).await?;
    }
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(clusters.client("west"));
    let name = format!("ferry-guard.{}.{NAME}", journey.namespace);
    ensure!(bindings.get_opt(&name).await?.is_none(), "the target is guarded still");
    let sets: Api<StatefulSet> = Api::namespaced(clusters.client("east"), &journey.namespace);
    let mut set = serde_json::to_value(sets.get(NAME).await?)?;
    set["metadata"] = json!({"name": NAME});
    step(clusters, &mut journey, Verb::Finish).await?;
    let anew = rehearsed::<StatefulSet>(clusters.client("east"), Some(&journey.namespace), &set).await;
    refused("the set made anew by a sync", "admin", anew)?;
    step(clusters, &mut journey, Verb::Accept).await?;
    let maps: Api<ConfigMap> = Api::namespaced(clusters.client("east"), &journey.namespace);
    ensure!(maps.get_opt(&format!("ferry-guard-{NAME}")).await?.is_none(), "the list is still there");
    until("the guard to be enforced no more", async || {
        let made = rehearsed::<StatefulSet>(clusters.client("east"), Some(&journey.namespace), &set).await;
        Ok(made.is_ok().then_some(()))
    })
    .await?;
    clear(clusters, "guard-ended").await
}
