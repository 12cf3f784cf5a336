//! Faults of the workload itself: K2, K3, K10 to K13.
//!
//! Each fault is the real thing and as small as it can be: a template that was changed under OnDelete, a claim whose
//! deletion its pod holds up, an autoscaler. Scenes that do not touch each other are set at the same time; each has a
//! namespace of its own. What a person can settle without removing it (writers that are paused) is settled in the end,
//! and the plan must then be accepted.

use anyhow::Result;
use serde_json::{Value, json};

use super::scene::{self, NAME, NOWHERE, Scene, budget, workload, workload_with_disks};
use crate::stage::Stage;

/// A rollout that waits for a person, and one that stands still at a partition.
pub(super) async fn k2(stage: &Stage) -> Result<()> {
    let on_delete = async {
        let scene = Scene::set(stage, "k2-on-delete").await?;
        let mut set = workload();
        set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
        scene.available(set).await?;
        let changed = json!({"spec": {"template": {"metadata": {"annotations": {"changed": "yes"}}}}});
        scene.kubectl(&["patch", "statefulset", NAME, "-p", &changed.to_string()]).await?;
        scene
            .until("a new revision", async |scene| {
                let status = scene.get(&format!("statefulset/{NAME}")).await?["status"].clone();
                Ok(status["updateRevision"] != status["currentRevision"])
            })
            .await?;
        scene.refused(&["K2-rollout"]).await?;
        scene.strike().await
    };
    let partition = async {
        let scene = Scene::set(stage, "k2-partition").await?;
        let mut set = workload();
        set["spec"]["updateStrategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
        scene.available(set).await?;
        scene.refused(&["K2-partition"]).await?;
        scene.strike().await
    };
    tokio::try_join!(on_delete, partition).map(drop)
}

/// A replica that never becomes ready, and one that is not there because its predecessor is not.
pub(super) async fn k3(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k3").await?;
    let mut set = workload();
    set["spec"]["replicas"] = 2.into();
    set["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] =
        json!({"tcpSocket": {"port": 9}, "periodSeconds": 1});
    scene.create(scene.east()?, &[set]).await?;
    scene
        .until("a replica that runs and is not ready", async |scene| {
            Ok(scene.get(&format!("pod/{NAME}-0")).await?["status"]["phase"] == "Running")
        })
        .await?;
    scene.refused(&["K3-not-all-available", "K3-replica-missing", "K3-replica-unavailable"]).await?;
    scene.strike().await
}

/// A claim that is being deleted while its pod holds it, and one that goes with an object of somebody else.
pub(super) async fn k10(stage: &Stage) -> Result<()> {
    let claim = format!("data-{NAME}-0");
    let deleted = async {
        let scene = Scene::set(stage, "k10-deleted").await?;
        scene.available(workload_with_disks(&["data"])).await?;
        scene.kubectl(&["delete", "pvc", &claim, "--wait=false"]).await?;
        scene.refused(&["K10-being-deleted"]).await?;
        scene.strike().await
    };
    let owned = async {
        let scene = Scene::set(stage, "k10-owned").await?;
        scene.available(workload_with_disks(&["data"])).await?;
        scene.kubectl(&["create", "configmap", "owner"]).await?;
        let owner = reference(&scene, false).await?;
        let patch = json!({"metadata": {"ownerReferences": [owner]}});
        scene.kubectl(&["patch", "pvc", &claim, "--type=merge", "-p", &patch.to_string()]).await?;
        scene.refused(&["K10-claim-owned"]).await?;
        scene.strike().await
    };
    tokio::try_join!(deleted, owned).map(drop)
}

/// An owner reference to the ConfigMap `owner`.
async fn reference(scene: &Scene<'_>, controller: bool) -> Result<Value> {
    let owner = scene.get("configmap/owner").await?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
        "controller": controller,
    }))
}

/// Two budgets, and one that allows nothing.
pub(super) async fn k11(stage: &Stage) -> Result<()> {
    let two = async {
        let scene = Scene::set(stage, "k11-two").await?;
        scene.create(scene.east()?, &[budget("first", 1), budget("second", 1)]).await?;
        scene.available(workload()).await?;
        scene.refused(&["K11-several-budgets"]).await?;
        scene.strike().await
    };
    let zero = async {
        let scene = Scene::set(stage, "k11-zero").await?;
        scene.create(scene.east()?, &[budget("none", 0)]).await?;
        scene.available(workload()).await?;
        scene.refused(&["K11-no-budget"]).await?;
        scene.strike().await
    };
    tokio::try_join!(two, zero).map(drop)
}

/// Everything in a pod that is not a disk of its own.
pub(super) async fn k12(stage: &Stage) -> Result<()> {
    tokio::try_join!(k12_template(stage), k12_read_only_path(stage), k12_used_twice(stage)).map(drop)
}

async fn k12_template(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k12-template").await?;
    let mut set = workload();
    set["spec"]["template"]["spec"]["volumes"] = json!([
        {"name": "socket", "hostPath": {"path": "/run"}},
        {"name": "cache", "emptyDir": {}},
    ]);
    scene.available(set).await?;
    scene.refused(&["K12-empty-dir", "K12-host-path"]).await?;
    scene.strike().await
}

/// A claim bound by hand to a node's own folder, which many may read.
async fn k12_read_only_path(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k12-path").await?;
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": scene.namespace},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "capacity": {"storage": "32Mi"},
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": scene.namespace, "name": format!("data-{NAME}-0")},
            "hostPath": {"path": "/tmp"},
        },
    });
    scene.create(scene.east()?, &[volume]).await?;
    let mut set = workload_with_disks(&["data"]);
    let claim = &mut set["spec"]["volumeClaimTemplates"][0]["spec"];
    claim["accessModes"] = json!(["ReadOnlyMany"]);
    claim["storageClassName"] = "".into();
    claim["volumeName"] = scene.namespace.as_str().into();
    scene.available(set).await?;
    scene.refused(&["K12-access-mode", "K12-host-path"]).await?;
    scene.kubectl(&["delete", "pv", &scene.namespace, "--wait=false"]).await?;
    scene.strike().await
}

/// A pod of somebody else that names the claim; it need not run to hold it.
async fn k12_used_twice(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k12-shared").await?;
    scene.available(workload_with_disks(&["data"])).await?;
    let backup = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "backup"},
        "spec": {
            "nodeSelector": {NOWHERE: "true"},
            "containers": [{"name": "idle", "image": "ferry.test/pause:1"}],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{NAME}-0")}},
            ],
        },
    });
    scene.create(scene.east()?, &[backup]).await?;
    scene.refused(&["K12-claim-shared"]).await?;
    scene.strike().await
}

/// An autoscaler, a Helm release, a GitOps tool and an operator at once.
pub(super) async fn k13(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k13").await?;
    scene.kubectl(&["create", "configmap", "owner"]).await?;
    let mut set = scene::workload();
    set["metadata"]["labels"] =
        json!({"app.kubernetes.io/managed-by": "Helm", "kustomize.toolkit.fluxcd.io/name": "shop"});
    set["metadata"]["annotations"] = json!({
        "meta.helm.sh/release-name": "shop",
        "argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet",
    });
    set["metadata"]["ownerReferences"] = json!([reference(&scene, true).await?]);
    scene.available(set).await?;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME},
            "maxReplicas": 3,
        },
    });
    scene.create(scene.east()?, &[autoscaler]).await?;
    let writers = ["K13-argocd", "K13-autoscaler", "K13-flux-kustomize", "K13-helm", "K13-owner"];
    scene.refused(&writers).await?;
    scene.kubectl(&["annotate", "statefulset", NAME, "ferry.dev/writers-paused=true"]).await?;
    scene.accepted().await?;
    scene.strike().await
}
