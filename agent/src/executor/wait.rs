//! Waiting for the cluster without polling it.
//!
//! A [`Wait`] watches single objects and wakes when one of them changes; the executor then looks with quorum reads
//! and decides by those, never by what the watch carried (it may be stale). Who knows what the object must be like to be
//! worth a look says so ([`Wait::watch_for`]): on the way there an object changes often, and each look costs the API
//! server what the others' work waits for. A watch that falls silent costs at most [`limits::RECHECK`]. The wait ends as
//! unknown (I8) shortly before the command's deadline, so that the outcome says what was waited for, which the deadline
//! itself could not.

use std::time::Duration;

use futures::{FutureExt as _, future::select_all};
use serde_json::Value;
use tokio::{
    sync::watch::Receiver,
    time::{Instant, timeout},
};

use super::{api::Key, watches::Told};
use crate::{context::Context, limits, outcome::Stop};

/// Wakes when an object that it watches changes.
pub(crate) struct Wait<'a> {
    ctx: &'a Context,
    step: u32,
    watched: Vec<Watched<'a>>,
}

/// Whether an object is worth a look.
type Worth<'a> = Box<dyn Fn(&Value) -> bool + Send + Sync + 'a>;

struct Watched<'a> {
    key: Key,
    changes: Receiver<Told>,
    worth: Option<Worth<'a>>,
}

impl<'a> Wait<'a> {
    /// Watches nothing yet; `step` is what progress is reported for.
    pub(crate) fn new(ctx: &'a Context, step: u32) -> Self {
        Self { ctx, step, watched: Vec::new() }
    }

    /// Watches `key` too, from the next pause on.
    pub(crate) fn watch(&mut self, key: &Key) {
        self.add(key, None);
    }

    /// [`Wait::watch`] that sleeps on while the object is there and `worth` says no to what the watch tells of it.
    pub(crate) fn watch_for(&mut self, key: &Key, worth: impl Fn(&Value) -> bool + Send + Sync + 'a) {
        self.add(key, Some(Box::new(worth)));
    }

    /// [`Wait::watch_for`] the object's end.
    pub(crate) fn watch_end(&mut self, key: &Key) {
        self.watch_for(key, |_| false);
    }

    fn add(&mut self, key: &Key, worth: Option<Worth<'a>>) {
        if self.watched.iter().all(|watched| watched.key != *key) {
            let changes = self.ctx.watches.of(&self.ctx.client, key);
            self.watched.push(Watched { key: key.clone(), changes, worth });
        }
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
        let wakes = self.watched.iter_mut().map(|watched| watched.woken().boxed());
        // Its end is as good as a change: it is time to look.
        let _is_woken: bool = timeout(pause, select_all(wakes)).await.is_ok();
        for watched in &mut self.watched {
            watched.changes.mark_unchanged();
        }
        Ok(())
    }
}

impl Watched<'_> {
    async fn woken(&mut self) {
        loop {
            if self.changes.changed().await.is_err() {
                // A watch that broke wakes nobody any more.
                return std::future::pending().await;
            }
            let told = self.changes.borrow_and_update();
            match (&self.worth, &told.object) {
                (Some(worth), Some(object)) if !worth(object) => {}
                // Not yet begun: its beginning tells.
                (Some(_), None) if told.times == 0 => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
