//! An API server of a few objects, for tests of what single writes say.
//!
//! It answers reads from what it was given and keeps every write with its body, so that a test sees which tests a patch
//! has and which preconditions a deletion carries. A deletion removes; a creation adds; a patch changes nothing. Answers
//! may be told beforehand. How a real API server behaves it does not know: that is for the tests that have one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{
    api::{Key, Kind},
    object,
    watches::Watches,
};
use crate::{
    context::{Context, Facts},
    limits,
    progress::Queue,
};

/// The epoch of the command that tests carry out.
pub(super) const EPOCH: u64 = 5;
/// In the place of a code: there is no answer.
pub(super) const NEVER: u16 = 0;
/// How long a wait of it lasts: one look, and another one.
const PATIENCE: Duration = Duration::from_millis(200);

/// The server. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: Vec<(String, Value)>,
    reads: VecDeque<u16>,
    writes: VecDeque<u16>,
    written: Vec<Write>,
    renewals: u32,
}

/// A write that came.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// Its verb.
    pub(super) verb: Method,
    /// What it was for.
    pub(super) path: String,
    /// What it said.
    pub(super) body: Value,
}

impl Server {
    /// Adds an object.
    pub(super) fn with(self, kind: Kind, object: &Value) -> Self {
        let path = format!("{}/{}", path_of(kind), object::name(object));
        self.lock().objects.push((path, object.clone()));
        self
    }

    /// The next reads are answered with these codes.
    pub(super) fn answers_reads(self, codes: &[u16]) -> Self {
        self.lock().reads.extend(codes);
        self
    }

    /// The next writes are answered with these codes; with [`NEVER`] not at all.
    pub(super) fn answers_writes(self, codes: &[u16]) -> Self {
        self.lock().writes.extend(codes);
        self
    }

    /// Every Lease is read renewed from now on.
    pub(super) fn renewing(self) -> Self {
        self.lock().renewals = 1;
        self
    }

    /// Every write so far.
    pub(super) fn written(&self) -> Vec<Write> {
        self.lock().written.clone()
    }

    /// A command of [`EPOCH`] for the workload `db`, with time for a second look.
    pub(super) fn context(&self) -> Context {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Context {
            client: kube::Client::new(service, "shop"),
            cluster: "east".to_owned(),
            command: Facts {
                id: "db-1/2/release/7".to_owned(),
                epoch: EPOCH,
                generation: 1,
                namespace: "shop".to_owned(),
                workload: "db".to_owned(),
                migration: "db-1".to_owned(),
            },
            deadline: Instant::now() + limits::DEADLINE_MARGIN + PATIENCE,
            progress: Queue::default().reporter("db-1/2/release/7"),
            watches: Watches::default(),
        }
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
        let body = body.collect_bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (code, answer) = if query.contains("watch") {
            (200, String::new())
        } else if parts.method == Method::GET {
            self.lock().read(&path)
        } else {
            self.lock().write(Write { verb: parts.method, path, body })
        };
        if code == NEVER {
            return std::future::pending().await;
        }
        Ok(Response::builder().status(code).body(Body::from(answer.into_bytes())).unwrap())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, path: &str) -> (u16, String) {
        if let Some(code) = self.reads.pop_front() {
            return said(code);
        }
        if let Some((_, found)) = self.objects.iter().find(|(of, _)| of == path) {
            let mut found = found.clone();
            if self.renewals > 0 && path.contains("/leases/") {
                self.renewals += 1;
                found["spec"]["renewTime"] = format!("2026-01-01T00:00:{:02}Z", self.renewals % 60).into();
            }
            return (200, found.to_string());
        }
        let is_list = path.rsplit('/').next().is_some_and(|last| last.ends_with('s') && !last.contains('-'));
        if !is_list {
            return said(404);
        }
        let below = format!("{path}/");
        let items: Vec<_> =
            self.objects.iter().filter(|(of, _)| of.starts_with(&below)).map(|(_, of)| of).collect();
        (200, json!({"metadata": {}, "items": items}).to_string())
    }

    fn write(&mut self, write: Write) -> (u16, String) {
        self.written.push(write.clone());
        if let Some(code) = self.writes.pop_front() {
            return said(code);
        }
        let found = self.objects.iter().position(|(path, _)| *path == write.path);
        match (write.verb.as_str(), found) {
            ("POST", _) => {
                let path = format!("{}/{}", write.path, object::name(&write.body));
                self.objects.push((path, write.body.clone()));
                (201, write.body.to_string())
            }
            ("DELETE", Some(at)) => (200, self.objects.remove(at).1.to_string()),
            (_, Some(at)) => (200, self.objects[at].1.to_string()),
            (_, None) => said(404),
        }
    }
}

fn path_of(kind: Kind) -> String {
    kind.path(
        &Key::within(kind, if kind.plural == "leases" { "kube-node-lease" } else { "shop" }, "").namespace,
    )
}

/// A `Status` of that code.
fn said(code: u16) -> (u16, String) {
    let reason = match code {
        404 => "NotFound",
        409 => "AlreadyExists",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "as it was told", "reason": reason, "code": code,
    });
    (code, status.to_string())
}
