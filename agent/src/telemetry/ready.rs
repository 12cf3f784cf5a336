//! Whether the agent can do its work, and its numbers, for whoever asks over HTTP.
//!
//! Ready is: attached to the controller, every watch listed once, the API server answering. The first thing that is
//! missing is said in words. An agent that is not ready goes on trying by itself: readiness is for people and for
//! rollouts, and no reason to restart it.

use std::sync::atomic::Ordering;

use ferry_telemetry::listen::Watched;

use super::Shared;

impl Watched for Shared {
    async fn ready(&self) -> Result<(), String> {
        let Some((inventory, health)) = self.sources.get() else {
            return Err("no identity yet: it waits for the controller to take its join token".to_owned());
        };
        let health = health.now(&[]);
        if !health.api_server_ok {
            return Err(health.message);
        }
        if !inventory.is_complete() {
            return Err(inventory
                .error()
                .unwrap_or_else(|| "the first lists are not complete yet".to_owned()));
        }
        if !self.attached.load(Ordering::Relaxed) {
            return Err("not attached to the controller; it is dialled again".to_owned());
        }
        Ok(())
    }

    async fn metrics(&self) -> String {
        let attached = self.attached.load(Ordering::Relaxed);
        let sources = self.sources.get().map(|(inventory, health)| (inventory, health.now(&[])));
        self.metrics.text(attached, sources)
    }
}
