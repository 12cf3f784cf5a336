//! How the cluster is, for the controller and whoever looks at `ferry clusters`.
//!
//! One task asks the API server for its version at a steady pace: that is the probe, its round trip the latency, and
//! the answer the version (an API server that is downgraded recreates pods, H25). The rest is read off the inventory
//! when a heartbeat is due. An API server that is gone is reported, not an error: the stream to the controller stays.

use std::{sync::Arc, time::Duration};

use ferry_proto::agent::v1 as wire;
use kube::Client;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    inventory::Inventory,
    limits,
    outcome::{bounded, said},
    watch::Revival,
};

/// Health, always at hand.
#[derive(Clone)]
pub struct Health {
    inventory: Inventory,
    probe: watch::Receiver<Option<Probe>>,
    _task: Arc<JoinSet<()>>,
}

/// What one probe found.
#[derive(Clone, Debug)]
struct Probe {
    version: String,
    latency: Duration,
    error: Option<String>,
}

impl Health {
    /// Begins to probe; ends with the last clone.
    pub fn follow(client: Client, inventory: Inventory, revival: Revival) -> Self {
        let (found, probe) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(probe_forever(client, found, revival));
        Self { inventory, probe, _task: Arc::new(task) }
    }

    /// Health now. `notes` is what else a person should know.
    pub fn now(&self, notes: &[String]) -> wire::Health {
        let probe = self.probe.borrow().clone();
        let nodes = self.inventory.nodes();
        let wrong = match &probe {
            Some(probe) => probe.error.clone(),
            None => Some("the API server has not answered yet".to_owned()),
        };
        // Without the API server every watch fails too, each with the same words.
        let message = match wrong {
            Some(wrong) => vec![wrong],
            None => self.inventory.error().into_iter().chain(notes.iter().cloned()).collect(),
        };
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        wire::Health {
            api_server_ok: probe.as_ref().is_some_and(|probe| probe.error.is_none()),
            api_server_latency_ms: probe
                .as_ref()
                .map_or(0, |probe| u32::try_from(probe.latency.as_millis()).unwrap_or(u32::MAX)),
            nodes: nodes.all,
            nodes_ready: nodes.ready,
            watch_lag_ms: ms(self.inventory.lag()),
            message: bounded(message.join("; ")),
            kubernetes_version: probe.map(|probe| probe.version).unwrap_or_default(),
        }
    }

    /// The API server's version, once it has answered.
    pub async fn version(&mut self) -> String {
        let known =
            self.probe.wait_for(|probe| probe.as_ref().is_some_and(|probe| !probe.version.is_empty())).await;
        known.ok().and_then(|probe| probe.as_ref().map(|probe| probe.version.clone())).unwrap_or_default()
    }
}

async fn probe_forever(client: Client, found: watch::Sender<Option<Probe>>, revival: Revival) {
    let mut version = String::new();
    loop {
        let begun = Instant::now();
        let error = match timeout(limits::PROBE_TIMEOUT, client.apiserver_version()).await {
            Ok(Ok(info)) => {
                version = info.git_version;
                None
            }
            Ok(Err(error)) => Some(format!("the API server does not answer: {}", said(&error))),
            Err(_) => {
                Some(format!("the API server does not answer within {} s", limits::PROBE_TIMEOUT.as_secs()))
            }
        };
        let was_wrong = found.borrow().as_ref().and_then(|probe| probe.error.clone());
        match &error {
            Some(text) if was_wrong.as_ref() != Some(text) => tracing::warn!("{text}"),
            None if was_wrong.is_some() => {
                tracing::info!("the API server answers again");
                revival.revive();
            }
            _ => {}
        }
        found.send_replace(Some(Probe { version: version.clone(), latency: begun.elapsed(), error }));
        tokio::time::sleep(limits::PROBE_INTERVAL).await;
    }
}
