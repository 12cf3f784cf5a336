//! Reads what the checks need of a target, each thing once, and asks its admission.
//!
//! What is looked for follows from the source's description alone: names of the slice, names and handles of its
//! volumes, the dependencies, what must be there already. The description comes over the wire: what cannot be read of
//! it is refused, never guessed. A namespace that does not exist makes most lists empty by itself; admission cannot
//! be asked then.

use std::collections::{BTreeMap, BTreeSet};

use ferry_proto::agent::v1::{Description, InspectTarget, Manifest};
use futures::{future::try_join_all, try_join};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{
        ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
    },
    discovery::v1::EndpointSlice,
    node::v1::RuntimeClass,
    policy::v1::PodDisruptionBudget,
    scheduling::v1::PriorityClass,
    storage::v1::{CSIDriver, CSINode},
};
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    dry_run,
    facts::{DryRun, Target},
    k04_collision, k05_csi,
    network::{self, Network},
    place::Place,
    read::{self, Exists, Seen},
    read_source::{objects, server},
    shape::Shape,
    template::DEFAULT_ACCOUNT,
};
use crate::{context::Context, executor::epochs::PREFIX, outcome::Stop};

/// Where the API server is asked about `ordinals` while the workload's namespace does not exist.
const OTHER_NAMESPACE: &str = "default";

/// The described volumes, read from their manifests.
pub(crate) fn described_volumes(description: &Description) -> Result<Vec<PersistentVolume>, Stop> {
    let volumes = description.ordinals.iter().flat_map(|ordinal| &ordinal.volumes);
    volumes.filter_map(|volume| volume.volume.as_ref()).map(parsed).collect()
}

/// Everything about the described workload in this cluster.
pub(crate) async fn read(
    ctx: &Context,
    command: InspectTarget,
    volumes: &[PersistentVolume],
) -> Result<Target, Stop> {
    let place = Place::read(ctx, &command).await?;
    let description = command.description.ok_or_else(|| unreadable("no description"))?;
    let manifest = description.stateful_set.as_ref().ok_or_else(|| unreadable("no StatefulSet"))?;
    let described: StatefulSet = parsed(manifest)?;
    let described_json: Value = parsed(manifest)?;
    let shape = Shape::of(&described);
    let namespace = ctx.command.namespace.as_str();
    let namespace_exists = read::get_global::<Namespace>(ctx, namespace).await?.is_some();
    let epochs = format!("{PREFIX}{}", shape.name);
    let (set, epochs, here, clusterwide) = try_join!(
        read::get::<StatefulSet>(ctx, namespace, &shape.name),
        read::get::<ConfigMap>(ctx, namespace, &epochs),
        in_namespace(ctx, &shape, &description),
        outside(ctx, volumes),
    )?;
    let (dependencies, required, volume_secrets) =
        try_join!(dependencies(ctx, &description), required(ctx, &description), secrets(ctx, volumes),)?;
    let probed = if namespace_exists { namespace } else { OTHER_NAMESPACE };
    let tried = async { Ok(network::try_listeners(&description.listeners).await) };
    let (server, network, tried) =
        try_join!(server(ctx, probed), Network::read(ctx, &command.source_pod_cidrs), tried)?;
    let mut facts = Target {
        server,
        description,
        described,
        shape,
        moving: command.ordinals,
        known_uids: command.known_uids,
        kept: kept(epochs),
        namespace_exists,
        set,
        pods: here.0,
        claims: here.1,
        endpoint_slices: here.2,
        budgets: here.3,
        volumes: clusterwide.0,
        drivers: clusterwide.1,
        csi_nodes: clusterwide.2,
        dependencies,
        required,
        volume_secrets,
        pod_dry_run: DryRun::NotRun("the namespace does not exist".to_owned()),
        set_dry_run: DryRun::NotRun("the namespace does not exist".to_owned()),
        place,
        network,
        pod_cidrs: command.pod_cidrs,
        tried,
    };
    if facts.namespace_exists {
        facts.pod_dry_run = pod_dry_run(ctx, &facts).await?;
        facts.set_dry_run = set_dry_run(ctx, &facts, &described_json).await?;
    }
    Ok(facts)
}

fn kept(epochs: Option<Seen<ConfigMap>>) -> BTreeSet<u32> {
    let data = epochs.and_then(|map| map.object.data).unwrap_or_default();
    data.keys().filter_map(|key| key.parse().ok()).collect()
}

type Here = (Vec<Pod>, Vec<PersistentVolumeClaim>, Vec<EndpointSlice>, Vec<PodDisruptionBudget>);

async fn in_namespace(ctx: &Context, shape: &Shape, description: &Description) -> Result<Here, Stop> {
    let namespace = ctx.command.namespace.as_str();
    let pods: BTreeSet<_> = shape.pods().collect();
    let claims: BTreeSet<_> = shape.claims().map(|(_, name)| name).collect();
    let services: BTreeSet<_> = names_of(description, "Service").collect();
    let (pods, claims, slices, budgets) = try_join!(
        read::list::<Pod>(ctx, namespace, |pod| pods.contains(&pod.name_any())),
        read::list::<PersistentVolumeClaim>(ctx, namespace, |claim| claims.contains(&claim.name_any())),
        read::list::<EndpointSlice>(ctx, namespace, |slice| {
            k04_collision::service_of(slice).is_some_and(|service| services.contains(service))
        }),
        read::list::<PodDisruptionBudget>(ctx, namespace, |_| true),
    )?;
    Ok((objects(pods), objects(claims), objects(slices), objects(budgets)))
}

type Outside = (Vec<PersistentVolume>, BTreeMap<String, CSIDriver>, Vec<CSINode>);

async fn outside(ctx: &Context, volumes: &[PersistentVolume]) -> Result<Outside, Stop> {
    let names: BTreeSet<_> = volumes.iter().map(ResourceExt::name_any).collect();
    let handles: BTreeSet<_> = volumes.iter().filter_map(handle).collect();
    let (volumes, drivers, nodes) = try_join!(
        read::list_global::<PersistentVolume>(ctx, |volume| {
            names.contains(&volume.name_any())
                || handle(volume).is_some_and(|handle| handles.contains(&handle))
        }),
        read::list_global::<CSIDriver>(ctx, |_| true),
        read::list_global::<CSINode>(ctx, |_| true),
    )?;
    let drivers = objects(drivers).into_iter().map(|driver| (driver.name_any(), driver)).collect();
    Ok((objects(volumes), drivers, objects(nodes)))
}

fn handle(volume: &PersistentVolume) -> Option<(String, String)> {
    let csi = volume.spec.as_ref()?.csi.as_ref()?;
    Some((csi.driver.clone(), csi.volume_handle.clone()))
}

fn names_of<'a>(description: &'a Description, kind: &'a str) -> impl Iterator<Item = &'a str> {
    let all = description.dependencies.iter();
    all.filter(move |manifest| manifest.kind == kind).map(|manifest| manifest.name.as_str())
}

async fn dependencies(ctx: &Context, description: &Description) -> Result<Vec<Value>, Stop> {
    let found =
        try_join_all(description.dependencies.iter().map(|manifest| dependency(ctx, manifest))).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn dependency(ctx: &Context, manifest: &Manifest) -> Result<Option<Value>, Stop> {
    let namespace = ctx.command.namespace.as_str();
    let name = manifest.name.as_str();
    match manifest.kind.as_str() {
        "ConfigMap" => Ok(json_of(read::get::<ConfigMap>(ctx, namespace, name).await?)),
        "Service" => Ok(json_of(read::get::<Service>(ctx, namespace, name).await?)),
        "ServiceAccount" => Ok(json_of(read::get::<ServiceAccount>(ctx, namespace, name).await?)),
        "PodDisruptionBudget" => Ok(json_of(read::get::<PodDisruptionBudget>(ctx, namespace, name).await?)),
        other => Err(unreadable(&format!("a dependency of kind {other}"))),
    }
}

fn json_of<T>(seen: Option<Seen<T>>) -> Option<Value> {
    seen.map(|seen| seen.json)
}

async fn required(ctx: &Context, description: &Description) -> Result<BTreeMap<String, Exists>, Stop> {
    let namespace = ctx.command.namespace.as_str();
    let mut found = BTreeMap::new();
    for object in &description.required {
        let exists = match object.split_once('/') {
            Some(("Secret", name)) => read::exists::<Secret>(ctx, namespace, name).await?,
            Some(("PriorityClass", name)) => {
                there(read::get_global::<PriorityClass>(ctx, name).await?.is_some())
            }
            Some(("RuntimeClass", name)) => {
                there(read::get_global::<RuntimeClass>(ctx, name).await?.is_some())
            }
            _ => return Err(unreadable(&format!("a required object {object}"))),
        };
        found.insert(object.clone(), exists);
    }
    Ok(found)
}

async fn secrets(ctx: &Context, volumes: &[PersistentVolume]) -> Result<BTreeMap<String, Exists>, Stop> {
    let named = volumes.iter().filter_map(|volume| volume.spec.as_ref()).flat_map(k05_csi::secrets);
    let named: BTreeSet<String> = named.collect();
    let mut found = BTreeMap::new();
    for secret in named {
        let (namespace, name) = secret.split_once('/').unwrap_or_default();
        let exists = read::exists::<Secret>(ctx, namespace, name).await?;
        found.insert(secret, exists);
    }
    Ok(found)
}

fn there(exists: bool) -> Exists {
    if exists { Exists::Yes } else { Exists::No }
}

async fn pod_dry_run(ctx: &Context, facts: &Target) -> Result<DryRun, Stop> {
    let Some(sample) = facts.description.sample_pod.as_ref() else {
        return Ok(DryRun::NotRun("the source has no pod to try with".to_owned()));
    };
    if facts.pods.iter().any(|pod| pod.name_any() == sample.name) {
        return Ok(DryRun::NotRun(format!("a pod {} is in the target", sample.name)));
    }
    let pod: Value = parsed(sample)?;
    let account = pod.pointer("/spec/serviceAccountName").and_then(Value::as_str).unwrap_or(DEFAULT_ACCOUNT);
    let exists = account == DEFAULT_ACCOUNT
        || read::get::<ServiceAccount>(ctx, &ctx.command.namespace, account).await?.is_some();
    dry_run::pod(ctx, &ctx.command.namespace, &pod, exists).await
}

async fn set_dry_run(ctx: &Context, facts: &Target, described: &Value) -> Result<DryRun, Stop> {
    match &facts.set {
        None => dry_run::set(ctx, &ctx.command.namespace, described).await,
        Some(ours) if facts.set_is_ours() => {
            Ok(DryRun::Accepted { object: ours.json.clone(), caveat: String::new() })
        }
        Some(_) => Ok(DryRun::NotRun("another StatefulSet has the name".to_owned())),
    }
}

fn parsed<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, Stop> {
    serde_json::from_str(&manifest.json)
        .map_err(|error| unreadable(&format!("{}/{}: {error}", manifest.kind, manifest.name)))
}

fn unreadable(what: &str) -> Stop {
    Stop::not_understood(format!(
        "The description of the workload cannot be read: {what}. Use the same version of Ferry in both clusters."
    ))
}
