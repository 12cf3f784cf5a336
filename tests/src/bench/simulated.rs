//! What a kubelet would write, for nodes that kwok simulates.
//!
//! kwok says that a node is Ready and that its pods run. A handoff also asks for the node's boot, and for a Lease that
//! is renewed after the pod's end: both are added here, the Lease whenever a pod of the node ended, so that what is
//! measured on simulated nodes is what orchestration costs and not the beat of a kubelet. Disks are said to be mounted
//! without being attached.

use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::storage::v1::CSINode;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;
use tokio::task::JoinSet;

use super::workload::{NODES, Nodes};
use crate::world::{Cluster, DRIVER};

/// When a simulated node's Lease is renewed, from the end of one of its pods: whoever looked at it after the end sees the
/// next renewal soon.
const RENEWALS: [Duration; 4] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(15),
    Duration::from_millis(30),
];

/// Labels every node by its kind and completes the simulated ones; their Leases are renewed at the end of pods as long
/// as `tasks` lives.
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
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-node-lease");
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut pods = pin!(watcher::watcher(Api::<Pod>::all(client), config));
    while let Some(event) = pods.next().await {
        if !matches!(event, Ok(watcher::Event::Delete(_))) {
            continue;
        }
        for pause in RENEWALS {
            tokio::time::sleep(pause).await;
            let renewal = json!({"spec": {"renewTime": format!("{:.6}", jiff::Timestamp::now())}});
            // kwok writes the same object: a lost race is made up for by the next renewal.
            let _ = leases.patch(&node, &PatchParams::default(), &Patch::Merge(renewal)).await;
        }
    }
}
