//! The hazard that only a real node shows (handoff.md, H11): its power is cut while it holds the disk.
//!
//! Everything that Kubernetes shows then says that the disk is free: a person marks the node out of service and forces
//! the pod away, and the attach-detach controller detaches by force. All of it is said by others than the node. So the
//! migration pauses and names the node, nothing of the ordinal appears anywhere else, and once the node has booted and
//! has said itself that it uses the disk no more, the migration goes on without anybody.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::app::crossing::ready_pods;
use ferry_tests::app::disk;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::Wait;
use futures::FutureExt as _;
use kube::ResourceExt;

use crate::Case;
use crate::control::{names, newest, rests};
use crate::kill::Hold;
use crate::stage::Stage;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("hazards::h11_a_node_without_power_starts_nothing_elsewhere", |stage| power(stage).boxed_local()),
    ("hazards::h11_an_attested_node_is_waited_for_no_more", |stage| attested(stage).boxed_local()),
];

/// Time for controllers to do what they do by themselves.
const LIMIT: Duration = Duration::from_secs(90);
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
const NONCE: &str = "/data/nonce-of-h11";

async fn power(stage: &Stage) -> Result<()> {
    let Dark { etcd, id, node } = dark(stage, "power").await?;
    let (east, west) = (stage.world.cluster("east")?, stage.world.cluster("west")?);
    lit(stage, &node).await?;
    nothing_in(west, &etcd).await?;
    east.kubectl(&["taint", "node", &node, &format!("{OUT_OF_SERVICE}-")]).await?;
    rests(stage, &id, "completed").await?;
    kept(stage, &etcd).await
}

async fn attested(stage: &Stage) -> Result<()> {
    let Dark { etcd, id, node } = dark(stage, "attested").await?;
    let (east, west) = (stage.world.cluster("east")?, stage.world.cluster("west")?);
    let another = ["attest", "fenced", "east-9", "--reason", "another one"];
    let said = stage.ferry.cli().run(&another).await?;
    ensure!(said.code == 3 && said.stderr.contains(&node), "it says {said:?}");
    nothing_in(west, &etcd).await?;
    stage.ferry.cli().run(&["attest", "fenced", &node, "--reason", "its power is cut"]).await?.success()?;
    rests(stage, &id, "completed").await?;
    kept(stage, &etcd).await?;
    let audit = stage.ferry.cli().run(&["audit", "-o", "json"]).await?.success()?;
    ensure!(audit.stdout.contains("attest-fenced") && audit.stdout.contains("its power is cut"), "{audit}");
    lit(stage, &node).await?;
    east.kubectl(&["taint", "node", &node, &format!("{OUT_OF_SERVICE}-")]).await.map(drop)
}

/// A migration that waits for the word of a node without power.
struct Dark {
    etcd: Etcd,
    id: String,
    node: String,
}

/// The power of the node is cut while it holds the disk, everything is forced away, and the migration has paused.
async fn dark(stage: &Stage, namespace: &str) -> Result<Dark> {
    let etcd = Etcd { namespace: namespace.into(), name: "single".into(), replicas: 1, ..Etcd::default() };
    let (east, west) = (stage.world.cluster("east")?, stage.world.cluster("west")?);
    etcd.create(&east.client().await?).await?;
    let pods = ready_pods(&stage.world, "east", &etcd).await?;
    let pod = pods.get(&0).context("no pod")?;
    disk::write(&pod.uid().context("no uid")?, NONCE, "kept")?;
    let name = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).context("no node")?;
    let node = east.node(&name)?;

    let hold = Hold::set(stage.ferry.hold_dir().join("step-5"))?;
    let migrate =
        ["migrate", "-n", &etcd.namespace, "statefulset/single", "--to", "west", "--yes", "--detach"];
    stage.ferry.cli().run(&migrate).await?.success()?;
    hold.reached(stage).await?;
    let id = newest(stage, &etcd).await?;
    node.cut_power()?;
    hold.lift()?;

    forced_away(stage, &etcd, &name).await?;
    let paused = rests(stage, &id, "paused").await?;
    let message = paused["message"].as_str().unwrap_or_default();
    ensure!(message.contains(&name) && message.contains(OUT_OF_SERVICE), "it says {message:?}");
    nothing_in(west, &etcd).await?;
    Ok(Dark { etcd, id, node: name })
}

/// The node boots.
async fn lit(stage: &Stage, name: &str) -> Result<()> {
    let east = stage.world.cluster("east")?;
    let node = east.node(name)?;
    node.boot().await?;
    east.wait_node_ready(&node).await
}

/// The replica runs in west on the disk that was written before the power cut.
async fn kept(stage: &Stage, etcd: &Etcd) -> Result<()> {
    let arrived = ready_pods(&stage.world, "west", etcd).await?;
    let uid = arrived.get(&0).and_then(ResourceExt::uid).context("no pod in west")?;
    let found = disk::read(&uid, NONCE)?;
    ensure!(found == "kept", "the disk has {found:?}, expected what was written before the power cut");
    Ok(())
}

/// What a person does who believes that the node is dead, until nothing in the cluster shows the disk in use. The guard
/// keeps that person from deleting the pod by force; the cluster's own collector of pods does it by the taint.
async fn forced_away(stage: &Stage, etcd: &Etcd, node: &str) -> Result<()> {
    let east = stage.world.cluster("east")?;
    let pod = etcd.pod(0);
    let ending = ["-n", &etcd.namespace, "get", "pod", &pod, "-o", "jsonpath={.metadata.deletionTimestamp}"];
    Wait::new("the pod to be told to end", LIMIT)
        .until(async || Ok((!east.kubectl(&ending).await?.is_empty()).then_some(())))
        .await?;
    east.kubectl(&["taint", "node", node, &format!("{OUT_OF_SERVICE}=nodeshutdown:NoExecute")]).await?;
    let force = ["-n", &etcd.namespace, "delete", "pod", &pod, "--force", "--grace-period=0"];
    let refused = east.kubectl(&[&force[..], &["--ignore-not-found"]].concat()).await;
    if let Err(refused) = refused {
        ensure!(format!("{refused:#}").contains("may not delete its pods by force"), "{refused:#}");
    }
    let claim = format!("{}-{pod}", etcd.templates[0]);
    let volume = ["-n", &etcd.namespace, "get", "pvc", &claim, "-o", "jsonpath={.spec.volumeName}"];
    let volume = east.kubectl(&volume).await?;
    let attached =
        ["get", "volumeattachments", "-o", "jsonpath={.items[*].spec.source.persistentVolumeName}"];
    Wait::new("the disk to be detached by force", LIMIT)
        .until(async || {
            let attached = east.kubectl(&attached).await?;
            Ok((!attached.split(' ').any(|name| name == volume)).then_some(()))
        })
        .await
}

/// The ordinal has neither pod nor disk in `cluster`: a tombstone is all that stands under its name.
async fn nothing_in(cluster: &ferry_tests::world::Cluster, etcd: &Etcd) -> Result<()> {
    let pods = cluster.kubectl(&names(etcd, "pods")).await?;
    ensure!(pods.is_empty(), "{} runs {pods}", cluster.name());
    let claims = ["-n", &etcd.namespace, "get", "pvc", "-o", "jsonpath={.items[*].spec.volumeName}"];
    let claims = cluster.kubectl(&claims).await?;
    ensure!(claims == "ferry.dev/TOMBSTONE", "the claims of {} name {claims:?}", cluster.name());
    let reserved = ["get", "pv", "-o", "jsonpath={.items[*].spec.claimRef.namespace}"];
    let reserved = cluster.kubectl(&reserved).await?;
    let adopted = reserved.split(' ').any(|namespace| namespace == etcd.namespace);
    ensure!(!adopted, "{} has a volume of {}", cluster.name(), etcd.namespace);
    Ok(())
}
