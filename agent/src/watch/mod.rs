//! Follows a collection of the API server: list, then watch, for ever.
//!
//! kube's own watcher hides bookmarks, and a quiet cluster then cannot be told from a watch that is stuck; how stale
//! a report may be is something the controller wants to know ([`Status::age`]). So the loop is here: a quorum list in
//! pages, a watch from its version with bookmarks, a list again when the version is gone. Objects are decoded into
//! small types that have only the fields used ([`object`]), so that memory and time do not grow with what the objects
//! carry besides.
//!
//! What is folded from here is for reports. Executors read for themselves.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{TryStreamExt as _, pin_mut};
use kube::{
    Client,
    api::{ListMeta, ListParams, WatchParams},
    core::{Request, WatchEvent},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    sync,
    time::{Instant, timeout},
};

use crate::{
    backoff::Backoff,
    limits,
    outcome::{Class, classify, said},
};

pub mod object;
pub mod table;

use object::Meta;

/// An object that can be followed.
pub trait Watched: DeserializeOwned + Clone + Send + 'static {
    /// Its metadata.
    fn meta(&self) -> &Meta;
}

/// What happened to the collection.
pub enum Change<T> {
    /// A list begins: what follows replaces everything.
    Restart,
    /// It is there, as given.
    Present(T),
    /// The list is complete.
    Complete,
    /// It is gone.
    Gone(T),
}

/// A collection.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// What people call it: `StatefulSets`.
    pub what: &'static str,
    /// Path under the API server: `/apis/apps/v1/statefulsets`.
    pub path: String,
    /// Label selector.
    pub labels: Option<&'static str>,
    /// When watches begin again.
    pub revival: Revival,
    /// Whether an API server that does not know it has an empty one.
    pub optional: bool,
}

/// Makes watches begin again from where they are, all at once: after the API server was away a connection may look
/// alive that nobody serves any more. Clones share it.
#[derive(Clone, Debug)]
pub struct Revival(sync::watch::Sender<()>);

impl Revival {
    /// Nothing was revived yet.
    pub fn new() -> Self {
        Self(sync::watch::Sender::new(()))
    }

    /// Every watch begins again.
    pub fn revive(&self) {
        self.0.send_replace(());
    }
}

impl Default for Revival {
    fn default() -> Self {
        Self::new()
    }
}

/// How one watch fares. Clones share it.
#[derive(Clone)]
pub struct Status(Arc<Mutex<State>>);

struct State {
    what: &'static str,
    complete: bool,
    heard: Instant,
    error: Option<String>,
}

impl Status {
    /// Of a watch that begins now.
    pub fn new(what: &'static str) -> Self {
        let state = State { what, complete: false, heard: Instant::now(), error: None };
        Self(Arc::new(Mutex::new(state)))
    }

    /// What is followed.
    pub fn what(&self) -> &'static str {
        self.lock().what
    }

    /// Whether a whole list was ever seen.
    pub fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// Time since the last event or bookmark.
    pub fn age(&self) -> Duration {
        self.lock().heard.elapsed()
    }

    /// What is wrong, if anything.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    fn heard(&self) {
        let mut state = self.lock();
        state.heard = Instant::now();
        state.error = None;
    }

    fn complete(&self) {
        self.lock().complete = true;
        self.heard();
    }

    fn failed(&self, error: &kube::Error) {
        let mut state = self.lock();
        let what = state.what;
        let text = match classify(error) {
            Class::Denied => {
                format!("may not watch {what}: {}. Grant the agent what deploy/agent/ lists", said(error))
            }
            _ => format!("cannot watch {what}: {}", said(error)),
        };
        if state.error.as_ref() != Some(&text) {
            tracing::warn!(error = text, "watch interrupted; tried again");
        }
        state.error = Some(text);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows `source` until dropped; every change goes through `fold`, in order.
pub async fn follow<T: Watched>(
    client: Client,
    source: Source,
    status: Status,
    mut fold: impl FnMut(Change<T>),
) {
    let request = Request::new(source.path.clone());
    let mut backoff = Backoff::new();
    let mut version: Option<String> = None;
    loop {
        let (begun, watching) = (Instant::now(), version.is_some());
        let outcome = match version.take() {
            None => list(&client, &request, &source, &mut fold).await.map(|listed| {
                status.complete();
                Some(listed)
            }),
            Some(from) => {
                let mut at = from;
                let watched = watch(&client, &request, &source, &mut at, &status, &mut fold).await;
                match watched {
                    Err(error) if classify(&error) == Class::Expired => Ok(None),
                    Err(error) => {
                        version = Some(at);
                        Err(error)
                    }
                    Ok(()) => Ok(Some(at)),
                }
            }
        };
        match outcome {
            Ok(next) => {
                version = next;
                if begun.elapsed() >= limits::WATCH_SHORT {
                    backoff.reset();
                } else if watching {
                    backoff.pause().await;
                }
            }
            Err(error) if source.optional && classify(&error) == Class::Missing => {
                fold(Change::Restart);
                fold(Change::Complete);
                status.complete();
                tokio::time::sleep(limits::UNSERVED_PAUSE).await;
            }
            Err(error) => {
                status.failed(&error);
                backoff.pause().await;
            }
        }
    }
}

/// A page of a list.
#[derive(Deserialize, Clone)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    metadata: ListMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

async fn list<T: Watched>(
    client: &Client,
    request: &Request,
    source: &Source,
    fold: &mut impl FnMut(Change<T>),
) -> kube::Result<String> {
    let mut params = ListParams::default().limit(limits::WATCH_PAGE);
    params.label_selector = source.labels.map(str::to_owned);
    fold(Change::Restart);
    loop {
        let built = request.list(&params).map_err(kube::Error::BuildRequest)?;
        let page: Page<T> = soon(client.request(built)).await?;
        for item in page.items {
            fold(Change::Present(item));
        }
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            fold(Change::Complete);
            return Ok(page.metadata.resource_version.unwrap_or_default());
        }
    }
}

/// An answer that does not begin in time is a lost one: the connection may lead nowhere any more.
async fn soon<T>(answer: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    timeout(limits::REQUEST_TIMEOUT, answer)
        .await
        .unwrap_or_else(|late| Err(kube::Error::Service(late.into())))
}

async fn watch<T: Watched>(
    client: &Client,
    request: &Request,
    source: &Source,
    version: &mut String,
    status: &Status,
    fold: &mut impl FnMut(Change<T>),
) -> kube::Result<()> {
    let params = WatchParams {
        label_selector: source.labels.map(str::to_owned),
        timeout: Some(limits::WATCH_SECONDS),
        ..WatchParams::default()
    };
    let built = request.watch(&params, version).map_err(kube::Error::BuildRequest)?;
    let events = soon(client.request_events::<T>(built)).await?;
    pin_mut!(events);
    let mut revived = source.revival.0.subscribe();
    loop {
        let event = tokio::select! {
            biased;
            _ = revived.changed() => return Ok(()),
            event = timeout(limits::WATCH_SILENCE, events.try_next()) => event,
        };
        let Ok(event) = event else { return Ok(()) };
        match event? {
            None => return Ok(()),
            Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                object.meta().resource_version.clone_into(version);
                fold(Change::Present(object));
            }
            Some(WatchEvent::Deleted(object)) => {
                object.meta().resource_version.clone_into(version);
                fold(Change::Gone(object));
            }
            Some(WatchEvent::Bookmark(bookmark)) => *version = bookmark.metadata.resource_version,
            Some(WatchEvent::Error(error)) => return Err(kube::Error::Api(error)),
        }
        status.heard();
    }
}
