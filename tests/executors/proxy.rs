//! What stands between an executor and the API server, and lets an agent's process meet every fault.
//!
//! A tower service around kube's client: it sees each request before the API server does and each answer before the
//! executor does, so that a fault lies exactly between two of them. It counts the requests that change something (dry
//! runs change nothing) and strikes at the chosen ones: the process dies before a write or after it, is stopped right
//! before it, loses the answer to it, or is refused once. A process that died says nothing more: each further request of
//! it waits for ever, whatever task of it is left.
//!
//! Of Sieve's classes it makes the two about reads: what an API server told earlier is told again in place of the truth
//! ([`Sight::Stale`]), and what a watch would have told is swallowed ([`Sight::Unobserved`]). A command's own client
//! makes no difference between a proxy and the API server; connections are shared, for a handshake for each command
//! would cost more than the command.
//!
//! What must hold whatever was struck is looked at here too, where it is certain: [`super::steps`] gives a guard that
//! sees each deletion before the API server does, and a read that lets the API server answer from its cache is a fault.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt as _, future::pending, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tower::{BoxError, service_fn};

use super::memory::{Answer, Memory};

/// What a process meets at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It dies, and the request is never sent.
    KilledBefore,
    /// It dies when the API server has done the work.
    KilledAfter,
    /// The API server has done the work, and the connection breaks before its answer arrives.
    Dropped,
    /// The API server does nothing and answers with that status.
    Refused(u16),
    /// The process is stopped, and sends the request when [`Proxy::go_on`] says so.
    Stopped,
}

/// The writes that are struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one of that number, counted from 1.
    Number(usize),
    /// The first of each object and method, every `of`th of them beginning with number `first`, counted from 0.
    Every {
        /// The first of them.
        first: usize,
        /// How many there are from one to the next.
        of: usize,
    },
}

/// What reads tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The truth.
    #[default]
    Clear,
    /// What the same read told in an earlier command, once for each; those of one number only, counted from 1, or all.
    Stale(Option<usize>),
    /// Watches begin with what was, and tell nothing that comes after.
    StaleWatches,
    /// Watches tell nothing.
    Unobserved,
}

/// What a process is to meet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// At which writes what happens.
    pub(crate) strike: Option<(Which, Fault)>,
    /// What it sees.
    pub(crate) sight: Sight,
    /// What earlier commands were told.
    pub(crate) memory: Memory,
}

/// A write as it was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// `<method> <path>`.
    pub(crate) name: String,
    /// What the API server answered; nothing if it was not asked or did not answer yet.
    pub(crate) status: Option<u16>,
    /// Whether it was struck.
    pub(crate) is_struck: bool,
}

/// One process of an agent, as the API server sees it.
#[derive(Clone)]
pub(crate) struct Proxy(Arc<State>);

struct State {
    plan: Plan,
    is_dead: AtomicBool,
    seen: Mutex<Seen>,
    reached: Notify,
    is_stopped: AtomicBool,
    going_on: watch::Sender<bool>,
    landed: watch::Sender<bool>,
}

#[derive(Default)]
struct Seen {
    writes: Vec<Write>,
    /// How often each was begun, and its place among them.
    begun: BTreeMap<String, (usize, usize)>,
    /// Reads that could be told something old, by number.
    old: Vec<String>,
    /// Watches that were opened.
    watches: Vec<String>,
    faults: Vec<String>,
}

/// What travels back.
pub(crate) type Told = UnsyncBoxBody<Bytes, BoxError>;
type Answered = Result<Response<Told>, BoxError>;

impl Proxy {
    /// Only looks on.
    pub(crate) fn clear() -> Self {
        Self::of(Plan::default())
    }

    /// Strikes at the `number`th write, counted from 1.
    pub(crate) fn at(number: usize, fault: Fault) -> Self {
        Self::of(Plan { strike: Some((Which::Number(number), fault)), ..Plan::default() })
    }

    /// Lets a process meet `plan`.
    pub(crate) fn of(plan: Plan) -> Self {
        Self(Arc::new(State {
            plan,
            is_dead: AtomicBool::new(false),
            seen: Mutex::default(),
            reached: Notify::new(),
            is_stopped: AtomicBool::new(false),
            going_on: watch::Sender::new(false),
            landed: watch::Sender::new(false),
        }))
    }

    /// Writes that were begun, in order.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.seen().writes.clone()
    }

    /// Reads that were told something old, or could have been, in order.
    pub(crate) fn old(&self) -> Vec<String> {
        self.seen().old.clone()
    }

    /// Watches that were opened, each once.
    pub(crate) fn watches(&self) -> Vec<String> {
        self.seen().watches.clone()
    }

    /// What no process may do, and this one did.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.seen().faults.clone()
    }

    /// Lets a stopped process go on.
    pub(crate) fn go_on(&self) {
        self.0.going_on.send_replace(true);
    }

    /// Waits until the process is dead or stopped.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// `client` as this process uses it in `cluster`; `guard` sees each deletion before the API server does, and says
    /// what is wrong with it.
    pub(crate) fn client<G, F>(&self, client: &kube::Client, cluster: &str, guard: G) -> kube::Client
    where
        G: Fn(String) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<String>> + Send,
    {
        let (proxy, client, cluster) = (self.clone(), client.clone(), cluster.to_owned());
        let service = service_fn(move |request: Request<Body>| {
            let (proxy, client, cluster, guard) =
                (proxy.clone(), client.clone(), cluster.clone(), guard.clone());
            async move {
                if proxy.0.is_dead.load(Ordering::SeqCst) {
                    return pending().await;
                }
                if proxy.0.is_stopped.load(Ordering::SeqCst) {
                    proxy.landed().await;
                }
                if *request.method() == Method::DELETE
                    && let Some(wrong) = guard(request.uri().path().to_owned()).await
                {
                    proxy.seen().faults.push(wrong);
                }
                proxy.pass(client, &cluster, request).await
            }
        });
        kube::Client::new(service, "default")
    }

    async fn pass(&self, client: kube::Client, cluster: &str, request: Request<Body>) -> Answered {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_read && query.contains("watch=true") {
            return self.watch(client, cluster, request).await;
        }
        if is_read {
            return self.read(client, cluster, request).await;
        }
        if query.contains("dryRun") {
            return sent(client, request).await;
        }
        let (number, struck) = self.begin(&request);
        let answered = match struck {
            None => return self.note(number, sent(client, request).await),
            Some(fault) => fault,
        };
        match answered {
            Fault::KilledBefore => self.die().await,
            Fault::KilledAfter => {
                let _lost = self.note(number, sent(client, request).await);
                self.die().await
            }
            Fault::Dropped => {
                let _lost = self.note(number, sent(client, request).await);
                Err("the connection was closed before the answer came".into())
            }
            Fault::Refused(code) => Ok(refusal(code)),
            Fault::Stopped => self.stop(number, client, request).await,
        }
    }

    /// Holds the process: its request goes out when it goes on, whatever the process, whose clock runs on here, thinks of
    /// it by then; nothing else of it goes out before.
    async fn stop(&self, number: usize, client: kube::Client, request: Request<Body>) -> Answered {
        let (proxy, mut going_on) = (self.clone(), self.0.going_on.subscribe());
        self.0.is_stopped.store(true, Ordering::SeqCst);
        let sending = tokio::spawn(async move {
            let _ = going_on.wait_for(|goes_on| *goes_on).await.is_ok();
            let answered = proxy.note(number, sent(client, request).await);
            proxy.0.is_stopped.store(false, Ordering::SeqCst);
            proxy.0.landed.send_replace(true);
            answered
        });
        self.0.reached.notify_one();
        sending.await?
    }

    /// Waits until the held write of a process that goes on was answered.
    pub(crate) async fn landed(&self) {
        let mut landed = self.0.landed.subscribe();
        let _ = landed.wait_for(|landed| *landed).await.is_ok();
    }

    /// Writes the beginning of a write down: its number, counted from 0, and what strikes it.
    fn begin(&self, request: &Request<Body>) -> (usize, Option<Fault>) {
        let name = format!("{} {}", request.method(), request.uri().path());
        let mut seen = self.seen();
        let distinct = seen.begun.len();
        let begun = seen.begun.entry(name.clone()).or_insert((0, distinct));
        begun.0 += 1;
        let (times, place) = *begun;
        let number = seen.writes.len();
        let struck = self.0.plan.strike.filter(|(which, fault)| match which {
            Which::Number(chosen) => *chosen == number + 1,
            // What was refused comes again, and passes then; what follows to the same object is another write.
            Which::Every { first, of } => {
                place % of == *first && (*fault == Fault::Dropped && times < 3 || matches!(times, 1 | 3))
            }
        });
        seen.writes.push(Write { name, status: None, is_struck: struck.is_some() });
        (number, struck.map(|(_, fault)| fault))
    }

    fn note(&self, number: usize, answered: Answered) -> Answered {
        if let (Some(write), Ok(answer)) = (self.seen().writes.get_mut(number), &answered) {
            write.status = Some(answer.status().as_u16());
        }
        answered
    }

    async fn die(&self) -> Answered {
        self.0.is_dead.store(true, Ordering::SeqCst);
        self.0.reached.notify_one();
        pending().await
    }

    /// A read, which asks for the latest: the API server must not answer from its cache.
    async fn read(&self, client: kube::Client, cluster: &str, request: Request<Body>) -> Answered {
        let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        if asked.contains("resourceVersion") {
            self.seen().faults.push(format!("GET {asked} lets the API server answer from its cache"));
        }
        let key = format!("{cluster} {asked}");
        let (status, body) = {
            let (parts, body) = sent(client, request).await?.into_parts();
            (parts.status, body.collect().await?.to_bytes())
        };
        let truth = Answer { status: status.as_u16(), body };
        let memory = &self.0.plan.memory;
        let earlier = memory.earlier(&key).filter(|earlier| earlier.differs(&truth));
        memory.keep(&key, &truth);
        let told = earlier.filter(|_| self.is_old(&asked)).unwrap_or(truth);
        Ok(whole(told.status, told.body))
    }

    /// Whether the read is told something old: each once.
    fn is_old(&self, asked: &str) -> bool {
        let mut seen = self.seen();
        if seen.old.iter().any(|known| known == asked) {
            return false;
        }
        seen.old.push(asked.to_owned());
        match self.0.plan.sight {
            Sight::Stale(None) => true,
            Sight::Stale(Some(number)) => number == seen.old.len(),
            _ => false,
        }
    }

    async fn watch(&self, client: kube::Client, cluster: &str, request: Request<Body>) -> Answered {
        let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        {
            let mut seen = self.seen();
            if !seen.watches.contains(&asked) {
                seen.watches.push(asked.clone());
            }
        }
        let first = match self.0.plan.sight {
            Sight::Clear | Sight::Stale(_) => return sent(client, request).await,
            Sight::Unobserved => None,
            Sight::StaleWatches => watched(&asked).and_then(|object| {
                let earlier = self.0.plan.memory.earlier(&format!("{cluster} {object}"))?;
                (earlier.status == 200).then_some(earlier.body)
            }),
        };
        let first = first.and_then(|object| serde_json::from_slice::<Value>(&object).ok()).map(|object| {
            let event = json!({"type": "ADDED", "object": object});
            Ok(Frame::data(Bytes::from(format!("{event}\n"))))
        });
        let silence = stream::iter(first).chain(stream::pending());
        let mut response = Response::new(StreamBody::new(silence).boxed_unsync());
        *response.status_mut() = StatusCode::OK;
        Ok(response)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path of the one object that a watch is for.
fn watched(asked: &str) -> Option<String> {
    let (path, query) = asked.split_once('?')?;
    let name = query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"))?;
    Some(format!("{path}/{name}"))
}

async fn sent(client: kube::Client, request: Request<Body>) -> Answered {
    let answer = client.send(request).await?;
    Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
}

fn whole(status: u16, body: Bytes) -> Response<Told> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// What an API server says when it does not do what it was asked for.
fn refusal(code: u16) -> Response<Told> {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason, "code": code,
        "message": format!("refused once with {code} by the test's proxy"),
    });
    whole(code, Bytes::from(status.to_string()))
}
