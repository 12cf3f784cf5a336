//! How everything else talks to the event loop: bounded, and never waiting for ever.
//!
//! Sessions put inputs in and wait for room, which slows their streams down through HTTP/2's windows. Requests wait
//! for room and for the reply within one deadline of the caller's choice. A handle can be cloned freely; the loop ends
//! when all are gone or when it is told to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_core::{AuditRecord, Input, MigrationId, Reply, input::Request, measure::Measure};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::timeout,
};

use super::{agents::Attach, watchers::Migrations};
use crate::journal;

/// What travels to the loop.
pub(super) enum Message {
    /// A fact, and the place that its sender gets back once it is taken.
    Input(Input, Option<OwnedSemaphorePermit>),
    /// A request and who waits for its reply.
    Ask {
        /// What is asked.
        body: Request,
        /// Where the reply goes.
        answer: oneshot::Sender<Reply>,
    },
    /// A new stream of an agent.
    Attach(Box<Attach>),
    /// Somebody wants to read the audit log.
    Audit {
        /// Which page of it.
        query: AuditQuery,
        /// Where it goes.
        answer: oneshot::Sender<Result<AuditPage, journal::Error>>,
    },
    /// Somebody wants to know what there is, in numbers.
    Measure(oneshot::Sender<Measure>),
    /// Somebody wants everything that is durable.
    Copy(oneshot::Sender<Result<LedgerCopy, super::Error>>),
    /// Finish what is queued, then end.
    Stop,
}

/// Which page of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// At most so many records.
    pub limit: usize,
    /// Only records below this number.
    pub before: Option<u64>,
    /// Only those about this migration.
    pub migration: Option<MigrationId>,
}

/// A page of the audit log.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    /// With their numbers, newest first.
    pub records: Vec<(u64, AuditRecord)>,
    /// Where the next page begins; none when this was the last.
    pub next_before: Option<u64>,
}

/// Everything that is durable, at one moment.
#[derive(Clone, Debug)]
pub struct LedgerCopy {
    /// The state, JSON.
    pub state: Vec<u8>,
    /// Restore generation of the ledger.
    pub generation: u64,
    /// The audit log, oldest first.
    pub audit: Vec<journal::Numbered>,
}

/// Why a request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The deadline passed. What was asked for may happen all the same.
    #[error("no answer within {} s; what was asked for may still happen: look before asking again", .0.as_secs())]
    Deadline(Duration),
    /// Too many requests wait.
    #[error("too many requests wait for an answer; try again in a moment")]
    Busy,
    /// The loop has ended. A batch whose commit failed may be on the disk all the same: unknown is a value (I8).
    #[error(
        "the controller is stopping, and its log says why; whether this call was taken up is not known: look when it \
         is back, before asking again"
    )]
    Stopped,
}

/// Numbers of the loop since it started: the seam for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    inputs: AtomicU64,
    commits: AtomicU64,
    entries: AtomicU64,
}

impl Counters {
    pub(super) fn stepped(&self) {
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn committed(&self, entries: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }

    /// Inputs taken, commits made, entries in them.
    #[must_use]
    pub fn read(&self) -> (u64, u64, u64) {
        (
            self.inputs.load(Ordering::Relaxed),
            self.commits.load(Ordering::Relaxed),
            self.entries.load(Ordering::Relaxed),
        )
    }
}

/// A way to the event loop.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    migrations: Arc<Migrations>,
    counters: Arc<Counters>,
}

impl Handle {
    pub(super) fn new(
        messages: mpsc::Sender<Message>,
        migrations: Arc<Migrations>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { messages, migrations, counters }
    }

    /// Puts a fact in; waits while the queue is full.
    pub async fn input(&self, input: Input) -> Result<(), AskError> {
        self.input_at(input, None).await
    }

    /// Puts a fact in that occupies `place` until the loop has taken it.
    pub async fn input_at(&self, input: Input, place: Option<OwnedSemaphorePermit>) -> Result<(), AskError> {
        self.messages.send(Message::Input(input, place)).await.map_err(|_| AskError::Stopped)
    }

    /// Puts a new stream in; waits while the queue is full.
    pub async fn attach(&self, attach: Attach) -> Result<(), AskError> {
        self.messages.send(Message::Attach(Box::new(attach))).await.map_err(|_| AskError::Stopped)
    }

    /// Asks, and waits for the reply at most this long.
    pub async fn ask(&self, body: Request, deadline: Duration) -> Result<Reply, AskError> {
        let asked = async {
            let (answer, reply) = oneshot::channel();
            self.messages.send(Message::Ask { body, answer }).await.map_err(|_| AskError::Stopped)?;
            reply
                .await
                .map_err(|_| if self.messages.is_closed() { AskError::Stopped } else { AskError::Busy })
        };
        timeout(deadline, asked).await.map_err(|_| AskError::Deadline(deadline))?
    }

    /// A page of the audit log.
    pub async fn audit(
        &self,
        query: AuditQuery,
        deadline: Duration,
    ) -> Result<Result<AuditPage, journal::Error>, AskError> {
        self.question(|answer| Message::Audit { query, answer }, deadline).await
    }

    /// Everything that is durable, at one moment between two commits.
    pub async fn copy(&self, deadline: Duration) -> Result<Result<LedgerCopy, super::Error>, AskError> {
        self.question(Message::Copy, deadline).await
    }

    /// What there is, in numbers.
    pub async fn measure(&self, deadline: Duration) -> Result<Measure, AskError> {
        self.question(Message::Measure, deadline).await
    }

    async fn question<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
        deadline: Duration,
    ) -> Result<T, AskError> {
        let asked = async {
            let (answer, reply) = oneshot::channel();
            self.messages.send(message(answer)).await.map_err(|_| AskError::Stopped)?;
            reply.await.map_err(|_| AskError::Stopped)
        };
        timeout(deadline, asked).await.map_err(|_| AskError::Deadline(deadline))?
    }

    /// Tells the loop to finish what is queued and end.
    pub async fn stop(&self) {
        // An error says that it has ended.
        let _ended = self.messages.send(Message::Stop).await;
    }

    /// Migrations as watchers see them.
    #[must_use]
    pub fn migrations(&self) -> &Arc<Migrations> {
        &self.migrations
    }

    /// The loop's numbers.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
