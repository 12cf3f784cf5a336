//! Whether the controller can do its work, and its numbers, for whoever asks over HTTP.
//!
//! The answer comes from the event loop itself: a controller whose loop does not answer (a disk that hangs) is alive
//! and not ready, whatever its sockets say. Measuring walks the ledger once; questions that come faster than one a
//! second, from many scrapers, get the last answer again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ferry_core::measure::Measure;
use ferry_telemetry::listen::Watched;
use tokio::sync::Mutex;

use super::Telemetry;
use crate::{event_loop::Handle, limits};

/// Answers for one controller.
pub struct Health {
    handle: Handle,
    telemetry: Arc<Telemetry>,
    last: Mutex<Option<(Instant, Measure)>>,
}

impl Health {
    /// Of the controller whose loop this is.
    #[must_use]
    pub fn new(handle: Handle, telemetry: Arc<Telemetry>) -> Self {
        Self { handle, telemetry, last: Mutex::new(None) }
    }

    /// What there is, not older than `fresh`.
    async fn measure(&self, fresh: Duration) -> Result<Measure, String> {
        let mut last = self.last.lock().await;
        if let Some((at, measure)) = &*last
            && at.elapsed() < fresh
        {
            return Ok(measure.clone());
        }
        match self.handle.measure(limits::MEASURE_TIMEOUT).await {
            Ok(measure) => {
                *last = Some((Instant::now(), measure.clone()));
                Ok(measure)
            }
            Err(error) => Err(format!("the event loop does not answer: {error}")),
        }
    }
}

impl Watched for Health {
    async fn ready(&self) -> Result<(), String> {
        self.measure(limits::MEASURE_FRESH).await.map(drop)
    }

    /// With the last measure in place of one that does not come: what the process itself counts is said all the same.
    async fn metrics(&self) -> String {
        let measure = self.measure(limits::MEASURE_FRESH).await;
        let stale = match measure {
            Ok(measure) => return self.telemetry.metrics.text(&measure),
            Err(_) => self.last.lock().await.as_ref().map(|(_, measure)| measure.clone()),
        };
        self.telemetry.metrics.text(&stale.unwrap_or_default())
    }
}
