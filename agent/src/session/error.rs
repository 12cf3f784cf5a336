//! Why a stream ended or did not come about, each in words that say what to do.
//!
//! Disconnection is normal: every one of these is followed by another try after a pause. They are told apart
//! for the person who reads the log: a controller that is away heals by itself, a certificate that is refused
//! does not. What a command did is not here, that is an outcome.

use std::time::Duration;

use crate::{dispatch, identity};

/// Why there is no stream. The agent dials again after each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The controller ended the stream or never took it.
    #[error("{remedy}: {message}", remedy = remedy(status), message = status.message())]
    Status {
        /// What it said.
        status: Box<tonic::Status>,
    },
    /// The controller closed the stream without a reason.
    #[error("the controller closed the stream")]
    Closed,
    /// Nothing came.
    #[error("the controller has been silent for {} ms", .0.as_millis())]
    Silent(Duration),
    /// Nothing is taken.
    #[error("the controller has taken nothing for {} ms", .0.as_millis())]
    Stuck(Duration),
    /// Another revision of the wire.
    #[error(
        "the controller speaks revision {0} of the wire, this agent revision {ours}. Run an agent of the controller's \
         version", ours = super::WIRE_VERSION
    )]
    Version(u32),
    /// A message that this agent does not know (H33).
    #[error(
        "the controller sent {0}, which this agent does not understand. Run an agent of the controller's version"
    )]
    NotUnderstood(&'static str),
    /// The controller knows the cluster by another name than the certificate.
    #[error(
        "the controller knows this cluster as `{said}`, its certificate says `{expected}`. Enrol with a new token"
    )]
    AnotherName {
        /// The certificate's.
        expected: String,
        /// The controller's.
        said: String,
    },
    /// A command could not be taken.
    #[error("a command was not taken")]
    Command(#[from] dispatch::Error),
    /// The controller ends a stream whose certificate expires.
    #[error("the certificate was renewed; the stream begins anew with the new one")]
    Renewed,
    /// The pod networks are others than those of the Resync.
    #[error("the pod networks of this cluster changed; the stream begins anew to say so")]
    NetworksChanged,
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Status { status: Box::new(status) }
    }
}

fn remedy(status: &tonic::Status) -> &'static str {
    use tonic::Code;
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => {
            "the controller refuses this agent; enrol with a new join token"
        }
        Code::FailedPrecondition => "the controller does not take this cluster",
        Code::Aborted => "another stream of this cluster replaced this one; run one agent for each cluster",
        Code::InvalidArgument => "the controller does not understand this agent; run an agent of its version",
        Code::ResourceExhausted => "the controller has no room for this agent now",
        _ => "the stream to the controller ended",
    }
}
