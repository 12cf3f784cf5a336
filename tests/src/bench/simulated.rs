//! What a kubelet would write, for nodes that kwok simulates.
//!
//! kwok says that a node is Ready and that its pods run. A handoff also asks for the node's boot, and for a Lease that
//! is renewed after the pod's end: both are added here, the Lease often, so that what is measured on simulated nodes is
//! what orchestration costs and not the beat of a kubelet. Disks are said to be mounted without being attached.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::CSINode;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::task::JoinSet;

use super::workload::{NODES, Nodes};
use crate::world::{Cluster, DRIVER};

/// How often a simulated node's Lease is renewed.
const RENEWAL: Duration = Duration::from_millis(50);

/// Labels every node by its kind and completes the simulated ones; their Leases are renewed as long as `tasks` lives.
///
/// # Errors
/// The API server refuses.
pub async fn complete(cluster: &Cluster, tasks: &mut JoinSet<()>) -> Result<()> {
    let client = cluster.client().await?;
    let nodes = Api::<Node>::all(client.clone());
    for node in cluster.nodes() {
        let kind = if node.is_simulated() { Nodes::Simulated } else { Nodes::Real };
        let label = json!({"metadata": {"labels": {NODES: kind.label()}}});
        let object = nodes.patch(node.name(), &PatchParams::default(), &Patch::Merge(label)).await?;
        if kind == Nodes::Real {
            continue;
        }
        let boot = json!({"status": {"nodeInfo": {"bootID": format!("boot-of-{}", node.name())}}});
        nodes.patch_status(node.name(), &PatchParams::default(), &Patch::Merge(boot)).await?;
        let driver: CSINode = serde_json::from_value(json!({
            "metadata": {"name": node.name(), "ownerReferences": [{
                "apiVersion": "v1", "kind": "Node", "name": node.name(), "uid": object.metadata.uid,
            }]},
            "spec": {"drivers": [{"name": DRIVER, "nodeID": node.name(), "topologyKeys": []}]},
        }))?;
        Api::<CSINode>::all(client.clone()).create(&PostParams::default(), &driver).await?;
        tasks.spawn(renew(client.clone(), node.name().to_owned()));
    }
    Ok(())
}

async fn renew(client: Client, node: String) {
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    loop {
        let renewal = json!({"spec": {"renewTime": format!("{:.6}", jiff::Timestamp::now())}});
        // kwok writes the same object: a lost race is made up for by the next renewal.
        let _ = leases.patch(&node, &PatchParams::default(), &Patch::Merge(renewal)).await;
        tokio::time::sleep(RENEWAL).await;
    }
}
