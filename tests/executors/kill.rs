//! A client that dies at a chosen write.
//!
//! A tower layer around kube's client counts the requests that change something. At the chosen one the client says
//! so and never answers again, either before the request is sent or after the API server has answered it; the test
//! then drops the executor, as a SIGKILL would. Or the process is stopped right before the write, as a SIGSTOP would,
//! and goes on with it when the test says so. Reads and dry runs pass uncounted.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::{FutureExt, future::pending};
use kube::client::Body;
use tokio::sync::Notify;
use tower::{Layer, Service};

/// On which side of the write the client dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The request is never sent.
    Before,
    /// The request is carried out, its answer never arrives.
    After,
    /// The request is sent when [`Kill::go_on`] says so.
    Paused,
}

/// Counts writes, and kills at one of them.
#[derive(Clone, Debug)]
pub(crate) struct Kill(Arc<State>);

#[derive(Debug)]
struct State {
    writes: AtomicUsize,
    at: Option<(usize, Side)>,
    reached: Notify,
    going_on: Notify,
}

impl Kill {
    /// Only counts.
    pub(crate) fn never() -> Self {
        Self::of(None)
    }

    /// Kills at the `number`th write, counted from 1.
    pub(crate) fn at(number: usize, side: Side) -> Self {
        Self::of(Some((number, side)))
    }

    fn of(at: Option<(usize, Side)>) -> Self {
        Self(Arc::new(State {
            writes: AtomicUsize::new(0),
            at,
            reached: Notify::new(),
            going_on: Notify::new(),
        }))
    }

    /// Writes that were begun.
    pub(crate) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// Lets a paused process go on.
    pub(crate) fn go_on(&self) {
        self.0.going_on.notify_one();
    }

    /// Waits until the chosen write is reached.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }
}

impl<S> Layer<S> for Kill {
    type Service = Killed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Killed { inner, kill: self.clone() }
    }
}

/// The service with the counter around it.
#[derive(Clone, Debug)]
pub(crate) struct Killed<S> {
    inner: S,
    kill: Kill,
}

impl<S> Service<http::Request<Body>> for Killed<S>
where
    S: Service<http::Request<Body>>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let is_dry_run = request.uri().query().is_some_and(|query| query.contains("dryRun"));
        let is_read = matches!(*request.method(), http::Method::GET | http::Method::HEAD);
        if is_read || is_dry_run {
            return Box::pin(self.inner.call(request));
        }
        let number = self.kill.0.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let chosen = self.kill.0.at.filter(|(at, _)| *at == number).map(|(_, side)| side);
        let kill = self.kill.clone();
        match chosen {
            None => Box::pin(self.inner.call(request)),
            Some(Side::Before) => Box::pin(async move {
                kill.0.reached.notify_one();
                pending().await
            }),
            Some(Side::Paused) => {
                // Nothing is sent before it is polled.
                let answer = self.inner.call(request);
                Box::pin(async move {
                    kill.0.reached.notify_one();
                    kill.0.going_on.notified().await;
                    answer.await
                })
            }
            Some(Side::After) => {
                let answer = self.inner.call(request).map(drop);
                Box::pin(async move {
                    answer.await;
                    kill.0.reached.notify_one();
                    pending().await
                })
            }
        }
    }
}
