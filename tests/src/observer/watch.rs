//! The observer's eyes: five watches for each cluster, kept in stores, and the deletions among their events.
//!
//! A deletion is judged by itself, against I7: a claim or a volume of the workload may go only while the volume's
//! reclaim policy is `Retain`. The event carries the volume's last state; a claim's volume is looked up in the store
//! and, where the store does not clear it, read again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{reflector, reflector::Store};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::rules::{Invariant, Violation};
use super::view::{Cluster, identity, patiently};
use super::{Shared, Subject};

/// First lists must be there by then.
const FIRST_LIST: Duration = Duration::from_secs(20);
/// Changes that wait to be judged; a watch waits when it is full.
const CHANGES: usize = 1024;

/// What happened in one cluster.
pub(super) struct Changes {
    cluster: usize,
    receiver: mpsc::Receiver<Change>,
}

enum Change {
    Any,
    ClaimDeleted(Box<PersistentVolumeClaim>),
    VolumeDeleted(Box<PersistentVolume>),
}

pub(super) async fn spawn(
    tasks: &mut JoinSet<Result<()>>,
    index: usize,
    name: String,
    client: Client,
    subject: &Subject,
) -> Result<(Cluster, Changes)> {
    let (sender, receiver) = mpsc::channel(CHANGES);
    let namespace = subject.namespace.as_str();
    let inside = || client.clone();
    let cluster = Cluster {
        name,
        sets: follow(tasks, Api::namespaced(inside(), namespace), &sender, |_| Change::Any),
        pods: follow(tasks, Api::namespaced(inside(), namespace), &sender, |_| Change::Any),
        claims: follow(tasks, Api::namespaced(inside(), namespace), &sender, |claim| {
            Change::ClaimDeleted(Box::new(PersistentVolumeClaim::clone(claim)))
        }),
        volumes: follow(tasks, Api::all(inside()), &sender, |volume| {
            Change::VolumeDeleted(Box::new(PersistentVolume::clone(volume)))
        }),
        attachments: follow(tasks, Api::all(inside()), &sender, |_| Change::Any),
        client,
    };
    let first = async {
        cluster.sets.wait_until_ready().await?;
        cluster.pods.wait_until_ready().await?;
        cluster.claims.wait_until_ready().await?;
        cluster.volumes.wait_until_ready().await?;
        cluster.attachments.wait_until_ready().await
    };
    let first = tokio::time::timeout(FIRST_LIST, first).await;
    first.with_context(|| format!("cluster {} did not answer a list", cluster.name))??;
    Ok((cluster, Changes { cluster: index, receiver }))
}

fn follow<K>(
    tasks: &mut JoinSet<Result<()>>,
    api: Api<K>,
    changes: &mpsc::Sender<Change>,
    deleted: impl Fn(&K) -> Change + Send + 'static,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let changes = changes.clone();
    tasks.spawn(async move {
        let events = watcher::watcher(api, watcher::Config::default());
        let mut events = reflector(writer, events).boxed();
        loop {
            let change = match events.try_next().await {
                Ok(Some(Event::Delete(object))) => deleted(&object),
                Ok(Some(_)) => Change::Any,
                // The watch repairs itself; while it does, nothing is seen and nothing is called.
                Err(_) => continue,
                Ok(None) => bail!("a watch of {} ended", K::kind(&())),
            };
            if changes.send(change).await.is_err() {
                return Ok(());
            }
        }
    });
    store
}

pub(super) async fn judge_deletions(shared: Arc<Shared>, mut changes: Changes) -> Result<()> {
    while let Some(change) = changes.receiver.recv().await {
        let cluster = &shared.clusters[changes.cluster];
        match change {
            Change::Any => {}
            Change::ClaimDeleted(claim) => claim_deleted(&shared, cluster, &claim).await?,
            Change::VolumeDeleted(volume) => {
                if identity(&shared.subject, &volume).is_some() && !retained(&volume) {
                    let evidence = format!("deleted in {} while not Retain", cluster.name);
                    let subject = format!("volume {}", volume.name_any());
                    shared.call(Violation::new(Invariant::I7, subject, evidence)).await;
                }
            }
        }
        shared.changed.notify_one();
    }
    Ok(())
}

async fn claim_deleted(shared: &Shared, cluster: &Cluster, claim: &PersistentVolumeClaim) -> Result<()> {
    let uid = claim.uid();
    let of_claim = |volume: &PersistentVolume| {
        uid.is_some() && volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref()?.uid.clone()) == uid
    };
    let Some(volume) = cluster.volumes.state().into_iter().find(|volume| of_claim(volume)) else {
        return Ok(());
    };
    if identity(&shared.subject, &volume).is_none() || retained(&volume) {
        return Ok(());
    }
    let volumes = Api::<PersistentVolume>::all(cluster.client.clone());
    let name = volume.name_any();
    let now = patiently(|| async { Ok(volumes.get_opt(&name).await?) }).await?;
    if !now.as_ref().is_some_and(retained) {
        let evidence = format!("deleted in {} while its volume was not Retain", cluster.name);
        let subject = format!("claim {}", claim.name_any());
        shared.call(Violation::new(Invariant::I7, subject, evidence)).await;
    }
    Ok(())
}

fn retained(volume: &PersistentVolume) -> bool {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy == Some("Retain")
}
