//! A command in a process of its own, stopped by SIGSTOP right before its write and woken by SIGCONT.
//!
//! The other tests hold a request where the process would be stopped; here the kernel does it. The process is this
//! program again: with [`COMMAND`] set it carries one command out, with connections and a clock of its own, and says how
//! it ended. The agent's hold point waits right before the write; the process is stopped while it waits there, the hold
//! is taken away, what it was doing is taken back, and then it wakes.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ferry_agent::{cluster, context::Facts, executor};
use ferry_proto::agent::v1::Command as Sent;
use kube::config::Kubeconfig;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::stopped::Rest;
use crate::{
    cases,
    clusters::{AGENT, Clusters},
    journey::{self, Journey, Verb, ordinals},
    witness,
    workload::{self, Shape},
};

/// Where a process finds its command.
const COMMAND: &str = "FERRY_STEPS_COMMAND";
/// How a process begins the line that says how its command ended.
const ENDED: &str = "ended: ";
/// Where a command is stopped, and where that is: the writes on which a disk hangs.
const POINTS: [(Verb, &str); 3] = [
    (Verb::Release, "write-changing-statefulsets"),
    (Verb::Release, "write-deleting-persistentvolumeclaims"),
    (Verb::Adopt, "write-changing-statefulsets"),
];

#[derive(Serialize, Deserialize)]
struct Order {
    kubeconfig: PathBuf,
    cluster: String,
    id: String,
    epoch: u64,
    generation: u64,
    namespace: String,
    workload: String,
    migration: String,
    body: Vec<u8>,
}

/// Carries the command out if this process was started for one.
pub(crate) fn is_one() -> Result<bool> {
    let Some(path) = std::env::var_os(COMMAND) else { return Ok(false) };
    let Order { kubeconfig, cluster, id, epoch, generation, namespace, workload, migration, body } =
        serde_json::from_slice(&std::fs::read(path)?)?;
    let facts = Facts { id, epoch, generation, namespace, workload, migration };
    let body = Sent::decode(body.as_slice())?.body.context("the command has no body")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let (client, _) = cluster::client(Some(&kubeconfig), None).await?;
        anyhow::Ok(executor::run(&journey::of(facts, client, &cluster), body).await)
    })?;
    println!("{ENDED}{ended:?}");
    Ok(true)
}

/// Each of [`POINTS`]: stopped, taken back, woken; the clusters are as the undo left them. How many.
pub(crate) async fn stopped(clusters: &Clusters) -> Result<usize> {
    let shape = Shape { replicas: 1, parallel: false };
    let mut journey = cases::planned(clusters, "stopped-processes", shape).await?;
    for verb in [Verb::PrepareSource, Verb::PrepareTarget] {
        cases::step(clusters, &mut journey, verb).await?;
    }
    for (verb, point) in POINTS {
        journey.begin(ordinals(journey.slices["east"]).end - 1);
        for before in [Verb::HoldSource, Verb::HoldTarget] {
            cases::step(clusters, &mut journey, before).await?;
        }
        if verb == Verb::Adopt {
            cases::step(clusters, &mut journey, Verb::Release).await?;
        }
        late(clusters, &mut journey, verb, point).await.with_context(|| format!("{verb:?} at {point}"))?;
    }
    cases::clear(clusters, "stopped-processes").await?;
    Ok(POINTS.len())
}

async fn late(clusters: &Clusters, journey: &mut Journey, verb: Verb, point: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hold = dir.path().join(point);
    std::fs::write(&hold, b"")?;
    let mut process = tokio::process::Command::new(std::env::current_exe()?)
        .env(COMMAND, order(clusters, journey, verb, dir.path())?)
        .env("FERRY_HOLD_DIR", dir.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    journey.accepted += 1;
    let reached = dir.path().join(format!("{point}.reached"));
    workload::until("the process to come to its write", async || Ok(reached.exists().then_some(()))).await?;
    let pid = Pid::from_raw(process.id().context("the process has ended")?.try_into()?);
    kill(pid, Signal::SIGSTOP)?;
    std::fs::remove_file(&hold)?;
    journey.withdraw();
    if verb == Verb::Adopt {
        cases::step(clusters, journey, Verb::Fence).await?;
    }
    cases::step(clusters, journey, Verb::Reclaim).await?;
    let rest = Rest::of(clusters, &journey.namespace).await?;
    ensure!(process.try_wait()?.is_none(), "the process ended although it was stopped");
    kill(pid, Signal::SIGCONT)?;
    let said = String::from_utf8(process.wait_with_output().await?.stdout)?;
    let ended = said.lines().find_map(|line| line.strip_prefix(ENDED)).ok_or_else(|| anyhow!("{said}"))?;
    if !ended.contains("StaleEpoch") {
        bail!("expected that it is of the past, found {ended}");
    }
    witness::look(clusters, journey, true).await?;
    rest.is_same(clusters, &journey.namespace).await
}

/// Writes down how a process reaches the cluster as its agent, whom the guard lets pass; where.
fn credentials(kubeconfig: &Path, dir: &Path) -> Result<PathBuf> {
    let mut kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        user.impersonate = Some(AGENT.to_owned());
    }
    let path = dir.join("kubeconfig.json");
    std::fs::write(&path, serde_json::to_vec(&kubeconfig)?)?;
    Ok(path)
}

/// Writes the command down; where.
fn order(clusters: &Clusters, journey: &Journey, verb: Verb, dir: &Path) -> Result<PathBuf> {
    let cluster = journey.cluster(verb);
    let Facts { id, epoch, generation, namespace, workload, migration } =
        journey.context(clusters.client(cluster), verb).command;
    let order = Order {
        kubeconfig: credentials(clusters.kubeconfig(cluster), dir)?,
        cluster: cluster.to_owned(),
        id,
        epoch,
        generation,
        namespace,
        workload,
        migration,
        body: Sent { body: Some(journey.body(verb)), ..Sent::default() }.encode_to_vec(),
    };
    let path = dir.join("command.json");
    std::fs::write(&path, serde_json::to_vec(&order)?)?;
    Ok(path)
}
