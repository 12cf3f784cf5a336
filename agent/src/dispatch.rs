//! Runs commands: one task for each command id, however often the controller sends it.
//!
//! A repeated id whose command runs joins it; one whose outcome waits for its acknowledgement has that outcome sent
//! again; only an id that was acknowledged (or never seen) starts anew. Everything here is lost with the process, on
//! purpose: the controller sends again what it has no outcome for, and executors find in the cluster how far they
//! came. A command that outlives its time, or whose task breaks, ends as unknown (I8).
//!
//! A command for an ordinal ends one of a lower epoch for the same ordinal that still runs: that one is dropped where
//! it stands and refused as of the past, and only then does the new one begin. This only makes haste. That nothing of
//! the older one lands later, wherever it runs, is held by the epochs and by what its writes test.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use ferry_proto::agent::v1::{Command, Outcome, command::Body};
use prost::Message as _;
use tokio::{sync::Notify, time::Instant};
use tracing::Instrument as _;

use crate::{
    context::{Context, Facts},
    executor::{self, watches::Watches},
    inspect, limits,
    outcome::{Ended, Evidence, Stop},
    progress::{Queue, hold},
    telemetry::{Telemetry, Watch},
};

mod running;

use running::{Begun, Running};

/// The commands of this process. Clones share them.
#[derive(Clone)]
pub struct Dispatch(Arc<Shared>);

struct Shared {
    client: kube::Client,
    cluster: String,
    progress: Queue,
    telemetry: OnceLock<Telemetry>,
    table: Mutex<Table>,
    ended: Notify,
}

#[derive(Default)]
struct Table {
    running: Running,
    outcomes: BTreeMap<String, Outcome>,
    unsent: VecDeque<String>,
}

/// A command was not taken, and no outcome will come: the stream has to start again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its id is empty or too long.
    #[error("the controller sent a command whose id has {0} bytes; 1 to {max} are allowed", max = limits::COMMAND_ID_BYTES)]
    Id(usize),
    /// Too many outcomes wait for their acknowledgement.
    #[error("{0} outcomes wait for the controller's acknowledgement; it is asked again after attaching anew")]
    Unacknowledged(usize),
}

impl Dispatch {
    /// Nothing runs yet.
    pub fn new(client: kube::Client, cluster: impl Into<String>, progress: Queue) -> Self {
        let (table, ended) = (Mutex::default(), Notify::new());
        let telemetry = OnceLock::new();
        Self(Arc::new(Shared { client, cluster: cluster.into(), progress, telemetry, table, ended }))
    }

    /// The same, whose commands are counted and told by `telemetry`.
    #[must_use]
    pub fn watched_by(self, telemetry: Telemetry) -> Self {
        let _first = self.0.telemetry.set(telemetry);
        self
    }

    /// Takes a command; its outcome comes out of [`Dispatch::next_outcome`].
    ///
    /// # Errors
    /// See [`Error`]: nothing was begun.
    pub fn submit(&self, command: Command) -> Result<(), Error> {
        let size = command.id.len();
        if size == 0 || size > limits::COMMAND_ID_BYTES {
            return Err(Error::Id(size));
        }
        let mut table = self.lock();
        if table.running.contains(&command.id) {
            return Ok(());
        }
        if table.outcomes.contains_key(&command.id) {
            table.offer(command.id);
            self.0.ended.notify_one();
            return Ok(());
        }
        if table.outcomes.len() >= limits::OUTCOMES_KEPT {
            return Err(Error::Unacknowledged(table.outcomes.len()));
        }
        if table.running.len() >= limits::COMMANDS_AT_ONCE {
            let busy = Stop::not_ready(format!(
                "This agent carries out {} commands already; it takes no more at once",
                table.running.len()
            ));
            table.finish(command.id, busy.into());
            self.0.ended.notify_one();
            return Ok(());
        }
        let begun = table.running.begin(&command);
        drop(table);
        tokio::spawn(run(self.clone(), command, begun));
        Ok(())
    }

    /// The outcome of `command_id` is durable: forget it.
    pub fn acknowledge(&self, command_id: &str) {
        self.lock().outcomes.remove(command_id);
    }

    /// A stream begins: every outcome that was not acknowledged is due again.
    pub fn attached(&self) {
        let mut table = self.lock();
        table.unsent = table.outcomes.keys().cloned().collect();
        self.0.ended.notify_one();
    }

    /// Ids of the commands that run now, ascending.
    pub fn in_progress(&self) -> Vec<String> {
        self.lock().running.ids()
    }

    /// The next outcome to send; waits for one. To be called by one task at a time; cancel-safe.
    pub async fn next_outcome(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.lock().take_unsent() {
                return outcome;
            }
            self.0.ended.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn offer(&mut self, id: String) {
        if !self.unsent.contains(&id) {
            self.unsent.push_back(id);
        }
    }

    fn finish(&mut self, id: String, evidence: Evidence) {
        self.running.end(&id);
        self.outcomes
            .insert(id.clone(), sendable(Outcome { command_id: id.clone(), result: Some(evidence) }));
        self.offer(id);
    }

    fn take_unsent(&mut self) -> Option<Outcome> {
        while let Some(id) = self.unsent.pop_front() {
            if let Some(outcome) = self.outcomes.get(&id) {
                return Some(outcome.clone());
            }
        }
        None
    }
}

/// `outcome`, or in its place a refusal that says that it is too large: one that cannot be sent would end every stream.
fn sendable(outcome: Outcome) -> Outcome {
    let size = outcome.encoded_len();
    if size <= limits::OUTCOME_BYTES {
        return outcome;
    }
    let refusal = Stop::conflict(format!(
        "What the command found takes {size} bytes; at most {} can be sent. Move a workload with fewer or smaller \
         objects",
        limits::OUTCOME_BYTES
    ));
    Outcome { result: Some(refusal.into()), ..outcome }
}

async fn run(dispatch: Dispatch, command: Command, mut begun: Begun) {
    begun.alone().await;
    let id = command.id.clone();
    let shared = &dispatch.0;
    let workload = command.workload.unwrap_or_default();
    let facts = Facts {
        id: id.clone(),
        epoch: command.epoch,
        generation: command.generation,
        namespace: workload.namespace,
        workload: workload.name,
        migration: command.migration,
    };
    let telemetry = shared.telemetry.get_or_init(Telemetry::default);
    let watch = Watch::begin(telemetry, &facts, &shared.cluster, command.body.as_ref());
    let span = watch.log_span();
    span.in_scope(|| tracing::info!("a command begins"));
    let ctx = Context {
        client: shared.client.clone(),
        cluster: shared.cluster.clone(),
        deadline: Instant::now() + Duration::from_millis(command.timeout_ms).min(limits::COMMAND_TIMEOUT),
        progress: shared.progress.reporter(&id).watched_by(&watch),
        command: facts,
        watches: Watches::default(),
    };
    let (progress, timeout_ms) = (ctx.progress.clone(), command.timeout_ms);
    let carried_out = async move {
        let deadline = ctx.deadline;
        tokio::time::timeout_at(deadline, carry_out(&ctx, command.body)).await
    };
    let mut task = tokio::spawn(carried_out.instrument(span.clone()));
    let joined = tokio::select! {
        joined = &mut task => Ok(joined),
        by = begun.overtaken() => {
            task.abort();
            // Only its end is waited for: what it was about to say does not count any more.
            let _ended = task.await;
            Err(by)
        }
    };
    let ended = match joined {
        Ok(Ok(Ok(ended))) => ended,
        Ok(Ok(Err(_))) => Err(Stop::unknown(format!(
            "The command did not end within its {timeout_ms} ms; what it changed is looked at when it is sent again"
        ))),
        Ok(Err(broken)) => Err(Stop::unknown(format!(
            "The agent broke while carrying the command out ({broken}); read its log, and report it"
        ))),
        Err(by) => Err(Stop::stale_epoch(format!(
            "A command of epoch {by} for the same ordinal came meanwhile; this one is of epoch {}, of the past",
            command.epoch
        ))),
    };
    let evidence = ended.unwrap_or_else(|stop| stop.at(progress.step()).into());
    span.in_scope(|| watch.end(&evidence));
    dispatch.lock().finish(id, evidence);
    drop(begun);
    shared.ended.notify_one();
}

async fn carry_out(ctx: &Context, body: Option<Body>) -> Ended {
    if ctx.command.namespace.is_empty() || ctx.command.workload.is_empty() {
        return Err(Stop::not_understood("The command names no workload"));
    }
    match body {
        Some(Body::InspectSource(command)) => inspect::source(ctx, command).await,
        Some(Body::InspectTarget(command)) => inspect::target(ctx, command).await,
        Some(body) => change(ctx, body).await,
        None => Err(Stop::not_understood(
            "This agent does not know that command. Run an agent of the controller's version",
        )),
    }
}

/// Carries out what changes the cluster, and tells the hold points where the ordinal is.
async fn change(ctx: &Context, body: Body) -> Ended {
    let releases = matches!(body, Body::Release(_));
    match body {
        Body::Adopt(_) => hold::handed_over(true),
        Body::PrepareSource(_)
        | Body::PrepareTarget(_)
        | Body::Retire(_)
        | Body::Fence(_)
        | Body::Reclaim(_)
        | Body::Unprepare(_) => hold::handed_over(false),
        _ => {}
    }
    let ended = executor::run(ctx, body).await;
    if releases && ended.is_ok() {
        hold::handed_over(true);
    }
    ended
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
