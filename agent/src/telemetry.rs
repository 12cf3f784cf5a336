//! What the agent says about itself: metrics, health, spans; and of what it does, events in its cluster.
//!
//! One value, made before anything is dialled, so that a probe is answered while the agent still waits for its
//! identity or its cluster; what it can tell grows as the parts come up. It counts and sends, decides nothing, and
//! nothing waits for it. Names are in docs/metrics.md and docs/observability.md.

mod command;
mod evidence;
mod metrics;
mod ready;

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

pub use command::{Watch, parts};
use ferry_telemetry::{
    listen::{self, Listener},
    trace::{self, Endpoint, Sending, Traces},
};
pub use metrics::Metrics;

use crate::{events::Events, health::Health, inventory::Inventory};

/// Everything that is counted and sent. Clones share it.
#[derive(Clone)]
pub struct Telemetry(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    attached: AtomicBool,
    sources: OnceLock<(Inventory, Health)>,
    spans: OnceLock<(Traces, String)>,
    events: OnceLock<Events>,
}

/// Why the agent cannot be watched as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener for metrics and health.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The export of traces.
    #[error(transparent)]
    Traces(#[from] trace::Error),
}

impl Default for Telemetry {
    fn default() -> Self {
        Self(Arc::new(Shared {
            metrics: Metrics::new(),
            attached: AtomicBool::new(false),
            sources: OnceLock::new(),
            spans: OnceLock::new(),
            events: OnceLock::new(),
        }))
    }
}

impl Telemetry {
    /// Serves metrics and health at `address`, from now to the end of the process.
    ///
    /// # Errors
    /// The port is taken, or the address is not of this machine.
    pub async fn listen(&self, address: SocketAddr) -> Result<(), Error> {
        let listener = Listener::bind(address).await?;
        tracing::info!(address = %listener.address, "metrics and health are served");
        tokio::spawn(listener.serve(Arc::clone(&self.0)));
        Ok(())
    }

    /// Sends spans of the cluster with this identity to `endpoint`.
    ///
    /// # Errors
    /// The exporter cannot be set up. A collector that is away is no error.
    pub fn send_spans(&self, endpoint: &Endpoint, identity: &str, cluster: &str) -> Result<Sending, Error> {
        let (traces, sending) = Traces::start(endpoint, ("ferry-agent", cluster), &self.0.metrics.spans)?;
        // Once in the life of a process: a second one would find the first.
        let _first = self.0.spans.set((traces, trust_domain(identity).to_owned()));
        Ok(sending)
    }

    /// Writes events with this.
    pub fn write_events(&self, events: Events) {
        let _first = self.0.events.set(events);
    }

    /// What the cluster holds and how it is, for whoever asks.
    pub fn watch(&self, inventory: Inventory, health: Health) {
        let _first = self.0.sources.set((inventory, health));
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// A stream to the controller begins or ends.
    pub fn attached(&self, now: bool) {
        self.0.attached.store(now, Ordering::Relaxed);
        if now {
            self.0.metrics.streams.inc();
        }
    }

    fn spans(&self) -> Option<(&Traces, &str)> {
        self.0.spans.get().map(|(traces, domain)| (traces, domain.as_str()))
    }

    fn events(&self) -> Option<&Events> {
        self.0.events.get()
    }
}

/// The trust domain of an identity such as `spiffe://ferry.local/cluster/east`.
fn trust_domain(identity: &str) -> &str {
    let rest = identity.strip_prefix("spiffe://").unwrap_or(identity);
    rest.split('/').next().unwrap_or_default()
}
