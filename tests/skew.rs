//! A crossing between clusters of different Kubernetes releases: the demo's path, asserted.
//!
//! East runs the oldest release that has a module group here, west the newest, control planes and nodes alike. The same
//! three-member etcd crosses from the old one to the new one and back, with the writer, the observer and the look at
//! each disk: what one release knows and the other does not must not matter to a handoff. Both directions count, for
//! they are different tests: towards the new release manifests lack fields, towards the old one they may have too many.
//!
//! Not part of `make test`: a second Kubernetes takes a quarter of an hour to build. `make test-skew` runs it.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::{
    app::{
        crossing::{Crossing, Outcome},
        etcd::Etcd,
    },
    build::{self, KubernetesRelease},
    ferry::Ferry,
    world::{self, ClusterConfig, Config, World},
};

/// Each cluster with its release, such as `1.33`.
const CLUSTERS: [(&str, &str); 2] = [("east", "1.33"), ("west", build::DEFAULT_KUBERNETES)];
const NODES: usize = 2;
/// Where the etcd goes, one after another, and in which order its members do.
const JOURNEY: [(&str, &str); 2] = [("west", "highest-first"), ("east", "lowest-first")];

fn main() -> ExitCode {
    match run() {
        Ok(()) => {
            println!("skew: passed");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("skew: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let releases = CLUSTERS.map(|(_, release)| KubernetesRelease(release.to_owned()));
    let tools = build::ensure_releases(&releases)?;
    let dir = world::enter()?;
    let mut config = Config::two_clusters(tools);
    config.clusters = CLUSTERS
        .iter()
        .zip(&releases)
        .map(|((name, _), release)| ClusterConfig::with_nodes(name, NODES).at(release))
        .collect();
    tokio::runtime::Runtime::new()?.block_on(async {
        let world = World::up(&dir, &config).await?;
        for (cluster, release) in CLUSTERS {
            releases_are(&world, cluster, release).await?;
        }
        let etcd = Etcd::default();
        let outcome = crossing(&world, &etcd).await?;
        println!("skew: {}", serde_json::to_string(&outcome)?);
        ensure!(outcome.is_clean(), "something was lost or broken: {outcome:?}");
        let expected = JOURNEY.len() * usize::try_from(etcd.replicas)?;
        ensure!(outcome.handoffs == expected, "{} handoffs, expected {expected}", outcome.handoffs);
        Ok(())
    })
}

/// API server and kubelets are what they are said to be: a world that runs one release everywhere proves nothing.
async fn releases_are(world: &World, cluster: &str, release: &str) -> Result<()> {
    let cluster = world.cluster(cluster)?;
    let expected = format!("v{release}.");
    let server = cluster.client().await?.apiserver_version().await?.git_version;
    ensure!(
        server.starts_with(&expected),
        "{}: the API server is {server}, expected {expected}x",
        cluster.name()
    );
    let versions = "jsonpath={.items[*].status.nodeInfo.kubeletVersion}";
    let kubelets = cluster.kubectl(&["get", "nodes", "-o", versions]).await?;
    ensure!(
        kubelets.split_whitespace().count() == NODES
            && kubelets.split_whitespace().all(|kubelet| kubelet.starts_with(&expected)),
        "{}: the kubelets are {kubelets}, expected {NODES} of {expected}x",
        cluster.name()
    );
    Ok(())
}

async fn crossing(world: &World, etcd: &Etcd) -> Result<Outcome> {
    let ferry = Ferry::install(world).await?;
    let crossing = Crossing::begin(world, CLUSTERS[0].0, etcd).await?;
    let moved = journey(&ferry, etcd).await;
    let outcome = crossing.end().await;
    moved.and(outcome)
}

async fn journey(ferry: &Ferry, etcd: &Etcd) -> Result<()> {
    let set = format!("statefulset/{}", etcd.name);
    for (to, order) in JOURNEY {
        let arguments = ["-n", &etcd.namespace, &set, "--to", to, "--order", order];
        let plan = ferry.cli().run(&[&["plan", "-o", "json"], &arguments[..]].concat()).await?;
        println!("skew: plan to {to}: {}", plan.stdout);
        plan.success()?;
        let migrate = ferry.cli().run(&[&["migrate", "--yes"], &arguments[..]].concat()).await?;
        migrate.success().with_context(|| format!("the crossing to {to}"))?;
    }
    Ok(())
}
