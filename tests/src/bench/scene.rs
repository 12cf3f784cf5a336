//! The world of a bench: clusters whose API servers log who called, Ferry, and the outside watcher.
//!
//! One world serves all figures: bringing clusters up costs more than what is measured in them. Each has one real node
//! and a few simulated ones, told apart by a label that workloads select. The order of moves is here too, so that both
//! sides of a comparison move the same ordinals in the same directions.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use kube::Client;
use tokio::task::JoinSet;

use super::audit::{self, Call};
use super::eyes::Eyes;
use super::floor;
use super::simulated;
use super::workload::{Slice, Workload};
use crate::build::Tools;
use crate::ferry::Ferry;
use crate::observer::{Observer, Subject};
use crate::world::{Config, World};

/// The user name of Ferry's agents in audit logs.
pub const FERRY: &str = "system:serviceaccount:ferry-system:ferry-agent";
/// Simulated nodes of each cluster.
const SIMULATED: usize = 2;
/// The clusters, in the order of the first migration.
pub const EAST_WEST: [&str; 2] = ["east", "west"];

/// Everything a bench works with.
pub struct Scene {
    /// The clusters.
    pub world: World,
    /// Ferry, installed.
    pub ferry: Ferry,
    /// The outside watcher.
    pub eyes: Eyes,
    logs: Vec<(String, PathBuf)>,
    _renewals: JoinSet<()>,
}

/// The clusters of a bench: one real node and a few simulated ones each.
#[must_use]
pub fn config(tools: Tools) -> Config {
    let mut config = Config::two_clusters(tools);
    for cluster in &mut config.clusters {
        cluster.nodes = 1;
        cluster.simulated_nodes = SIMULATED;
    }
    config
}

impl Scene {
    /// Sets the scene in a world that is up.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn set(world: World) -> Result<Self> {
        let mut renewals = JoinSet::new();
        let users = [FERRY, floor::USER];
        let begin = world.clusters().iter().map(|cluster| audit::begin(cluster, world.dir(), &users));
        let logs = try_join_all(begin).await?;
        let mut clients = Vec::new();
        for cluster in world.clusters() {
            simulated::complete(cluster, &mut renewals).await?;
            clients.push((cluster.name().to_owned(), cluster.client().await?));
        }
        let ferry = Ferry::install(&world).await?;
        let eyes = Eyes::open(clients).await?;
        let names = world.clusters().iter().map(|cluster| cluster.name().to_owned());
        let logs = names.zip(logs).collect();
        Ok(Self { world, ferry, eyes, logs, _renewals: renewals })
    }

    /// An administrator's client.
    ///
    /// # Errors
    /// No such cluster.
    pub async fn client(&self, cluster: &str) -> Result<Client> {
        self.world.cluster(cluster)?.client().await
    }

    /// Every call so far of the users that are measured, in order.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn calls(&self) -> Result<Vec<Call>> {
        let mut calls = Vec::new();
        for (cluster, log) in &self.logs {
            calls.extend(audit::read(cluster, log)?);
        }
        calls.sort_by_key(|call| call.at);
        Ok(calls)
    }

    /// A referee for one workload, whose budget is one.
    ///
    /// # Errors
    /// It cannot watch.
    pub async fn observer(&self, workload: &Workload) -> Result<Observer> {
        let mut clusters = Vec::new();
        for name in EAST_WEST {
            clusters.push((name.to_owned(), self.client(name).await?));
        }
        let subject = Subject {
            namespace: workload.name.clone(),
            workload: workload.name.clone(),
            start: 0,
            replicas: workload.replicas,
            budget: 1,
            in_flight: 1,
        };
        let log = self.world.array_dir().join("array.log");
        Observer::start(clusters, log, subject).await.context("an observer")
    }
}

/// One ordinal's turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The ordinal.
    pub ordinal: u32,
    /// The source's slice afterwards.
    pub left: Slice,
    /// The target's.
    pub grown: Slice,
}

/// The ordinals of a migration in the order in which they move.
#[must_use]
pub fn turns(replicas: u32, order: &str) -> Vec<Turn> {
    (0..replicas)
        .map(|moved| {
            let left = replicas - moved - 1;
            if order == "highest-first" {
                Turn { ordinal: left, left: (0, left), grown: (left, moved + 1) }
            } else {
                Turn { ordinal: moved, left: (moved + 1, left), grown: (0, moved + 1) }
            }
        })
        .collect()
}

/// From where, to where, and in which order.
pub type Round = (&'static str, &'static str, &'static str);

/// The direction and order of a round: there highest-first, back lowest-first.
#[must_use]
pub fn round(number: usize) -> Round {
    let [east, west] = EAST_WEST;
    if number.is_multiple_of(2) { (east, west, "highest-first") } else { (west, east, "lowest-first") }
}
