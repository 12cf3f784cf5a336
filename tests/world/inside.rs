//! What a command finds inside a world: clusters whose pods run, reach each other, keep their disks through a
//! move between nodes and a power cut, and are found by name.
//!
//! One world is brought up for all of it, since that costs more than the cases do; so they build on each other,
//! in the order of [`run`], and an error names the case.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use ferry_tests::{
    build::TOOL_IMAGE,
    world::{Cluster, Node, STORAGE_CLASS, Wait, World},
};
use k8s_openapi::api::{
    core::v1::{Node as NodeObject, Pod},
    storage::v1::VolumeAttachment,
};
use kube::{Api, api::ListParams};
use serde_json::json;

/// For a pod to be Ready, a volume to be detached, a node to come back.
const LIMIT: Duration = Duration::from_secs(90);
const NAMESPACE: &str = "default";
const PORT: u16 = 8000;

/// Runs the cases named `cases` in the world around this process.
pub(crate) fn run(cases: &str) -> Result<()> {
    let world = World::from_env()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match cases {
            "real" => real(&world).await,
            "simulated" => simulated(&world).await,
            other => bail!("no cases are named {other}"),
        }
    })
}

async fn real(world: &World) -> Result<()> {
    nodes_know_their_pods_ranges(world).await.context("nodes")?;
    names_resolve_in_their_own_cluster(world).await.context("DNS")?;
    let (east, west) = (world.cluster("east")?, world.cluster("west")?);
    create(east, "db", "east-1", true).await.context("a pod with a disk")?;
    create(west, "web", "west-1", false).await.context("a pod without a disk")?;
    pods_reach_each_other_over_clusters(east, west).await.context("flat network")?;
    a_disk_follows_its_pod_to_another_node(east).await.context("disk")?;
    an_api_server_comes_back_and_pods_have_not_noticed(west).await.context("API server")?;
    a_node_boots_after_a_power_cut(east).await.context("power cut")
}

async fn simulated(world: &World) -> Result<()> {
    for cluster in world.clusters() {
        let pods: Api<Pod> = Api::namespaced(cluster.client().await?, NAMESPACE);
        let pod = pod(&format!("{}-kwok-1", cluster.name()), "imagined", false);
        pods.create(&kube::api::PostParams::default(), &serde_json::from_value(pod)?).await?;
        let address = ready(cluster, "imagined").await?;
        ensure!(is_in_range(address, cluster), "{address} is not in {}", cluster.facts().pod_cidr);
    }
    Ok(())
}

async fn nodes_know_their_pods_ranges(world: &World) -> Result<()> {
    for cluster in world.clusters() {
        let nodes: Api<NodeObject> = Api::all(cluster.client().await?);
        let found = nodes.list(&ListParams::default()).await?.items.len();
        ensure!(found == 2, "{} has {found} nodes", cluster.name());
        for node in cluster.nodes() {
            let range = nodes.get(node.name()).await?.spec.and_then(|spec| spec.pod_cidr);
            let prefix = cluster.facts().pod_cidr.trim_end_matches("0.0/16").to_owned();
            ensure!(
                range.as_ref().is_some_and(|range| range.starts_with(&prefix)),
                "{}: {range:?}",
                node.name()
            );
        }
    }
    Ok(())
}

async fn names_resolve_in_their_own_cluster(world: &World) -> Result<()> {
    for cluster in world.clusters() {
        let first = cluster.facts().service_cidr.replace("0.0/16", "0.1");
        let found = cluster.resolve("kubernetes.default.svc.cluster.local").await?;
        ensure!(found == [first.parse::<IpAddr>()?], "{}: {found:?}, expected {first}", cluster.name());
    }
    Ok(())
}

async fn pods_reach_each_other_over_clusters(east: &Cluster, west: &Cluster) -> Result<()> {
    let address = ready(east, "db").await?;
    // By name from its own cluster's DNS, by address from a pod of the other cluster.
    let name = format!("db.set.{NAMESPACE}.svc.cluster.local");
    Wait::new(format!("{name} to resolve to {address}"), LIMIT)
        .until(async || Ok((east.resolve(&name).await? == [address]).then_some(())))
        .await?;
    ensure!(west.resolve(&name).await.is_err(), "{name} resolves in the wrong cluster");
    let url = format!("http://{address}:{PORT}/name");
    let page = west.kubectl(&["exec", "web", "--", "wget", "-q", "-O", "-", &url]).await?;
    ensure!(page.trim() == "db", "expected the page of db, found {page:?}");
    Ok(())
}

async fn a_disk_follows_its_pod_to_another_node(east: &Cluster) -> Result<()> {
    east.kubectl(&["exec", "db", "--", "sh", "-c", "echo kept >/data/note && sync"]).await?;
    east.kubectl(&["delete", "pod", "db", "--wait"]).await?;
    let attachments: Api<VolumeAttachment> = Api::all(east.client().await?);
    Wait::new("the volume to be detached", LIMIT)
        .on(&east.process("csi-attacher"))
        .on(&east.process("test-csi"))
        .until(async || Ok(attachments.list(&ListParams::default()).await?.items.is_empty().then_some(())))
        .await?;
    create(east, "db", "east-2", true).await?;
    expect_note(east).await
}

async fn expect_note(cluster: &Cluster) -> Result<()> {
    let note = cluster.kubectl(&["exec", "db", "--", "cat", "/data/note"]).await?;
    ensure!(note.trim() == "kept", "the disk has {note:?}, expected what was written before");
    Ok(())
}

async fn an_api_server_comes_back_and_pods_have_not_noticed(west: &Cluster) -> Result<()> {
    west.process("kube-apiserver").restart()?;
    west.wait_api().await?;
    ensure!(restarts(west, "web").await? == 0, "the pod was restarted with the API server");
    ready(west, "web").await?;
    Ok(())
}

async fn a_node_boots_after_a_power_cut(east: &Cluster) -> Result<()> {
    let node: Node = east.node("east-2")?;
    node.cut_power()?;
    ensure!(node.pid().is_none() && !node.process("kubelet").is_alive(), "something on the node lives on");
    node.boot().await?;
    east.wait_node_ready(&node).await?;
    Wait::new("the pod to run again", LIMIT)
        .on(&node.process("kubelet"))
        .until(async || Ok((restarts(east, "db").await? > 0).then_some(())))
        .await?;
    ready(east, "db").await?;
    expect_note(east).await
}

async fn restarts(cluster: &Cluster, name: &str) -> Result<i32> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, NAMESPACE);
    let status = pods.get(name).await?.status.context("no status")?;
    Ok(status.container_statuses.into_iter().flatten().map(|container| container.restart_count).sum())
}

/// A pod on `node` that serves its name by HTTP, with a disk of the array if asked for.
fn pod(node: &str, name: &str, with_disk: bool) -> serde_json::Value {
    let script =
        format!("mkdir /tmp/www && echo {name} >/tmp/www/name && exec httpd -f -p {PORT} -h /tmp/www");
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"set": "set"}},
        "spec": {
            "hostname": name,
            "subdomain": "set",
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "main",
                "image": TOOL_IMAGE,
                "command": ["sh", "-c", script],
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            }],
        },
    });
    if with_disk {
        pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    }
    pod
}

async fn create(cluster: &Cluster, name: &str, node: &str, with_disk: bool) -> Result<IpAddr> {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "set"},
        "spec": {"clusterIP": "None", "selector": {"set": "set"}, "ports": [{"port": PORT}]},
    });
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": STORAGE_CLASS,
            "resources": {"requests": {"storage": "32Mi"}},
        },
    });
    let mut items = vec![service, pod(node, name, with_disk)];
    items.extend(with_disk.then_some(claim));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    cluster.kubectl_with_input(&["apply", "-f", "-"], &list.to_string()).await?;
    let address = ready(cluster, name).await?;
    ensure!(is_in_range(address, cluster), "{address} is not in {}", cluster.facts().pod_cidr);
    Ok(address)
}

/// Waits until the pod is Ready; the result is its address.
async fn ready(cluster: &Cluster, name: &str) -> Result<IpAddr> {
    let pods: Api<Pod> = Api::namespaced(cluster.client().await?, NAMESPACE);
    Wait::new(format!("pod {name} of {} to be Ready", cluster.name()), LIMIT)
        .until(async || {
            let status = pods.get(name).await?.status.context("no status yet")?;
            let ready = status
                .conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
            let address = status.pod_ip.as_deref().map(str::parse).transpose()?;
            Ok(address.filter(|_| ready))
        })
        .await
}

fn is_in_range(address: IpAddr, cluster: &Cluster) -> bool {
    address.to_string().starts_with(cluster.facts().pod_cidr.trim_end_matches("0.0/16"))
}
