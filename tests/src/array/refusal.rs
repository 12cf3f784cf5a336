//! Why the array says no, in the words that a person reads in an event or in the array's log.
//!
//! Each refusal knows two things beside its text: the gRPC code that the CSI specification asks for, and whether
//! the request, had it been granted, would have broken the array's rule (one seat at a time over all clusters,
//! no deletion of a disk in use). The latter are violations: they name a defect of whoever asked, which a
//! repeated or late request does not.

use std::path::PathBuf;

use thiserror::Error;
use tonic::Code;

use super::model::Seat;

/// A request that the array's rules do not allow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The handle names no volume.
    #[error("volume {handle} does not exist on this array; expected a handle that CreateVolume returned")]
    UnknownVolume {
        /// The handle asked for.
        handle: String,
    },
    /// The node id names no registered node of the asking cluster.
    #[error(
        "node {node_id} is not registered with this array in cluster {cluster}; start the node plugin there"
    )]
    UnknownNode {
        /// The node id asked for.
        node_id: String,
        /// The cluster of the controller that asked.
        cluster: String,
    },
    /// A node plugin offered a name already taken differently.
    #[error("a volume named {name} exists with {found}; the request wants {expected}")]
    NameTaken {
        /// The name asked for.
        name: String,
        /// What the existing volume has.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The size does not fit.
    #[error("{asked_bytes} bytes asked for; this array makes volumes of {min_bytes} to {max_bytes} bytes")]
    Size {
        /// Bytes asked for.
        asked_bytes: u64,
        /// Smallest size that fits the request.
        min_bytes: u64,
        /// Largest size that fits the request.
        max_bytes: u64,
    },
    /// The volume is held by another seat.
    #[error("volume {handle} is attached to {holder}; {op} for {asked} is refused: detach it there first")]
    HeldElsewhere {
        /// The volume.
        handle: String,
        /// Who holds it.
        holder: Seat,
        /// Who asked, a seat or a cluster.
        asked: String,
        /// What was asked.
        op: &'static str,
    },
    /// The kernel still has the image open where the request needs it closed.
    #[error("the image of volume {handle} is still in use by {devices}; {op} waits until it is unmounted")]
    StillInUse {
        /// The volume.
        handle: String,
        /// The loop devices that back onto it.
        devices: String,
        /// What was asked.
        op: &'static str,
        /// Whether granting it would have broken the rule.
        violation: bool,
    },
    /// Deletion of a volume that a seat holds.
    #[error("volume {handle} is attached to {holder}; deleting it is refused: detach it first")]
    DeleteHeld {
        /// The volume.
        handle: String,
        /// Who holds it.
        holder: Seat,
    },
    /// A stage of a volume that is attached nowhere.
    #[error("volume {handle} is not attached; {op} on {asked} needs ControllerPublishVolume first")]
    NotAttached {
        /// The volume.
        handle: String,
        /// Who asked.
        asked: Seat,
        /// What was asked.
        op: &'static str,
    },
    /// A stage with the token of an earlier attachment.
    #[error("the publish context of volume {handle} is of an earlier attachment; stage with the current one")]
    StaleToken {
        /// The volume.
        handle: String,
    },
    /// The volume context is not the one CreateVolume returned.
    #[error(
        "volume context of {handle} has array {found:?}, expected {expected:?}; keep the PV's volumeAttributes"
    )]
    WrongContext {
        /// The volume.
        handle: String,
        /// The array named in the request.
        found: Option<String>,
        /// This array.
        expected: String,
    },
    /// A required secret is missing.
    #[error("volume {handle} needs the node stage secret key `token`; name a Secret with it in the PV")]
    SecretMissing {
        /// The volume.
        handle: String,
    },
    /// A repeated request that differs from the first.
    #[error("volume {handle} is already {what}; undo that before asking for something else")]
    Incompatible {
        /// The volume.
        handle: String,
        /// What there is.
        what: String,
    },
    /// A publish or expansion of a volume that is not staged here.
    #[error("volume {handle} is not staged at {path} on {seat}; stage it first")]
    NotStaged {
        /// The volume.
        handle: String,
        /// The staging path asked for.
        path: PathBuf,
        /// The node.
        seat: Seat,
    },
    /// Unstage or detach of a volume that pods still see.
    #[error("volume {handle} is still published at {path} on {seat}; unpublish it first")]
    StillPublished {
        /// The volume.
        handle: String,
        /// One of the target paths.
        path: PathBuf,
        /// The node.
        seat: Seat,
    },
    /// A second target path for a single-writer attachment.
    #[error(
        "volume {handle} is attached for a single writer and published at {path}; one target path is all"
    )]
    SecondWriter {
        /// The volume.
        handle: String,
        /// The target path that has it.
        path: PathBuf,
    },
    /// The operation before is still going on.
    #[error("volume {handle}: {op} is in progress; ask again")]
    InProgress {
        /// The volume.
        handle: String,
        /// What is going on.
        op: &'static str,
    },
    /// The node is full.
    #[error("{seat} holds {attached} volumes, as many as it may")]
    NodeFull {
        /// The node.
        seat: Seat,
        /// How many it holds.
        attached: usize,
    },
    /// Growth of a volume that a seat holds.
    #[error(
        "volume {handle} is attached to {holder}; it grows while detached only, and its file system at the next stage"
    )]
    GrowHeld {
        /// The volume.
        handle: String,
        /// Who holds it.
        holder: Seat,
    },
    /// The kernel could not be asked who uses the image: unknown is not taken for unused.
    #[error("cannot tell who uses the image of volume {handle}: {reason}")]
    Unreadable {
        /// The volume.
        handle: String,
        /// What the system said.
        reason: String,
    },
    /// A page token that the array did not make.
    #[error("starting_token {token:?} was not returned by this array; list again without a token")]
    BadPageToken {
        /// The token asked for.
        token: String,
    },
}

impl Refusal {
    /// The gRPC code that the CSI specification asks for.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownVolume { .. } | Self::UnknownNode { .. } => Code::NotFound,
            Self::NameTaken { .. } | Self::Incompatible { .. } => Code::AlreadyExists,
            Self::Size { .. } => Code::OutOfRange,
            Self::WrongContext { .. } | Self::SecretMissing { .. } => Code::InvalidArgument,
            Self::InProgress { .. } | Self::BadPageToken { .. } => Code::Aborted,
            Self::NodeFull { .. } => Code::ResourceExhausted,
            Self::Unreadable { .. } => Code::Internal,
            Self::HeldElsewhere { .. }
            | Self::StillInUse { .. }
            | Self::DeleteHeld { .. }
            | Self::NotAttached { .. }
            | Self::StaleToken { .. }
            | Self::NotStaged { .. }
            | Self::GrowHeld { .. }
            | Self::StillPublished { .. }
            | Self::SecondWriter { .. } => Code::FailedPrecondition,
        }
    }

    /// What would have been broken, when granting the request would have broken the array's rule.
    pub fn violation(&self) -> Option<String> {
        match self {
            Self::HeldElsewhere { .. } | Self::DeleteHeld { .. } => Some(self.to_string()),
            Self::StillInUse { violation: true, .. } => Some(self.to_string()),
            _ => None,
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}
