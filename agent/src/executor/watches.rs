//! The watches of one command: each object once, from whoever asks first to the command's end.
//!
//! They wake, and decide nothing: whoever is woken looks with quorum reads. What they tell of an object, which may be
//! old, serves only to sleep on where a look would find nothing yet. One request begins from what the API server has at
//! hand (`resourceVersion=0`), so that nothing is listed first; whatever happened before it began is covered by the wake
//! at its beginning. Waits of one command share them, because each costs a connection; a step that knows what it will
//! wait for opens them while it waits for something else.
//!
//! A watch that ends is opened again, with pauses that grow. Meanwhile waits look at their own pace.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{TryStreamExt as _, pin_mut};
use kube::{
    Client,
    core::{Request, WatchEvent, params::WatchParams},
};
use serde_json::Value;
use tokio::{
    sync::watch::{Receiver, Sender, channel},
    task::JoinSet,
    time::timeout,
};

use super::api::Key;
use crate::{backoff::Backoff, context::Context, limits, outcome::said};

/// The watches that are open. Clones share them; they end with the last one.
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    watched: Vec<(Key, Receiver<Told>)>,
    tasks: JoinSet<()>,
}

/// What a watch has told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How often it told something.
    pub(crate) times: u64,
    /// The object as it told it last; nothing when it does not exist.
    pub(crate) object: Option<Arc<Value>>,
}

impl Watches {
    /// Wakes of `key`; its watch is opened unless it is open. What changed before this call counts as not yet seen.
    pub(crate) fn of(&self, client: &Client, key: &Key) -> Receiver<Told> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, changes)) = open.watched.iter().find(|(watched, _)| watched == key) {
            let mut changes = changes.clone();
            changes.mark_changed();
            return changes;
        }
        let (changed, changes) = channel(Told::default());
        open.watched.push((key.clone(), changes.clone()));
        open.tasks.spawn(follow(client.clone(), key.clone(), changed));
        changes
    }
}

/// Opens the watches of what the command will wait for, so that they stand when it does.
pub(crate) fn foresee(ctx: &Context, keys: impl IntoIterator<Item = Key>) {
    for key in keys {
        let _for_later = ctx.watches.of(&ctx.client, &key);
    }
}

/// Watches `key` until dropped.
async fn follow(client: Client, key: Key, changed: Sender<Told>) {
    let mut backoff = Backoff::new();
    loop {
        match watch(&client, &key, &changed).await {
            Ok(()) => backoff.reset(),
            Err(error) => tracing::debug!(%key, error = said(&error), "a watch is opened again"),
        }
        backoff.pause().await;
    }
}

/// One watch, to its end.
async fn watch(client: &Client, key: &Key, changed: &Sender<Told>) -> kube::Result<()> {
    let params =
        WatchParams::default().fields(&format!("metadata.name={}", key.name)).timeout(limits::WATCH_SECONDS);
    let request = Request::new(key.kind.path(&key.namespace)).watch(&params, "0");
    let request = request.map_err(kube::Error::BuildRequest)?;
    let events = client.request_events::<Value>(request).await?;
    pin_mut!(events);
    // An object that exists is told first: one wake for both the beginning and that.
    let begun = Ok(Some(WatchEvent::Deleted(Value::Null)));
    let mut next = timeout(limits::WATCH_FIRST, events.try_next()).await.unwrap_or(begun);
    loop {
        match next? {
            Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => tell(changed, Some(object)),
            Some(WatchEvent::Deleted(_)) => tell(changed, None),
            Some(WatchEvent::Bookmark(_)) => {}
            Some(WatchEvent::Error(error)) => return Err(kube::Error::Api(error)),
            None => return Ok(()),
        }
        next = match timeout(limits::WATCH_SILENCE, events.try_next()).await {
            Ok(next) => next,
            Err(_silent) => return Ok(()),
        };
    }
}

/// Tells those who wait of the object as it is, or that there is none.
pub(super) fn tell(changed: &Sender<Told>, object: Option<Value>) {
    changed.send_modify(|told| *told = Told { times: told.times + 1, object: object.map(Arc::new) });
}

#[cfg(test)]
#[path = "watches_tests.rs"]
mod tests;
