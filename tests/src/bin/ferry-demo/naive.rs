//! The sabotage: a migration as a script in the manner of a blog would do it, detach not awaited.
//!
//! For each ordinal it keeps the disk (`Retain`), makes the volume and claim in west, shrinks east and grows west, and
//! waits only for the pod in west. The writer may still hold the disk in east while west is told to take it: the
//! observer must see that, and the array must refuse.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::{Wait, World};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

/// Time for a pod in west to become Ready.
const READY: Duration = Duration::from_secs(60);

pub(crate) async fn migrate(world: &World, etcd: &Etcd) -> Result<()> {
    let (east, west) = (world.cluster("east")?.client().await?, world.cluster("west")?.client().await?);
    etcd.create_empty(&west).await?;
    for ordinal in etcd.ordinals().rev() {
        move_one(&east, &west, etcd, ordinal).await?;
    }
    Ok(())
}

async fn move_one(east: &Client, west: &Client, etcd: &Etcd, ordinal: u32) -> Result<()> {
    let namespace = etcd.namespace.as_str();
    let claim_name = format!("{}-{}", etcd.templates[0], etcd.pod(ordinal));
    let claims = Api::<PersistentVolumeClaim>::namespaced(east.clone(), namespace);
    let claim = claims.get(&claim_name).await?;
    let volume_name = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).context("unbound")?;
    let volumes = Api::<PersistentVolume>::all(east.clone());
    let merge = PatchParams::default();
    let retain = json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}});
    let volume = volumes.patch(&volume_name, &merge, &Patch::Merge(retain)).await?;

    let shrink = json!({"spec": {"replicas": ordinal - etcd.start}});
    let sets = |client: &Client| Api::<StatefulSet>::namespaced(client.clone(), namespace);
    sets(east).patch(&etcd.name, &merge, &Patch::Merge(shrink)).await?;
    claims.delete(&claim_name, &DeleteParams::default()).await?;

    let mut copy = PersistentVolume { spec: volume.spec, ..PersistentVolume::default() };
    copy.metadata.name = Some(volume_name);
    if let Some(reference) = copy.spec.as_mut().and_then(|spec| spec.claim_ref.as_mut()) {
        (reference.uid, reference.resource_version) = (None, None);
    }
    Api::<PersistentVolume>::all(west.clone()).create(&PostParams::default(), &copy).await?;
    let mut copy = PersistentVolumeClaim { spec: claim.spec, ..PersistentVolumeClaim::default() };
    copy.metadata.name = Some(claim_name);
    let there = Api::<PersistentVolumeClaim>::namespaced(west.clone(), namespace);
    there.create(&PostParams::default(), &copy).await?;
    let grow = json!({"spec": {
        "ordinals": {"start": ordinal},
        "replicas": etcd.start + etcd.replicas - ordinal,
    }});
    sets(west).patch(&etcd.name, &merge, &Patch::Merge(grow)).await?;

    let pods = Api::<Pod>::namespaced(west.clone(), namespace);
    Wait::new(format!("{} to run in west", etcd.pod(ordinal)), READY)
        .until(async || {
            let status = pods.get(&etcd.pod(ordinal)).await?.status.context("no status")?;
            Ok((status.phase.as_deref() == Some("Running")).then_some(()))
        })
        .await
}
