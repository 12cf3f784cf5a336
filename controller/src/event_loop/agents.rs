//! The streams that are open, one a cluster, as the event loop sees them.
//!
//! Each has a bounded queue of messages. An agent that does not read them loses its stream and says everything again
//! when it comes back: nothing is kept for it, because the core sends again what was not acknowledged. Effects for a
//! stream that is gone are dropped for the same reason.

use std::collections::BTreeMap;

use ferry_core::{
    ClusterName, Command, CommandId, Input, ServiceName, Session,
    facts::{Mirror, Resync},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

/// What an agent is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ToAgent {
    /// Its resync was taken.
    Attached {
        /// The name that the cluster is known by.
        cluster: ClusterName,
        /// Restore generation of the ledger (H18).
        generation: u64,
    },
    /// Do this.
    Command(Box<Command>),
    /// The outcome of this command is durable.
    OutcomeAck(CommandId),
    /// The complete set of governed Services.
    Governed(Vec<ServiceName>),
    /// Another cluster's endpoints.
    Mirror(Box<Mirror>),
    /// The answer to a heartbeat; the session itself puts it into the queue.
    HeartbeatAck,
}

/// Why the loop ends a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The resync was refused.
    Refused(String),
    /// A newer stream of the cluster took its place.
    Replaced(String),
    /// Its queue is full.
    Slow,
}

/// A stream that wants to be the one of its cluster.
pub struct Attach {
    /// The cluster of its certificate.
    pub cluster: ClusterName,
    /// What it said first.
    pub resync: Box<Resync>,
    /// Its queue.
    pub outbound: mpsc::Sender<ToAgent>,
    /// How it learns that it is to end.
    pub end: oneshot::Sender<End>,
    /// How it learns its number.
    pub session: oneshot::Sender<Session>,
}

struct Agent {
    session: Session,
    outbound: mpsc::Sender<ToAgent>,
    end: oneshot::Sender<End>,
}

/// The newest stream of each cluster, and older ones that the core has not closed yet.
#[derive(Default)]
pub(super) struct Agents {
    newest: BTreeMap<ClusterName, Agent>,
    older: Vec<(ClusterName, Agent)>,
    last: u64,
}

impl Agents {
    /// Takes a stream in; the core decides whether it stays.
    pub(super) fn join(&mut self, attach: Attach) -> (ClusterName, Session, Input) {
        let Attach { cluster, resync, outbound, end, session: number } = attach;
        self.last += 1;
        let session = Session(self.last);
        // Whoever asked may be gone already; it says so with a Detached of its own.
        let _gone = number.send(session);
        let agent = Agent { session, outbound, end };
        if let Some(before) = self.newest.insert(cluster.clone(), agent) {
            self.older.push((cluster.clone(), before));
        }
        (cluster.clone(), session, Input::Attached { cluster, session, resync })
    }

    /// Forgets a stream that ended by itself.
    pub(super) fn leave(&mut self, cluster: &ClusterName, session: Session) {
        let _ended = self.remove(cluster, session);
    }

    /// Puts a message into a stream's queue.
    pub(super) fn send(&mut self, cluster: &ClusterName, session: Session, message: ToAgent) {
        let Some(agent) = self.newest.get(cluster).filter(|agent| agent.session == session) else { return };
        match agent.outbound.try_send(message) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => self.finish(cluster, session, End::Slow),
        }
    }

    /// Ends a stream: the newest one was refused, an older one was replaced.
    pub(super) fn close(&mut self, cluster: &ClusterName, session: Session, reason: String) {
        let newest = self.newest.get(cluster).is_some_and(|agent| agent.session == session);
        self.finish(cluster, session, if newest { End::Refused(reason) } else { End::Replaced(reason) });
    }

    fn finish(&mut self, cluster: &ClusterName, session: Session, end: End) {
        if let Some(agent) = self.remove(cluster, session) {
            tracing::info!(%cluster, %session, ?end, "ending an agent's stream");
            let _gone = agent.end.send(end);
        }
    }

    fn remove(&mut self, cluster: &ClusterName, session: Session) -> Option<Agent> {
        if self.newest.get(cluster).is_some_and(|agent| agent.session == session) {
            return self.newest.remove(cluster);
        }
        let at = self.older.iter().position(|(of, agent)| of == cluster && agent.session == session)?;
        Some(self.older.swap_remove(at).1)
    }
}
