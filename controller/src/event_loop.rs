//! The one writer: inputs in, one commit for as many as are waiting, effects out.
//!
//! It owns the core and the journal, on a thread of its own, because a commit blocks. A batch is what had queued up
//! while the last commit ran, so the cost of an fsync is shared exactly when there is something to share. Effects are
//! released in order and only after the commit that holds their entries. When a commit fails nobody knows what is on
//! the disk: the loop ends with the error, nothing of the batch is released, and the process must end too.
//!
//! What is not here: decisions (the core), the wire (`session`, `admin`), and time-outs of requests (their callers).

mod agents;
mod handle;
mod reading;
mod recovery;
mod watchers;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ferry_core::{
    AuditRecord, ClusterName, Core, Effect, Entry, Input, Millis, Reply, RequestId, Session, measure::measure,
};
use tokio::sync::{mpsc, oneshot};

pub use agents::{Attach, End, ToAgent};
pub use handle::{AskError, AuditPage, AuditQuery, Counters, Handle, LedgerCopy};
pub use reading::copy;
pub use recovery::{Error as RecoveryError, Recovered, recover};
pub use watchers::{Change, Migrations, Watcher};

use crate::{
    clock,
    journal::{self, Journal},
    limits,
    telemetry::{Commit, Follower, Telemetry},
};
use agents::Agents;
use handle::Message;

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A batch or a snapshot could not be made durable.
    #[error("{0}")]
    Journal(#[from] journal::Error),
    /// The state or an entry could not be written as JSON.
    #[error("cannot encode the ledger: {0}")]
    Encode(#[from] serde_json::Error),
    /// The loop's timer could not be set up.
    #[error("cannot set up the event loop's timer: {0}")]
    Timer(#[source] std::io::Error),
}

/// The loop before it runs.
pub struct EventLoop {
    core: Core,
    journal: Box<dyn Journal>,
    messages: mpsc::Receiver<Message>,
    agents: Agents,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    next_request: u64,
    follower: Option<Follower>,
    migrations: Arc<Migrations>,
    counters: Arc<Counters>,
    wake_at: Option<Millis>,
    min_bytes_between_snapshots: u64,
    bytes_since_snapshot: u64,
    last_snapshot_bytes: u64,
}

/// What to do after the commit.
enum Release {
    /// Tell an agent that it is attached: before anything else it hears.
    Welcome {
        /// Its cluster.
        cluster: ClusterName,
        /// Its stream.
        session: Session,
        /// Restore generation of the ledger (H18).
        generation: u64,
    },
    /// An effect of the core.
    Effect(Effect),
    /// Everything that is durable, this batch included, for whoever makes a backup.
    Copy(oneshot::Sender<Result<LedgerCopy, Error>>),
}

/// A batch under way.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    releases: Vec<Release>,
    stop: bool,
}

impl Batch {
    /// Whether what was released from `at` on ends that stream.
    fn closes(&self, at: usize, cluster: &ClusterName, session: Session) -> bool {
        self.releases[at..].iter().any(|release| {
            matches!(release, Release::Effect(Effect::CloseSession { cluster: of, session: which, .. })
                if of == cluster && *which == session)
        })
    }
}

impl EventLoop {
    /// A loop over what was recovered and the journal that it came from, and the way to talk to it.
    #[must_use]
    pub fn new(recovered: Recovered, journal: Box<dyn Journal>) -> (Self, Handle) {
        let Recovered { core, snapshot_bytes, entry_bytes } = recovered;
        let (sender, messages) = mpsc::channel(limits::INPUT_QUEUE);
        let migrations = Arc::new(Migrations::new(core.state()));
        let counters = Arc::new(Counters::default());
        let handle = Handle::new(sender, Arc::clone(&migrations), Arc::clone(&counters));
        let event_loop = Self {
            core,
            journal,
            messages,
            agents: Agents::default(),
            waiting: BTreeMap::new(),
            next_request: 0,
            follower: None,
            migrations,
            counters,
            // Whatever the recovered state waits for is asked for at once.
            wake_at: Some(Millis(0)),
            min_bytes_between_snapshots: limits::MIN_BYTES_BETWEEN_SNAPSHOTS,
            bytes_since_snapshot: entry_bytes,
            last_snapshot_bytes: snapshot_bytes,
        };
        (event_loop, handle)
    }

    /// The same loop, whose committed entries are followed by `telemetry`.
    #[must_use]
    pub fn followed_by(mut self, telemetry: Arc<Telemetry>) -> Self {
        self.follower = Some(Follower::new(telemetry, self.core.state(), clock::now()));
        self
    }

    /// Runs until it is told to stop; on the calling thread, which it blocks.
    pub fn run(self) -> Result<(), Error> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(Error::Timer)?;
        runtime.block_on(self.turn())
    }

    /// [`EventLoop::run`] on the caller's runtime, whose thread every commit blocks: for who simulates the whole.
    pub async fn turn(mut self) -> Result<(), Error> {
        loop {
            let first = Self::next(&mut self.messages, self.wake_at).await;
            let mut batch = Batch::default();
            let mut next = Some(first);
            for _ in 0..limits::MAX_BATCH {
                let Some(message) = next else { break };
                self.take(message, &mut batch);
                next = self.messages.try_recv().ok();
                if batch.stop {
                    break;
                }
            }
            if let Some(message) = next {
                self.take(message, &mut batch);
            }
            self.commit(&batch)?;
            for release in batch.releases {
                self.release(release);
            }
            if batch.stop {
                return Ok(());
            }
            self.snapshot_if_due()?;
        }
    }

    async fn next(messages: &mut mpsc::Receiver<Message>, wake_at: Option<Millis>) -> Message {
        let timer = async {
            match wake_at {
                // A far wake-up is cut in pieces, so that a system clock that is set does not delay it for ever.
                Some(at) => tokio::time::sleep(clock::until(at).min(Duration::from_secs(1))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = messages.recv() => message.unwrap_or(Message::Stop),
            () = timer => Message::Input(Input::Timer, None),
        }
    }

    fn take(&mut self, message: Message, batch: &mut Batch) {
        match message {
            Message::Input(input, _place) => {
                if let Input::Detached { cluster, session } = &input {
                    self.agents.leave(cluster, *session);
                }
                self.step(input, batch);
            }
            Message::Ask { body, answer } => {
                if self.waiting.len() >= limits::MAX_PENDING_REQUESTS {
                    self.waiting.retain(|_, answer| !answer.is_closed());
                }
                // Dropping the answer tells the caller that too many wait.
                if self.waiting.len() < limits::MAX_PENDING_REQUESTS {
                    self.next_request += 1;
                    let request = RequestId(self.next_request);
                    self.waiting.insert(request, answer);
                    self.step(Input::Request { request, body }, batch);
                }
            }
            Message::Attach(attach) => {
                let (cluster, session, input) = self.agents.join(*attach);
                let at = batch.releases.len();
                self.step(input, batch);
                if !batch.closes(at, &cluster, session) {
                    let generation = self.core.state().generation();
                    batch.releases.insert(at, Release::Welcome { cluster, session, generation });
                }
            }
            Message::Audit { query, answer } => {
                // Whoever asked may have given up.
                let _gave_up = answer.send(self.audit_page(&query));
            }
            Message::Measure(answer) => {
                let _gave_up = answer.send(measure(&self.core));
            }
            Message::Copy(answer) => batch.releases.push(Release::Copy(answer)),
            Message::Stop => batch.stop = true,
        }
    }

    fn step(&mut self, input: Input, batch: &mut Batch) {
        let now = clock::now();
        if let Some(follower) = &mut self.follower {
            follower.heard(&input);
        }
        let decision = self.core.step(input, now);
        self.wake_at = decision.wake_at;
        batch.entries.extend(decision.entries);
        batch.releases.extend(decision.effects.into_iter().map(Release::Effect));
        self.counters.stepped();
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        // What is for the audit log alone changes no state, and need not be replayed.
        let entries = batch.entries.iter().filter(|entry| !matches!(entry, Entry::Audited(_)));
        let entries = entries.map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        let audit = batch.entries.iter().filter_map(|entry| match entry {
            Entry::Audited(record) => Some(&**record),
            _ => None,
        });
        let audit =
            audit.filter(|record| is_kept(record)).map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() && audit.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.journal.append(&entries, &audit)?;
        let took = begun.elapsed();
        self.bytes_since_snapshot += entries.iter().map(|entry| entry.len() as u64).sum::<u64>();
        self.counters.committed(entries.len() as u64);
        if let Some(follower) = &mut self.follower {
            let state = self.core.state();
            follower.committed(Commit { entries: &batch.entries, state, took, now: clock::now() });
        }
        Ok(())
    }

    fn release(&mut self, release: Release) {
        let effect = match release {
            Release::Welcome { cluster, session, generation } => {
                let name = cluster.clone();
                return self.agents.send(&cluster, session, ToAgent::Attached { cluster: name, generation });
            }
            Release::Copy(answer) => {
                // Whoever asked may have given up.
                let _gave_up = answer.send(self.copy());
                return;
            }
            Release::Effect(effect) => effect,
        };
        match effect {
            Effect::Reply { request, reply } => {
                if let Some(answer) = self.waiting.remove(&request) {
                    // The caller may have given up: what it asked for is done all the same.
                    let _gave_up = answer.send(*reply);
                }
            }
            Effect::MigrationChanged(id) => self.migrations.changed(&id, self.core.state()),
            Effect::CloseSession { cluster, session, reason } => self.agents.close(&cluster, session, reason),
            Effect::Send { cluster, session, command } => {
                self.agents.send(&cluster, session, ToAgent::Command(command));
            }
            Effect::AckOutcome { cluster, session, command_id } => {
                self.agents.send(&cluster, session, ToAgent::OutcomeAck(command_id));
            }
            Effect::SetGoverned { cluster, session, services } => {
                self.agents.send(&cluster, session, ToAgent::Governed(services));
            }
            Effect::Mirror { cluster, session, mirror } => {
                self.agents.send(&cluster, session, ToAgent::Mirror(mirror));
            }
        }
    }

    fn snapshot_if_due(&mut self) -> Result<(), Error> {
        if self.bytes_since_snapshot < self.last_snapshot_bytes.max(self.min_bytes_between_snapshots) {
            return Ok(());
        }
        let state = serde_json::to_vec(self.core.state())?;
        self.journal.snapshot(&state)?;
        self.last_snapshot_bytes = state.len() as u64;
        self.bytes_since_snapshot = 0;
        tracing::info!(bytes = self.last_snapshot_bytes, "wrote a snapshot of the ledger");
        Ok(())
    }
}

/// Whoever needs no credential must not be able to fill the audit log: tokens that nobody has are in the log only.
fn is_kept(record: &AuditRecord) -> bool {
    record.action != "redeem-token" || record.result == "done"
}

#[cfg(test)]
#[path = "event_loop/loop_tests.rs"]
mod tests;
