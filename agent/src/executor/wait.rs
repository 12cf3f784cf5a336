//! Waiting for the cluster without polling it.
//!
//! A [`Wait`] watches single objects and wakes when one of them changes; the executor then looks with quorum reads
//! and decides by those, never by what the watch carried (it may be stale). A watch that falls silent costs at most
//! [`limits::RECHECK`]. The wait ends as unknown (I8) shortly before the command's deadline, so that the outcome says
//! what was waited for, which the deadline itself could not.

use std::time::Duration;

use futures::{
    FutureExt, StreamExt,
    stream::{BoxStream, SelectAll},
};
use kube::{
    Api,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::time::{Instant, timeout};

use super::api::Key;
use crate::{context::Context, limits, outcome::Stop};

/// Wakes when an object that it watches changes.
pub(crate) struct Wait<'a> {
    ctx: &'a Context,
    step: u32,
    watched: Vec<Key>,
    changes: SelectAll<BoxStream<'static, ()>>,
}

impl<'a> Wait<'a> {
    /// Watches nothing yet; `step` is what progress is reported for.
    pub(crate) fn new(ctx: &'a Context, step: u32) -> Self {
        Self { ctx, step, watched: Vec::new(), changes: SelectAll::new() }
    }

    /// Watches `key` too, from the next pause on.
    pub(crate) fn watch(&mut self, key: &Key) {
        if self.watched.contains(key) {
            return;
        }
        self.watched.push(key.clone());
        let resource = key.kind.resource();
        let api: Api<DynamicObject> = if key.kind.namespaced {
            Api::namespaced_with(self.ctx.client.clone(), &key.namespace, &resource)
        } else {
            Api::all_with(self.ctx.client.clone(), &resource)
        };
        let config = watcher::Config::default().fields(&format!("metadata.name={}", key.name));
        let changes = watcher::watcher(api, config).default_backoff().filter_map(|event| async {
            match event {
                Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => Some(()),
                Ok(Event::Init | Event::InitApply(_)) => None,
                Err(error) => {
                    tracing::debug!(%error, "a watch is opened again");
                    None
                }
            }
        });
        self.changes.push(changes.boxed());
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
        if self.changes.is_empty() {
            tokio::time::sleep(pause).await;
            return Ok(());
        }
        if timeout(pause, self.changes.next()).await.is_ok() {
            while self.changes.next().now_or_never().flatten().is_some() {}
        }
        Ok(())
    }
}
