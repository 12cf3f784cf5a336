//! Every way in which a call fails, and its gRPC status: one function for all services.
//!
//! The codes are those that admin.proto and enroll.proto promise. A refusal of the domain that a response has a field
//! for never comes here; the ones that have none (an agent that is not attached, a token that was used) do. Messages
//! are for people and say what to do; nothing of the inside of the process is in them.

use ferry_core::Rejection;
use tonic::{Code, Status};

use crate::{
    event_loop::AskError,
    identity::{authority, request, spiffe, token},
    journal, wire,
};

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The event loop did not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A message is not understood.
    #[error("the request is not understood: {0}")]
    Wire(#[from] wire::Error),
    /// A name or a role is none.
    #[error(transparent)]
    Name(#[from] spiffe::Error),
    /// A token's time to live is out of range.
    #[error("ttl_seconds is {found}; expected {least} to {most}, or 0 for the default")]
    TokenTtl {
        /// What was asked for, in seconds.
        found: u32,
        /// The least, in seconds.
        least: u32,
        /// The most, in seconds.
        most: u32,
    },
    /// A certificate request is not taken.
    #[error(transparent)]
    CertificateRequest(#[from] request::Error),
    /// A token's text is none of ours.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The core refuses.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Too many watchers.
    #[error("{0} watch streams are open already; end one, or use `ferry get`")]
    Watchers(usize),
    /// The caller has no identity where the table promised one.
    #[error("this call needs a client certificate")]
    NoIdentity,
    /// The audit log cannot be read.
    #[error("the audit log cannot be read: {0}")]
    Audit(#[source] journal::Error),
    /// The CA could not sign.
    #[error("the certificate could not be signed; see the controller's log, then use a new token")]
    Sign(#[from] authority::Error),
    /// The core answered another question.
    #[error("the controller contradicts itself; see its log")]
    Contradiction,
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let code = match &failure {
            Failure::Ask(AskError::Deadline(_)) => Code::DeadlineExceeded,
            Failure::Ask(AskError::Busy) | Failure::Watchers(_) => Code::ResourceExhausted,
            Failure::Ask(AskError::Stopped) => Code::Unavailable,
            Failure::Wire(_)
            | Failure::Name(_)
            | Failure::TokenTtl { .. }
            | Failure::CertificateRequest(_) => Code::InvalidArgument,
            Failure::Token(_) | Failure::NoIdentity => Code::Unauthenticated,
            Failure::Rejected(rejection) => code_of(rejection),
            Failure::Sign(error) => {
                tracing::error!(%error, "cannot sign a certificate");
                Code::Internal
            }
            Failure::Audit(error) => {
                tracing::error!(%error, "cannot read the audit log");
                Code::DataLoss
            }
            Failure::Contradiction => {
                tracing::error!("the core's reply does not answer its request");
                Code::Internal
            }
        };
        Self::new(code, failure.to_string())
    }
}

fn code_of(rejection: &Rejection) -> Code {
    match rejection {
        Rejection::ClusterNotAttached(_) => Code::Unavailable,
        Rejection::ClusterSilent(_) => Code::DeadlineExceeded,
        Rejection::Busy(_) => Code::ResourceExhausted,
        Rejection::MigrationUnknown(_) => Code::NotFound,
        Rejection::TokenUnknown(_) | Rejection::TokenUsed(_) | Rejection::TokenExpired(_) => {
            Code::Unauthenticated
        }
        Rejection::Invalid(_) => Code::InvalidArgument,
        Rejection::AlreadyMigrating(_)
        | Rejection::AlreadyPaused(_)
        | Rejection::NotPaused(_)
        | Rejection::NothingToAttest(_)
        | Rejection::NothingInFlight(_)
        | Rejection::PastReturn(_)
        | Rejection::AlreadyOver(_)
        | Rejection::AlreadyRollingBack(_)
        | Rejection::NotCompleted(_)
        | Rejection::ClusterRefused(_)
        | Rejection::ProbeFailed(_)
        | Rejection::VolumeConflict(_)
        | Rejection::WorldChanged(_)
        | Rejection::PlanExpired(_)
        | Rejection::PlanUnknown(_) => Code::FailedPrecondition,
    }
}
