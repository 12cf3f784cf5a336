//! Refusals of the domain: outcomes of a request, not errors of the call.
//!
//! An ordered enum, the mildest first; each says a stable code, whether the same request may succeed later, and in
//! its message what was found, what was expected and what to do.
//! Where a rejection becomes a gRPC status or a field of a response is the shell's business.

use serde::{Deserialize, Serialize};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// An agent that is needed is not attached.
    #[error("{0}")]
    ClusterNotAttached(String),
    /// An agent that is needed did not answer in time, or could not tell.
    #[error("{0}")]
    ClusterSilent(String),
    /// Too many of something; the limit is in the message.
    #[error("{0}")]
    Busy(String),
    /// The workload is on its way already.
    #[error("{0}")]
    AlreadyMigrating(String),
    /// A volume of the workload is usable in two clusters.
    #[error("{0}")]
    VolumeConflict(String),
    /// The world is not what the plan saw.
    #[error("{0}")]
    WorldChanged(String),
    /// The plan is too old.
    #[error("{0}")]
    PlanExpired(String),
    /// No such plan.
    #[error("{0}")]
    PlanUnknown(String),
    /// No such migration.
    #[error("{0}")]
    MigrationUnknown(String),
    /// No such token.
    #[error("{0}")]
    TokenUnknown(String),
    /// The token was used already.
    #[error("{0}")]
    TokenUsed(String),
    /// The token is too old.
    #[error("{0}")]
    TokenExpired(String),
    /// Somebody paused it already.
    #[error("{0}")]
    AlreadyPaused(String),
    /// It is not paused.
    #[error("{0}")]
    NotPaused(String),
    /// No handoff waits for the proof of what is attested.
    #[error("{0}")]
    NothingToAttest(String),
    /// No ordinal is in between.
    #[error("{0}")]
    NothingInFlight(String),
    /// The ordinal in flight is at step 12 or later: it completes.
    #[error("{0}")]
    PastReturn(String),
    /// It has ended, or is ending.
    #[error("{0}")]
    AlreadyOver(String),
    /// It is being given back already.
    #[error("{0}")]
    AlreadyRollingBack(String),
    /// Only a completed migration of a whole slice can be finished.
    #[error("{0}")]
    NotCompleted(String),
    /// The cluster refused, and only a person can help.
    #[error("{0}")]
    ClusterRefused(String),
    /// A disk of one cluster could not be made, read in the other, or removed.
    #[error("{0}")]
    ProbeFailed(String),
    /// A name or a value in the request cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Rejection {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClusterNotAttached(_) => "cluster-not-attached",
            Self::ClusterSilent(_) => "cluster-silent",
            Self::Busy(_) => "busy",
            Self::AlreadyMigrating(_) => "already-migrating",
            Self::VolumeConflict(_) => "volume-conflict",
            Self::WorldChanged(_) => "world-changed",
            Self::PlanExpired(_) => "plan-expired",
            Self::PlanUnknown(_) => "plan-unknown",
            Self::MigrationUnknown(_) => "migration-unknown",
            Self::TokenUnknown(_) => "token-unknown",
            Self::TokenUsed(_) => "token-used",
            Self::TokenExpired(_) => "token-expired",
            Self::AlreadyPaused(_) => "already-paused",
            Self::NotPaused(_) => "not-paused",
            Self::NothingToAttest(_) => "nothing-to-attest",
            Self::NothingInFlight(_) => "nothing-in-flight",
            Self::PastReturn(_) => "past-return",
            Self::AlreadyOver(_) => "already-over",
            Self::AlreadyRollingBack(_) => "already-rolling-back",
            Self::NotCompleted(_) => "not-completed",
            Self::ClusterRefused(_) => "cluster-refused",
            Self::ProbeFailed(_) => "probe-failed",
            Self::Invalid(_) => "invalid",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::ClusterNotAttached(_)
            | Self::ClusterSilent(_)
            | Self::Busy(_)
            | Self::AlreadyMigrating(_)
            | Self::VolumeConflict(_) => true,
            Self::WorldChanged(_)
            | Self::PlanExpired(_)
            | Self::PlanUnknown(_)
            | Self::MigrationUnknown(_)
            | Self::TokenUnknown(_)
            | Self::TokenUsed(_)
            | Self::TokenExpired(_)
            | Self::AlreadyPaused(_)
            | Self::NotPaused(_)
            | Self::NothingToAttest(_)
            | Self::NothingInFlight(_)
            | Self::PastReturn(_)
            | Self::AlreadyOver(_)
            | Self::AlreadyRollingBack(_)
            | Self::NotCompleted(_)
            | Self::ClusterRefused(_)
            | Self::ProbeFailed(_)
            | Self::Invalid(_) => false,
        }
    }
}
