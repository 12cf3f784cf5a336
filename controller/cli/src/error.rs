//! How the command fails, and with which exit code.
//!
//! One variant for each way to fail that a person would handle differently; [`crate::explain`] says of each what was
//! found, what was expected and what to do. Exit codes are the promise documented in the crate's head: scripts may
//! tell a refusal (3) from a lost connection (1) from a missing credential (4) without reading text.

use std::{io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use thiserror::Error;

use crate::{admin::Call, shape::Migration};

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The call failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Refused.
    Refused = 3,
    /// Not logged in, expired, not trusted, not permitted.
    Identity = 4,
    /// The migration ended other than Completed.
    Ended = 5,
    /// Interrupted; the migration goes on.
    Interrupted = 130,
}

/// Why the command did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("not logged in")]
    NotLoggedIn { path: PathBuf },
    #[error("no place for the credential")]
    NoConfigDirectory,
    #[error("cannot read {}", path.display())]
    ReadConfig { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    WriteConfig { path: PathBuf, source: io::Error },
    #[error("{} is damaged", path.display())]
    DamagedConfig { path: PathBuf, source: serde_json::Error },
    #[error("the credential in {} is damaged", path.display())]
    DamagedCredential { path: PathBuf, source: rustls::Error },
    #[error("which controller is not said")]
    NoServer,
    #[error("cannot read the token from standard input")]
    ReadToken { source: io::Error },
    #[error("this is not a join token")]
    MalformedToken { found: String },
    #[error("this token is for a cluster's agent, not for a person")]
    NotAPerson { identity: String },
    #[error("the certificate of {identity} has expired")]
    Expired { identity: String, server: String, at: Timestamp },
    #[error("cannot make a key")]
    MakeKey { source: rcgen::Error },
    #[error("not an address: {found}")]
    MalformedServer { found: String },
    #[error("cannot reach the controller at {server}")]
    Connect { server: String, source: io::Error },
    #[error("cannot reach the controller at {server}")]
    ConnectTimeout { server: String },
    #[error("the controller at {server} is not trusted")]
    Untrusted { server: String, source: rustls::Error },
    #[error("the controller at {server} did not take the certificate of {identity}")]
    CertificateRefused { server: String, identity: String, source: rustls::Error },
    #[error("cannot speak gRPC with {server}")]
    Transport { server: String, source: tonic::transport::Error },
    #[error("{call} failed")]
    Status { call: Call, server: String, identity: String, source: Box<tonic::Status> },
    #[error("{call}: no answer in {}", humantime::format_duration(*after))]
    Deadline { call: Call, server: String, after: Duration },
    #[error("the controller's answer is not understood")]
    NotUnderstood { what: &'static str, found: String },
    #[error("the plan is refused")]
    PlanRefused { refusals: usize },
    #[error("{}: {code}", refused(*call))]
    Rejected { call: Call, code: String, message: String, transient: bool },
    #[error("there is nothing called {found} to describe")]
    NoSuchKind { found: String },
    #[error("{failed} of the checks failed")]
    ChecksFailed { failed: usize },
    #[error("cannot write {}", path.display())]
    WriteFile { path: PathBuf, source: io::Error },
    #[error("approval is needed")]
    NeedsApproval,
    #[error("what to move is not said")]
    NothingNamed,
    #[error("not started")]
    Declined,
    #[error("migration {} {}", migration.id, migration.phase.name())]
    Ended { migration: Box<Migration> },
    #[error("the controller has been unreachable for {}", humantime::format_duration(*after))]
    LostController { after: Duration, migration: Option<String>, source: Box<Failure> },
    #[error("interrupted")]
    Interrupted { migration: Option<String> },
    #[error("the reader of the output has gone")]
    BrokenPipe,
    #[error("cannot write the output")]
    Output { source: io::Error },
    #[error("cannot watch for Ctrl-C")]
    Signals { source: io::Error },
    #[error("cannot start the runtime")]
    Runtime { source: io::Error },
}

impl Failure {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        use tonic::Code;
        match self {
            Self::Status { source, .. } => match source.code() {
                Code::Unauthenticated | Code::PermissionDenied => Exit::Identity,
                _ => Exit::Failed,
            },
            Self::NotLoggedIn { .. }
            | Self::DamagedCredential { .. }
            | Self::MalformedToken { .. }
            | Self::NotAPerson { .. }
            | Self::Expired { .. }
            | Self::Untrusted { .. }
            | Self::CertificateRefused { .. } => Exit::Identity,
            Self::NeedsApproval
            | Self::NothingNamed
            | Self::NoSuchKind { .. }
            | Self::NoServer
            | Self::MalformedServer { .. } => Exit::Usage,
            Self::PlanRefused { .. } | Self::Rejected { .. } | Self::Declined => Exit::Refused,
            Self::Ended { .. } => Exit::Ended,
            Self::Interrupted { .. } => Exit::Interrupted,
            Self::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }

    /// Whether the same request may succeed a moment later: the controller was not reached, or lost on the way.
    pub(crate) fn is_retryable(&self) -> bool {
        use tonic::Code;
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Transport { .. }
            | Self::Deadline { .. } => true,
            Self::Status { source, .. } => matches!(
                source.code(),
                Code::Unavailable
                    | Code::Unknown
                    | Code::Internal
                    | Code::Cancelled
                    | Code::Aborted
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
            ),
            _ => false,
        }
    }
}

/// What was not done, for a title.
fn refused(call: Call) -> &'static str {
    match call {
        Call::Start => "the migration was not started",
        Call::Pause => "the migration was not paused",
        Call::Resume => "the migration was not resumed",
        Call::Rollback => "the migration is not rolled back",
        Call::Attest => "nothing was attested",
        Call::Finish => "the migration was not finished",
        Call::Probe => "the disk was not seen to cross",
        _ => "refused",
    }
}

/// An error with everything below it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}
