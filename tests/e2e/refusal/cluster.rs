//! Faults of a cluster as such: its API server (K1), its CSI drivers (K5), its nodes (K15).
//!
//! What is done to a cluster here concerns all of its workloads, so it is chosen to be harmless for them and is undone
//! whatever the plan said: the out-of-service taint comes with `NoSchedule`, which evicts nobody, and nothing runs in the
//! target while its CSIDriver object is away. A node is called silent by hand, with its kubelet stopped, for Kubernetes
//! would take most of a minute to say so.

use anyhow::{Context as _, Result};
use ferry_tests::world::{Cluster, DRIVER};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::scene::{NAME, NOWHERE, Scene, create, workload, workload_with_disks};
use crate::stage::Stage;

/// An admission policy does to `spec.ordinals` what an API server before 1.27 did.
pub(super) async fn k1(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k1").await?;
    scene.available(workload()).await?;
    let drop_it = r#"[JSONPatch{op: "remove", path: "/spec/ordinals"}]"#;
    create(scene.east()?, None, &policy(&scene.namespace, "has(object.spec.ordinals)", drop_it)).await?;
    let refused = async {
        scene
            .until("the policy to be enforced", async |scene| {
                let mut probe = workload();
                probe["metadata"]["name"] = "probe".into();
                probe["spec"]["ordinals"] = json!({"start": 1});
                let dry_run = ["-n", &scene.namespace, "create", "--dry-run=server", "-f", "-", "-o=json"];
                let found = scene.east()?.kubectl_with_input(&dry_run, &probe.to_string()).await?;
                Ok(serde_json::from_str::<Value>(&found)?["spec"].get("ordinals").is_none())
            })
            .await?;
        scene.refused(&["K1-ordinals-dropped"]).await
    };
    let refused = refused.await;
    lift(scene.east()?, &scene.namespace).await?;
    refused?;
    scene.strike().await
}

/// A mutating admission policy for the StatefulSets of one namespace, and its binding.
pub(super) fn policy(namespace: &str, condition: &str, patch: &str) -> [Value; 2] {
    let api = "admissionregistration.k8s.io/v1";
    [
        json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["apps"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["statefulsets"],
                }]},
                "matchConditions": [{"name": "concerned", "expression": condition}],
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
            },
        }),
        json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "matchResources": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                },
            },
        }),
    ]
}

/// Takes a [`policy`] away.
pub(super) async fn lift(cluster: &Cluster, namespace: &str) -> Result<()> {
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        cluster.kubectl(&["delete", kind, namespace]).await?;
    }
    Ok(())
}

/// The driver missing in west, then there without attachments; and a volume that no driver serves.
pub(super) async fn k5(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k5").await?;
    scene.available(workload_with_disks(&["data"])).await?;
    let west = scene.west()?;
    let printed = west.kubectl(&["get", "csidriver", DRIVER, "-o", "json"]).await?;
    let mut driver: Value = serde_json::from_str(&printed)?;
    let whole = driver.as_object_mut().context("no object")?;
    whole.insert("metadata".to_owned(), json!({"name": DRIVER}));
    let mut without_attach = driver.clone();
    without_attach["spec"]["attachRequired"] = false.into();
    let refused = async {
        west.kubectl(&["delete", "csidriver", DRIVER]).await?;
        scene.refused(&["K5-driver-missing"]).await?;
        create(west, None, &[without_attach]).await?;
        scene.refused(&["K5-attach-not-required"]).await
    };
    let refused = refused.await;
    west.kubectl(&["delete", "csidriver", DRIVER, "--ignore-not-found"]).await?;
    create(west, None, &[driver]).await?;
    refused?;
    scene.accepted().await?;
    scene.strike().await?;
    k5_in_tree(stage).await
}

/// An NFS volume bound by hand. No node is asked to mount it, so the replica is not available either.
async fn k5_in_tree(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k5-in-tree").await?;
    let claim = format!("data-{NAME}-0");
    let volume = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": scene.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "32Mi"},
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": scene.namespace, "name": claim},
            "nfs": {"server": "192.0.2.1", "path": "/"},
        },
    });
    let mut set = workload_with_disks(&["data"]);
    set["spec"]["template"]["spec"]["nodeSelector"] = json!({NOWHERE: "true"});
    set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "".into();
    set["spec"]["volumeClaimTemplates"][0]["spec"]["volumeName"] = scene.namespace.as_str().into();
    scene.create(scene.east()?, &[volume, set]).await?;
    scene
        .until("the claim to be bound", async |scene| {
            let bound = scene.get(&format!("pvc/{claim}")).await?["status"]["phase"] == "Bound";
            Ok(bound && scene.get(&format!("pod/{NAME}-0")).await.is_ok())
        })
        .await?;
    // A label that no node of west has either.
    let codes = ["K3-not-all-available", "K3-replica-unavailable", "K5-in-tree", "K8-no-node"];
    scene.refused(&codes).await?;
    scene.kubectl(&["delete", "pv", &scene.namespace, "--wait=false"]).await?;
    scene.strike().await
}

/// The node that holds the replica: given up by a person, then silent.
pub(super) async fn k15(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k15").await?;
    scene.available(workload()).await?;
    let pod = scene.get(&format!("pod/{NAME}-0")).await?;
    let name = pod["spec"]["nodeName"].as_str().context("a pod on no node")?.to_owned();
    // With NoSchedule the taint says what it says and evicts nobody.
    let taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoSchedule";
    scene.kubectl(&["taint", "node", &name, taint]).await?;
    let refused = scene.refused(&["K15-out-of-service"]).await;
    scene.kubectl(&["taint", "node", &name, &format!("{taint}-")]).await?;
    refused?;

    let node = scene.east()?.node(&name)?;
    let kubelet = node.process("kubelet");
    kubelet.signal(Signal::SIGSTOP)?;
    let refused = silent(&scene, &name).await;
    kubelet.signal(Signal::SIGCONT)?;
    refused?;
    scene.east()?.wait_node_ready(&node).await?;
    scene.strike().await
}

/// Says of the node what Kubernetes would say after its grace period, while its kubelet is stopped.
async fn silent(scene: &Scene<'_>, node: &str) -> Result<()> {
    let said = json!({"status": {"conditions": [{
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
    }]}});
    let patch = ["patch", "node", node, "--subresource=status", "-p", &said.to_string()];
    scene.kubectl(&patch).await?;
    scene.refused(&["K15-node-not-ready"]).await
}
