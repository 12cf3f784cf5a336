//! The stream to the controller: dialled, kept, dialled again.
//!
//! Disconnection is normal. Each stream begins with a Resync that says everything the controller may rely on, and
//! whatever was not acknowledged is said again; nothing that happens to a stream touches a command that runs. Pauses
//! between streams grow, with jitter and a bound; a stream that held for a while resets them. What one stream does is
//! in [`stream`]; here is when there is one.

use std::{sync::Arc, time::Duration};

use ferry_proto::agent::v1 as wire;
use futures::future::BoxFuture;
use ipnet::IpNet;
use tokio::{sync::watch, time::Instant};
use tonic::transport::Channel;

use crate::{
    backoff::Backoff,
    dispatch::Dispatch,
    endpoints::{Mirrors, Own},
    health::Health,
    identity::{Identity, channel::Address},
    inventory::Inventory,
    limits,
    outcome::chain,
    progress::Queue,
    telemetry::Telemetry,
};

pub mod error;
mod stream;

pub use error::Error;

/// Revision of the wire that is spoken.
pub const WIRE_VERSION: u32 = 1;

/// How the controller is reached.
#[derive(Clone, Default)]
pub enum Dial {
    /// TCP and TLS, with the identity's certificate.
    #[default]
    Tls,
    /// A way of the caller's, who vouches for the identity: for who simulates the network.
    By(Arc<dyn Fn() -> BoxFuture<'static, Result<Channel, Error>> + Send + Sync>),
}

/// Everything a stream says or does.
pub struct Session {
    /// The controller.
    pub controller: Address,
    /// How it is reached.
    pub dial: Dial,
    /// The identity now; renewed meanwhile.
    pub identity: watch::Receiver<Identity>,
    /// UID of the namespace kube-system.
    pub cluster_uid: String,
    /// Pod networks as the user gave them; empty: the nodes'.
    pub pod_cidrs: Vec<IpNet>,
    /// Random, new for each process.
    pub instance_id: String,
    /// What the cluster holds.
    pub inventory: Inventory,
    /// How the cluster is.
    pub health: Health,
    /// Commands.
    pub dispatch: Dispatch,
    /// What is counted and sent.
    pub telemetry: Telemetry,
    /// Progress of commands.
    pub progress: Queue,
    /// Own endpoints.
    pub own: Own,
    /// Other clusters' endpoints.
    pub mirrors: Mirrors,
}

impl Session {
    /// Keeps a stream, for ever.
    pub async fn run(&mut self) {
        let mut backoff = Backoff::new();
        loop {
            let begun = Instant::now();
            let error = match stream::run(self).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.telemetry.attached(false);
            if begun.elapsed() >= limits::BACKOFF_MOST {
                backoff.reset();
            }
            match error {
                Error::NetworksChanged | Error::Renewed => tracing::info!("{error}"),
                _ => tracing::warn!(error = chain(&error), "no stream to the controller; dialled again"),
            }
            backoff.pause().await;
        }
    }

    /// Waits until a Resync can be made: every watch listed once, the API server's version known.
    pub async fn ready(&mut self) {
        let mut changes = self.inventory.changes();
        let version = self.health.version().await;
        tracing::info!(version, "the API server answers");
        while !self.inventory.is_complete() {
            let patience = tokio::time::timeout(limits::PROBE_INTERVAL, changes.changed()).await;
            if let (Err(_), Some(error)) = (patience, self.inventory.error()) {
                tracing::warn!(error, "the cluster cannot be read yet");
            }
        }
    }

    /// The pod networks that are said, at most [`limits::POD_NETWORKS`], and how many there are.
    fn networks(&self) -> (Vec<IpNet>, usize) {
        let mut networks =
            if self.pod_cidrs.is_empty() { self.inventory.pod_cidrs() } else { self.pod_cidrs.clone() };
        let all = networks.len();
        networks.truncate(limits::POD_NETWORKS);
        (networks, all)
    }

    fn health(&self, left_out: Option<&String>) -> wire::Health {
        let mut notes: Vec<String> = left_out.into_iter().cloned().chain(self.own.error()).collect();
        match self.networks().1 {
            0 => notes.push(
                "no pod network is known: no Node has spec.podCIDR; start the agent with --pod-cidrs"
                    .to_owned(),
            ),
            1..=limits::POD_NETWORKS => {}
            all => notes.push(format!(
                "this cluster has {all} pod networks; only {} are used: start the agent with --pod-cidrs and the \
                 networks that hold them all",
                limits::POD_NETWORKS
            )),
        }
        self.health.now(&notes)
    }

    async fn resync(&mut self) -> (wire::Resync, Option<String>) {
        let kubernetes_version = self.health.version().await;
        let (inventory, left_out) = self.inventory.report();
        let resync = wire::Resync {
            wire_version: WIRE_VERSION,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_uid: self.cluster_uid.clone(),
            kubernetes_version,
            pod_cidrs: self.networks().0.iter().map(ToString::to_string).collect(),
            epochs: self.inventory.epochs(),
            inventory: Some(inventory),
            commands_in_progress: self.dispatch.in_progress(),
            instance_id: self.instance_id.clone(),
            health: Some(self.health(left_out.as_ref())),
        };
        (resync, left_out)
    }
}

/// `ms` from the controller, within what is sensible.
fn sensible(ms: u32) -> Duration {
    Duration::from_millis(ms.into()).clamp(limits::HEARTBEAT_LEAST, limits::HEARTBEAT_MOST)
}
