//! What is struck, and how it comes back.
//!
//! A blow is SIGKILL and, after a moment without it, a new start: of the controller, an agent, an API server, the etcd
//! of a control plane, a kubelet, an external-attacher. Or a cluster is cut off for half a minute: the links of all its
//! nodes are down, and nothing passes between its agent and the controller. What ends because something else was away
//! (a controller manager without API server) is started again, as the machine it runs on would do.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_tests::ferry::Ferry;
use ferry_tests::world::{Cluster, Process, World};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde::Serialize;

use crate::link::Link;

/// Longest time that a killed process stays away.
const AWAY: Duration = Duration::from_secs(3);
/// How long a cluster is cut off.
const CUT: Duration = Duration::from_secs(30);
/// The parts of a control plane that end by themselves when another is away.
const DEPENDENT: [&str; 7] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "coredns",
    "test-csi",
    "csi-provisioner",
    "csi-attacher",
];

/// What can be struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Controller,
    Agent,
    ApiServer,
    Etcd,
    Kubelet,
    Attacher,
    Link,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Controller,
        Self::Agent,
        Self::ApiServer,
        Self::Etcd,
        Self::Kubelet,
        Self::Attacher,
        Self::Link,
    ];
}

/// One blow: what was struck, where, and for how long it was away.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Blow {
    pub(crate) kind: Kind,
    /// A cluster or a node; empty for the controller.
    pub(crate) target: String,
    pub(crate) away_ms: u64,
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} away for {} ms", self.kind, self.target, self.away_ms)
    }
}

/// Strikes, waits, and puts everything back.
pub(crate) async fn strike(
    world: &World,
    ferry: &Ferry,
    links: &[(String, Link)],
    rng: &mut StdRng,
) -> Result<Blow> {
    let kind = *Kind::ALL.choose(rng).context("no kind of blow")?;
    let (name, link) = links.choose(rng).context("no cluster")?;
    let cluster = world.cluster(name)?;
    let away = AWAY.mul_f64(rng.random_range(0.0..1.0));
    let (process, target) = match kind {
        Kind::Controller => (ferry.controller().clone(), String::new()),
        Kind::Agent => (ferry.agent(name)?.clone(), name.clone()),
        Kind::ApiServer => (cluster.process("kube-apiserver"), name.clone()),
        Kind::Etcd => (cluster.process("etcd"), name.clone()),
        Kind::Attacher => (cluster.process("csi-attacher"), name.clone()),
        Kind::Kubelet => {
            let nodes = cluster.nodes();
            let node = nodes.choose(rng).context("no node")?;
            (node.process("kubelet"), node.name().to_owned())
        }
        Kind::Link => {
            cut(cluster, link).await?;
            return Ok(Blow { kind, target: name.clone(), away_ms: u64::try_from(CUT.as_millis())? });
        }
    };
    process.kill()?;
    tokio::time::sleep(away).await;
    process.start()?;
    repair(cluster).await?;
    Ok(Blow { kind, target, away_ms: u64::try_from(away.as_millis())? })
}

async fn cut(cluster: &Cluster, link: &Link) -> Result<()> {
    link.set(false);
    for node in cluster.nodes() {
        node.set_link(false)?;
    }
    tokio::time::sleep(CUT).await;
    for node in cluster.nodes() {
        node.set_link(true)?;
    }
    link.set(true);
    Ok(())
}

/// Starts again what ended meanwhile.
async fn repair(cluster: &Cluster) -> Result<()> {
    if cluster.process("kube-apiserver").is_alive() {
        cluster.wait_api().await?;
    }
    for process in DEPENDENT.map(|name| cluster.process(name)) {
        revive(&process)?;
    }
    cluster.wait_api().await
}

fn revive(process: &Process) -> Result<()> {
    let was_started = process.spec().is_ok();
    if was_started && !process.is_alive() {
        eprintln!("chaos: {} had ended and is started again", process.name());
        process.start()?;
    }
    Ok(())
}
