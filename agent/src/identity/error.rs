//! What goes wrong with an identity, each in words that say what to do about it.
//!
//! One variant for each operation: reading and keeping files, the token, enrolment, renewal, the TLS channel.
//! Most of these need a person (a token that was used, a clock that is wrong, a directory that cannot be
//! written), so the text names the file or the address and the next command to run. The few that time may
//! heal say so by `is_retryable`.

use std::{io, path::PathBuf};

/// Why there is no identity, or no connection with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing kept and nothing to trade.
    #[error(
        "no certificate in {path} and no join token was given. Make a token for this cluster with `ferry token create`, \
         and start the agent with --token-file (or --token)", path = path.display()
    )]
    NoIdentity {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The kept certificate is over.
    #[error(
        "the certificate of {identity} expired at {at}. Make a new token for this cluster with `ferry token create`, and \
         start the agent with --token-file (or --token); check the clock if that date is in the future"
    )]
    Expired {
        /// Whose.
        identity: String,
        /// RFC 3339.
        at: String,
    },
    /// The certificate is a person's.
    #[error(
        "the certificate is for {identity}, which is not a cluster. Make a token for a cluster with `ferry token create`"
    )]
    NotACluster {
        /// Whose it is.
        identity: String,
    },
    /// The kept file cannot be understood.
    #[error(
        "{path} is damaged: {what} cannot be read. Move it away and start the agent with a new join token",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
    /// The state directory cannot be used.
    #[error("cannot {what} {path}: give --state a directory that this user may write to", path = path.display())]
    State {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The Secret cannot be used.
    #[error(
        "cannot {what} {secret}: make it (it may be empty), and grant this agent `get` and `patch` on it, as the chart does",
        secret = secret.display()
    )]
    Secret {
        /// What was tried.
        what: &'static str,
        /// On which.
        secret: PathBuf,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// The token's file cannot be read.
    #[error("cannot read the join token from {path}", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The token is not one.
    #[error("the join token cannot be used")]
    Token(#[from] super::token::Error),
    /// A key or a request could not be made.
    #[error("cannot make a key and a certificate request")]
    Request(#[source] rcgen::Error),
    /// The certificate and key do not fit TLS.
    #[error("the certificate cannot be used for TLS")]
    Tls(#[source] rustls::Error),
    /// The certificate authority cannot be used.
    #[error("the certificate authority cannot be used to check the controller")]
    Authority(#[source] rustls::server::VerifierBuilderError),
    /// The controller's address is not one.
    #[error("`{0}` is not the address of a controller: give --controller HOST:PORT")]
    Address(String),
    /// No connection.
    #[error("no connection to the controller at {controller}")]
    Connect {
        /// Where.
        controller: String,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
    /// The controller answered with an error.
    #[error("the controller at {controller} refused: {message}", message = status.message())]
    Refused {
        /// Where.
        controller: String,
        /// What it said; its message says what to do.
        status: Box<tonic::Status>,
    },
    /// No answer in time.
    #[error("the controller at {controller} gave no answer within {seconds} s")]
    Silent {
        /// Where.
        controller: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl Error {
    /// Whether it may go away when tried again: the controller is not there, or not yet.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { source, .. } => super::channel::is_retryable(source),
            Self::Silent { .. } => true,
            Self::Refused { status, .. } => matches!(
                status.code(),
                tonic::Code::Unavailable
                    | tonic::Code::ResourceExhausted
                    | tonic::Code::DeadlineExceeded
                    | tonic::Code::Cancelled
                    | tonic::Code::Aborted
            ),
            _ => false,
        }
    }
}

/// Unix seconds as RFC 3339.
pub(crate) fn moment(unix_seconds: i64) -> String {
    jiff::Timestamp::from_second(unix_seconds).map_or_else(|_| unix_seconds.to_string(), |at| at.to_string())
}
