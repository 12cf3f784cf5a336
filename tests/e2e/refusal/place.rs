//! Faults of what the target has to offer: another array (K6), classes and zones (K7), quotas, limits and room (K8).
//!
//! West is made small for a moment: its nodes are cordoned, its namespace has a quota, its class says nothing of east's
//! zones. What concerns the whole cluster is undone whatever the plan said. Where a mapping settles the fault, the plan
//! is asked again with it and must be accepted.

use anyhow::{Context as _, Result};
use ferry_tests::world::DRIVER;
use serde_json::json;

use super::scene::{NAME, Scene, workload, workload_with_disks};
use crate::stage::Stage;

/// The label of zones.
const ZONE: &str = "topology.kubernetes.io/zone";

/// An admin says that west's driver reaches another array.
pub(super) async fn k6(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k6").await?;
    scene.available(workload_with_disks(&["data"])).await?;
    let cli = stage.ferry.cli();
    cli.run(&["storage", "domain", "set", "west", DRIVER, "another-array"]).await?.success()?;
    let refused = scene.refused(&["K6-domain-differs"]).await;
    cli.run(&["storage", "domain", "unset", "west", DRIVER]).await?.success()?;
    refused?;
    scene.accepted().await?;
    scene.strike().await
}

/// A class that only east has: not mapped, mapped to nothing, mapped; and a disk that stays in its zone.
pub(super) async fn k7(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k7").await?;
    let class = scene.namespace.clone();
    let special = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": class},
        "provisioner": DRIVER,
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    let mut set = workload_with_disks(&["data"]);
    set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = class.as_str().into();
    scene.create(scene.east()?, &[special]).await?;
    scene.available(set).await?;
    scene.refused(&["K7-class-missing"]).await?;
    scene
        .refused_with(&["--storage-class", &format!("{class}=nowhere")], &["K7-mapped-class-missing"])
        .await?;
    let mapped = format!("{class}=array");
    scene.accepted_with(&["--storage-class", &mapped], &[("K7-template-class", "warn")]).await?;
    let refused = k7_zone(&scene, &mapped).await;
    scene.west()?.kubectl(&["annotate", "storageclass", "array", "ferry.dev/topology-"]).await?;
    refused?;
    scene.kubectl(&["delete", "storageclass", &class]).await?;
    scene.strike().await
}

async fn k7_zone(scene: &Scene<'_>, mapped: &str) -> Result<()> {
    let claim = scene.get(&format!("pvc/data-{NAME}-0")).await?;
    let volume = claim["spec"]["volumeName"].as_str().context("an unbound claim")?;
    scene.kubectl(&["label", "pv", volume, &format!("{ZONE}=east-a")]).await?;
    scene.refused_with(&["--storage-class", mapped], &["K7-topology"]).await?;
    let zones = format!("ferry.dev/topology={ZONE}=east-a:kubernetes.io/os=linux");
    scene.west()?.kubectl(&["annotate", "storageclass", "array", &zones]).await?;
    scene.accepted_with(&["--storage-class", mapped], &[]).await
}

/// No node that takes a pod; then a namespace without room for a claim, and with a least size for it.
pub(super) async fn k8(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k8").await?;
    scene.available(workload_with_disks(&["data"])).await?;
    let west = scene.west()?;
    let mut refused = Ok(());
    for node in west.nodes() {
        refused = refused.and(west.kubectl(&["cordon", node.name()]).await.map(drop));
    }
    if refused.is_ok() {
        refused = scene.refused(&["K8-no-node"]).await;
    }
    for node in west.nodes() {
        west.kubectl(&["uncordon", node.name()]).await?;
    }
    refused?;
    scene.in_west(json!({})).await?;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
        "spec": {"hard": {"persistentvolumeclaims": "0"}},
    });
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "large"},
        "spec": {"limits": [{"type": "PersistentVolumeClaim", "min": {"storage": "16Mi"}}]},
    });
    scene.create(west, &[quota, limits]).await?;
    scene.refused(&["K8-limit-range", "K8-quota"]).await?;
    scene.strike().await?;
    k8_some(stage).await
}

/// Room for one of two replicas that want to be apart, since the other node is cordoned.
async fn k8_some(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k8-some").await?;
    let mut set = workload();
    set["spec"]["replicas"] = 2.into();
    set["spec"]["template"]["spec"]["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": NAME}}},
    ]}});
    scene.available(set).await?;
    let west = scene.west()?;
    let node = west.nodes().first().context("no node")?.name().to_owned();
    west.kubectl(&["cordon", &node]).await?;
    let expected = [("K8-room-for-some", "warn"), ("K14-anti-affinity", "note")];
    let accepted = scene.accepted_with(&[], &expected).await;
    west.kubectl(&["uncordon", &node]).await?;
    accepted?;
    scene.strike().await
}
