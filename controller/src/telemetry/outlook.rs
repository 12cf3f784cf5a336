//! From options to what serves metrics and sends spans, and down again.
//!
//! The address is bound before the ledger is opened to anybody, so that a port that is taken is told at once; it is
//! served as soon as there is an event loop to ask. On the way down the last spans get a moment: they tell of what
//! the controller did last.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use ferry_telemetry::listen::{self, Listener};
use tokio::task::JoinHandle;

use super::{Endpoint, Health, Sending, Telemetry, TraceError};
use crate::event_loop::Handle;

/// Why the controller cannot be watched as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener for metrics and health.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The export of traces.
    #[error(transparent)]
    Traces(#[from] TraceError),
}

/// Bound, and not served yet.
#[derive(Debug)]
pub struct Outlook {
    /// What is counted and sent.
    pub telemetry: Arc<Telemetry>,
    sending: Option<Sending>,
    listener: Option<Listener>,
}

/// Served.
#[derive(Debug)]
pub struct Watching {
    sending: Option<Sending>,
    serving: Option<JoinHandle<Infallible>>,
}

impl Outlook {
    /// Binds the address, if there is one, and begins to send spans, if there is an endpoint.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bind(
        trust_domain: &str,
        metrics_listen: Option<SocketAddr>,
        endpoint: Option<&Endpoint>,
    ) -> Result<Self, Error> {
        let listener = match metrics_listen {
            Some(address) => Some(Listener::bind(address).await?),
            None => None,
        };
        let (telemetry, sending) = Telemetry::start(trust_domain, endpoint)?;
        Ok(Self { telemetry, sending, listener })
    }

    /// Where metrics and health are.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(|listener| listener.address)
    }

    /// Serves what there is of this loop.
    #[must_use]
    pub fn serve(self, handle: &Handle) -> Watching {
        let Self { telemetry, sending, listener } = self;
        let serving = listener
            .map(|listener| tokio::spawn(listener.serve(Arc::new(Health::new(handle.clone(), telemetry)))));
        Watching { sending, serving }
    }
}

impl Watching {
    /// Ends it, when the loop has ended.
    pub async fn finish(self) {
        if let Some(serving) = self.serving {
            serving.abort();
        }
        if let Some(sending) = self.sending {
            sending.finish().await;
        }
    }
}
