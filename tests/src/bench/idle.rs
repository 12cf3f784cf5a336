//! P9: what an agent takes that has nothing to do.
//!
//! Read from the kernel: resident memory as it is, and the time on a processor in nanoseconds, which ticks are too
//! coarse for. Measured twice, before and after thousands of objects were made that are none of its business: what an
//! agent takes must not grow with the cluster around its workloads.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde::Serialize;
use serde_json::json;

use super::workload::{NODES, Nodes};
use crate::world::{Cluster, Process, Wait};

/// Objects of each kind that are made beside the workloads.
const UNRELATED: usize = 2_000;
const NAMESPACE: &str = "elsewhere";
/// Creations under way at once.
const AT_ONCE: usize = 32;
/// What starting costs, and what the crowd caused, is over by then: it is not idling.
const SETTLED: Duration = Duration::from_secs(15);
/// Time for kwok to run the pods.
const RUNNING: Duration = Duration::from_secs(180);

/// What a process took over a while.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// The process.
    pub process: String,
    /// When: `before` the unrelated objects or `after`.
    pub when: &'static str,
    /// Resident memory at the end, in MiB.
    pub resident_mib: f64,
    /// Thousandths of a processor.
    pub milli_cpu: f64,
    /// Over how long, in seconds.
    pub seconds: f64,
}

/// Watches these processes for a while, once they have settled.
///
/// # Errors
/// One of them does not run.
pub async fn measure(processes: &[&Process], when: &'static str, window: Duration) -> Result<Vec<Taken>> {
    tokio::time::sleep(SETTLED).await;
    let mut begun = Vec::new();
    for process in processes {
        let pid = process.pid().with_context(|| format!("{} does not run", process.name()))?;
        begun.push((process.name(), pid, Instant::now(), processor_ns(pid)?));
    }
    tokio::time::sleep(window).await;
    begun
        .into_iter()
        .map(|(process, pid, since, before)| {
            let used = processor_ns(pid)?.saturating_sub(before) as f64;
            let elapsed = since.elapsed();
            Ok(Taken {
                process: process.to_owned(),
                when,
                resident_mib: resident_kib(pid)? as f64 / 1024.0,
                milli_cpu: used / elapsed.as_nanos() as f64 * 1000.0,
                seconds: elapsed.as_secs_f64(),
            })
        })
        .collect()
}

/// Makes pods and ConfigMaps that belong to nobody's workload, and waits until the pods run.
///
/// # Errors
/// They cannot be made.
pub async fn crowd(cluster: &Cluster) -> Result<()> {
    let client = cluster.client().await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    cluster.wait_service_account(NAMESPACE).await?;
    let nodes: Vec<String> = cluster
        .nodes()
        .iter()
        .filter(|node| node.is_simulated())
        .map(|node| node.name().to_owned())
        .collect();
    futures::stream::iter((0..UNRELATED).map(|number| create_pair(&client, &nodes, number)))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let pods = Api::<Pod>::namespaced(client, NAMESPACE);
    Wait::new(format!("{UNRELATED} pods of kwok to run"), RUNNING)
        .until(async || {
            let params = ListParams::default().fields("status.phase!=Running").limit(1);
            Ok(pods.list(&params).await?.items.is_empty().then_some(()))
        })
        .await
}

async fn create_pair(client: &Client, nodes: &[String], number: usize) -> Result<()> {
    let name = format!("unrelated-{number}");
    let node = nodes.get(number % nodes.len().max(1)).context("no simulated node")?;
    let pod = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "nodeSelector": {NODES: Nodes::Simulated.label()},
            "automountServiceAccountToken": false,
            "containers": [{"name": "pause", "image": crate::build::PAUSE_IMAGE}],
        },
    }))?;
    Api::<Pod>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &pod).await?;
    let map =
        serde_json::from_value(json!({"metadata": {"name": name}, "data": {"text": "x".repeat(1024)}}))?;
    Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &map).await?;
    Ok(())
}

fn resident_kib(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Time that all threads of a process were on a processor, in nanoseconds.
fn processor_ns(pid: i32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the process ended")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split_whitespace().next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}
