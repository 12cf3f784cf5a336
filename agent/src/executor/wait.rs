//! Waiting for the cluster without polling it.
//!
//! A [`Wait`] watches single objects and wakes when one of them changes; the executor then looks with quorum reads
//! and decides by those, never by what the watch carried (it may be stale). A watch that falls silent costs at most
//! [`limits::RECHECK`]. The wait ends as unknown (I8) shortly before the command's deadline, so that the outcome says
//! what was waited for, which the deadline itself could not.

use std::time::Duration;

use futures::{FutureExt as _, future::select_all};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, timeout},
};

use super::api::Key;
use crate::{context::Context, limits, outcome::Stop};

/// Wakes when an object that it watches changes.
pub(crate) struct Wait<'a> {
    ctx: &'a Context,
    step: u32,
    watched: Vec<(Key, Receiver<u64>)>,
}

impl<'a> Wait<'a> {
    /// Watches nothing yet; `step` is what progress is reported for.
    pub(crate) fn new(ctx: &'a Context, step: u32) -> Self {
        Self { ctx, step, watched: Vec::new() }
    }

    /// Watches `key` too, from the next pause on.
    pub(crate) fn watch(&mut self, key: &Key) {
        if self.watched.iter().any(|(watched, _)| watched == key) {
            return;
        }
        self.watched.push((key.clone(), self.ctx.watches.of(&self.ctx.client, key)));
    }

    /// Waits for a change of a watched object, or for the time to look again anyway.
    ///
    /// # Errors
    /// Unknown, with `message`, when the command's time is over.
    pub(crate) async fn pause(&mut self, message: impl Into<String>) -> Result<(), Stop> {
        self.pause_most(message, limits::RECHECK).await
    }

    /// [`Wait::pause`] that also wakes after `most`.
    pub(crate) async fn pause_most(
        &mut self,
        message: impl Into<String>,
        most: Duration,
    ) -> Result<(), Stop> {
        let message = message.into();
        let left = (self.ctx.deadline - limits::DEADLINE_MARGIN).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(
                Stop::unknown(format!("The command's time is over, and still: {message}")).at(self.step)
            );
        }
        self.ctx.progress.waiting(self.step, message);
        let pause = left.min(most).min(limits::RECHECK);
        if self.watched.is_empty() {
            tokio::time::sleep(pause).await;
            return Ok(());
        }
        let wakes = self.watched.iter_mut().map(|(_, changes)| woken(changes).boxed());
        // Its end is as good as a change: it is time to look.
        let _is_woken: bool = timeout(pause, select_all(wakes)).await.is_ok();
        for (_, changes) in &mut self.watched {
            changes.mark_unchanged();
        }
        Ok(())
    }
}

async fn woken(changes: &mut Receiver<u64>) {
    if changes.changed().await.is_err() {
        // A watch that broke wakes nobody any more.
        std::future::pending().await
    }
}
