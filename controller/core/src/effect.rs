//! What the shell is to do once the entries are durable.
//!
//! Effects are released in order, after the commit that holds their entries. Losing one is no harm: a command that
//! was journalled is sent again when its cluster attaches, an outcome that was not acknowledged comes again, a
//! mirror is sent again after the next attach. Effects to an agent name the session they are meant for; the shell
//! drops them when that stream is gone.

use crate::command::Command;
use crate::entry::Entry;
use crate::facts::Mirror;
use crate::ids::{ClusterName, CommandId, MigrationId, RequestId, ServiceName, Session};
use crate::reply::Reply;
use crate::time::Millis;

/// What one input led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// To make durable, in order, before any effect. The core has applied them to its own state already.
    pub entries: Vec<Entry>,
    /// To release then, in order.
    pub effects: Vec<Effect>,
    /// Call again with [`crate::Input::Timer`] at this time: the earliest timer of the whole core.
    pub wake_at: Option<Millis>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this command.
    Send {
        /// To the agent of this cluster.
        cluster: ClusterName,
        /// On this stream.
        session: Session,
        /// The command.
        command: Box<Command>,
    },
    /// Say that the outcome of this command is durable.
    AckOutcome {
        /// To the agent of this cluster.
        cluster: ClusterName,
        /// On this stream.
        session: Session,
        /// The command.
        command_id: CommandId,
    },
    /// Say the complete set of governed Services.
    SetGoverned {
        /// To the agent of this cluster.
        cluster: ClusterName,
        /// On this stream.
        session: Session,
        /// The Services, by name.
        services: Vec<ServiceName>,
    },
    /// Forward another cluster's endpoints.
    Mirror {
        /// To the agent of this cluster.
        cluster: ClusterName,
        /// On this stream.
        session: Session,
        /// What to write there.
        mirror: Box<Mirror>,
    },
    /// Answer a request.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        reply: Box<Reply>,
    },
    /// Tell those who watch this migration; at most one for each migration and step.
    MigrationChanged(MigrationId),
    /// End this stream.
    CloseSession {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// Why, for the agent's log and ours.
        reason: String,
    },
}
