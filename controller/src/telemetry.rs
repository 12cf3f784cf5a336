//! What the controller says about itself: logs, metrics, health, spans.
//!
//! Everything that happens to a migration passes the event loop, so one [`Follower`] of committed entries writes its
//! log lines, counts and spans; what there is now is measured when somebody asks. Names and fields are in
//! docs/metrics.md and docs/observability.md. Logs go to standard error; standard output is for what was asked for:
//! the first credential and the addresses. A join token or a key is never logged.

mod commands;
mod follow;
mod health;
mod metrics;
mod outlook;
mod spans;

use std::sync::Arc;

use ferry_telemetry::{
    logs,
    trace::{Error as TraceError, Sending, Traces},
};
pub use ferry_telemetry::{logs::Format, trace::Endpoint};
pub use follow::{Commit, Follower};
pub use health::Health;
pub use metrics::Metrics;
pub use outlook::{Error, Outlook, Watching};

/// Starts logging; a second call changes nothing.
pub fn init(format: Format) {
    logs::init(format, "info");
}

/// Metrics and spans of one controller.
#[derive(Debug)]
pub struct Telemetry {
    /// What it counts.
    pub metrics: Metrics,
    traces: Traces,
    trust_domain: String,
}

impl Telemetry {
    /// Of a controller of this trust domain that sends spans to `endpoint`, if there is one. Inside a runtime.
    ///
    /// # Errors
    /// The exporter cannot be set up. A collector that is away is no error.
    pub fn start(
        trust_domain: &str,
        endpoint: Option<&Endpoint>,
    ) -> Result<(Arc<Self>, Option<Sending>), TraceError> {
        let metrics = Metrics::new();
        let (traces, sending) = match endpoint {
            None => (Traces::off(), None),
            Some(endpoint) => {
                let service = ("ferry-controller", trust_domain);
                let (traces, sending) = Traces::start(endpoint, service, &metrics.spans)?;
                (traces, Some(sending))
            }
        };
        Ok((Arc::new(Self { metrics, traces, trust_domain: trust_domain.to_owned() }), sending))
    }
}
