//! Reads what the checks need of a source, each thing once.
//!
//! The order follows from what names what: the StatefulSet names the claims, the claims the PersistentVolumes, these
//! and the pods the nodes. What does not depend on each other is read at the same time. Objects of the namespace that
//! cannot concern the workload are dropped page by page. If the StatefulSet is missing there is nothing else to read.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, future::try_join_all, stream, try_join};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        autoscaling::v2::HorizontalPodAutoscaler,
        coordination::v1::Lease,
        core::v1::{
            ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
        storage::v1::{CSIDriver, VolumeAttachment},
    },
    jiff::Timestamp,
};
use kube::{
    Resource, ResourceExt,
    api::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use super::{
    dry_run,
    facts::{Server, Source},
    k04_collision, k14_leader, k15_nodes,
    network::Network,
    read::{self, Optional, Seen},
    shape::Shape,
    template::References,
};
use crate::{context::Context, executor::api, limits, outcome::Stop};

/// The API server of this cluster.
pub(crate) async fn server(ctx: &Context, namespace: &str) -> Result<Server, Stop> {
    let version = async { ctx.read("the API server's version", || ctx.client.apiserver_version()).await };
    let (version, ordinals, has_policies) =
        try_join!(version, dry_run::ordinals(ctx, namespace), api::is_served(ctx, api::POLICY))?;
    Ok(Server { version: version.git_version, ordinals, has_policies })
}

/// Everything about the command's workload; nothing if the StatefulSet does not exist.
pub(crate) async fn read(ctx: &Context, target_cidrs: &[String]) -> Result<Option<Source>, Stop> {
    let namespace = ctx.command.namespace.as_str();
    let name = ctx.command.workload.as_str();
    let Some(set) = read::get::<StatefulSet>(ctx, namespace, name).await? else {
        return Ok(None);
    };
    let shape = Shape::of(&set.object);
    let own: BTreeSet<_> = shape.claims().map(|(_, claim)| claim).collect();
    let (server, pods, claims, other_sets, budgets, autoscalers, services, drivers) = try_join!(
        server(ctx, namespace),
        read::list::<Pod>(ctx, namespace, |_| true),
        read::list::<PersistentVolumeClaim>(ctx, namespace, |claim| own.contains(&claim.name_any())),
        read::list::<StatefulSet>(ctx, namespace, |other| other.name_any() != name),
        read::list::<PodDisruptionBudget>(ctx, namespace, |_| true),
        read::list::<HorizontalPodAutoscaler>(ctx, namespace, |_| true),
        read::list::<Service>(ctx, namespace, |_| true),
        read::list_global::<CSIDriver>(ctx, |_| true),
    )?;
    let claims = by_name(claims);
    let named = claims.values().filter_map(|claim| claim.object.spec.as_ref()?.volume_name.clone());
    let named: BTreeSet<String> = named.filter(|name| !name.is_empty()).collect();
    let (named_objects, volumes, attachments, scaled_objects, snapshots, around) = try_join!(
        references(ctx, namespace, &set.object),
        volumes(ctx, &named),
        read::list_global::<VolumeAttachment>(ctx, |attachment| {
            attachment.spec.source.persistent_volume_name.as_ref().is_some_and(|name| named.contains(name))
        }),
        optional(ctx, namespace, ("keda.sh", "v1alpha1", "ScaledObject"), "scaledobjects"),
        optional(ctx, namespace, ("snapshot.storage.k8s.io", "v1", "VolumeSnapshot"), "volumesnapshots"),
        around(ctx, &set.object, target_cidrs),
    )?;
    let (config_maps, service_account, secrets) = named_objects;
    let (network, leases, elections, endpoint_slices) = around;
    let mut facts = Source {
        now: Timestamp::now(),
        cluster: ctx.cluster.clone(),
        server,
        set,
        shape,
        pods,
        other_sets: objects(other_sets),
        claims,
        volumes,
        attachments: objects(attachments),
        nodes: BTreeMap::new(),
        drivers: objects(drivers).into_iter().map(|driver| (driver.name_any(), driver)).collect(),
        budgets,
        autoscalers: objects(autoscalers),
        scaled_objects,
        snapshots,
        services,
        config_maps,
        service_account,
        secrets,
        leases,
        elections,
        endpoint_slices,
        network,
    };
    let nodes: BTreeSet<String> = k15_nodes::concerned(&facts).into_iter().map(str::to_owned).collect();
    let nodes = read::list_global::<Node>(ctx, |node| nodes.contains(&node.name_any())).await?;
    facts.nodes = objects(nodes).into_iter().map(|node| (node.name_any(), node)).collect();
    Ok(Some(facts))
}

type Named = (
    BTreeMap<String, Seen<ConfigMap>>,
    Option<Seen<ServiceAccount>>,
    BTreeMap<String, Optional<(String, String)>>,
);

async fn references(ctx: &Context, namespace: &str, set: &StatefulSet) -> Result<Named, Stop> {
    let Some(pod) = set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()) else {
        return Ok(Default::default());
    };
    let references = References::of(pod);
    let maps = references.config_maps.iter().map(|name| read::get::<ConfigMap>(ctx, namespace, name));
    let maps = try_join_all(maps).await?.into_iter().flatten().collect();
    let account = match &references.service_account {
        Some(name) => read::get::<ServiceAccount>(ctx, namespace, name).await?,
        None => None,
    };
    let mut secrets = BTreeMap::new();
    for name in &references.secrets {
        secrets.insert(name.clone(), read::annotations::<Secret>(ctx, namespace, name).await?);
    }
    Ok((by_name(maps), account, secrets))
}

type Around = (Network, Optional<Lease>, Vec<ConfigMap>, Vec<EndpointSlice>);

/// What is around the workload: its network, and what its replicas may agree through.
async fn around(ctx: &Context, set: &StatefulSet, target_cidrs: &[String]) -> Result<Around, Stop> {
    let namespace = ctx.command.namespace.as_str();
    let governing = set.spec.as_ref().and_then(|spec| spec.service_name.as_deref()).unwrap_or_default();
    let (network, leases, elections, slices) = try_join!(
        Network::read(ctx, target_cidrs),
        read::permitted::<Lease>(ctx, namespace),
        read::list::<ConfigMap>(ctx, namespace, k14_leader::concerns),
        read::list::<EndpointSlice>(ctx, namespace, |slice| {
            !governing.is_empty() && k04_collision::service_of(slice) == Some(governing)
        }),
    )?;
    Ok((network, leases.map(|lease| lease.object), objects(elections), objects(slices)))
}

async fn volumes(
    ctx: &Context,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, Seen<PersistentVolume>>, Stop> {
    let found: Vec<_> = stream::iter(names.iter().cloned())
        .map(|name| async move { read::get_global::<PersistentVolume>(ctx, &name).await })
        .buffer_unordered(limits::READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(by_name(found.into_iter().flatten().collect()))
}

async fn optional(
    ctx: &Context,
    namespace: &str,
    (group, version, kind): (&str, &str, &str),
    plural: &str,
) -> Result<Optional<Value>, Stop> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    read::list_optional(ctx, namespace, &resource).await
}

/// Objects under their names.
fn by_name<T: Resource>(all: Vec<Seen<T>>) -> BTreeMap<String, Seen<T>> {
    all.into_iter().map(|seen| (seen.object.name_any(), seen)).collect()
}

/// The typed values alone.
pub(crate) fn objects<T>(all: Vec<Seen<T>>) -> Vec<T> {
    all.into_iter().map(|seen| seen.object).collect()
}
