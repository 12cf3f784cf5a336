//! How a command ends: with evidence, with a refusal, or with what is not known.
//!
//! The difference between the last two carries invariant I8. A refusal says that the API server answered, and that
//! the answer excludes the write; unknown says that nobody can tell. [`classify`] draws that line for every error of
//! the client, so that no executor draws it by itself. An executor that meets an ambiguous write reads again and goes
//! on from what it finds; if it only passes the error on with `?`, the outcome is unknown, never success and never
//! failure.
//!
//! The step may be left 0: `dispatch` fills in the step that the command's reporter began last.

use ferry_proto::agent::v1::{self as wire, RefusalCode};

/// Evidence of a command that was carried out, or a report of an inspection.
pub type Evidence = wire::outcome::Result;

/// How a command ends.
pub type Ended = Result<Evidence, Stop>;

/// Why a command ended without evidence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Stop {
    /// A precondition does not hold, and nothing more was changed than progress said.
    #[error("{message}")]
    Refused {
        /// Which.
        code: RefusalCode,
        /// Step of handoff.md section 5; 0: the one begun last.
        step: u32,
        /// What was found, what was expected, what to do.
        message: String,
    },
    /// It cannot be told whether it was done.
    #[error("{message}")]
    Unknown {
        /// Step of handoff.md section 5; 0: the one begun last.
        step: u32,
        /// What is not known, and what to do.
        message: String,
        /// Nodes whose own proof of detach will not come: a person may attest them.
        unproven: Vec<String>,
    },
}

impl Stop {
    /// A refusal in the step begun last.
    pub fn refused(code: RefusalCode, message: impl Into<String>) -> Self {
        Self::Refused { code, step: 0, message: message.into() }
    }

    /// The world is not as the command says, and waiting may help.
    pub fn not_ready(message: impl Into<String>) -> Self {
        Self::refused(RefusalCode::NotReady, message)
    }

    /// The world is not as the command says, and only a person can help.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::refused(RefusalCode::Conflict, message)
    }

    /// The command or a value in it is not understood (H33).
    pub fn not_understood(message: impl Into<String>) -> Self {
        Self::refused(RefusalCode::NotUnderstood, message)
    }

    /// The cluster keeps a higher epoch (I5).
    pub fn stale_epoch(message: impl Into<String>) -> Self {
        Self::refused(RefusalCode::StaleEpoch, message)
    }

    /// It cannot be told, in the step begun last.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown { step: 0, message: message.into(), unproven: Vec::new() }
    }

    /// It cannot be told, for want of that node's own proof.
    pub fn unproven(node: &str, message: impl Into<String>) -> Self {
        Self::Unknown { step: 0, message: message.into(), unproven: vec![node.to_owned()] }
    }

    /// The same with `step`, if none was said.
    #[must_use]
    pub fn at(mut self, step: u32) -> Self {
        let (Self::Refused { step: said, .. } | Self::Unknown { step: said, .. }) = &mut self;
        if *said == 0 {
            *said = step;
        }
        self
    }
}

impl From<Stop> for Evidence {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused { code, step, message } => {
                Self::Refusal(wire::Refusal { code: code.into(), message: bounded(message), step })
            }
            Stop::Unknown { step, message, unproven } => {
                Self::Unknown(wire::Unknown { message: bounded(message), step, unproven_nodes: unproven })
            }
        }
    }
}

/// What an error of the Kubernetes client says about the request that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// 404: the object (or, on a write, what it needs, such as its namespace) does not exist.
    Missing,
    /// 409 AlreadyExists: an object of that name exists.
    Exists,
    /// 409 Conflict: a precondition (uid, resourceVersion) does not hold, or the object is being changed.
    Conflict,
    /// 422 or 400: invalid, also a JSON Patch whose `test` failed: read again to tell the two apart.
    Invalid,
    /// 401 or 403: permissions, admission, quota.
    Denied,
    /// 410: the version asked for is gone; list again.
    Expired,
    /// 429: not begun; try again later.
    Busy,
    /// A timeout, a lost connection, a 5xx, an answer that cannot be read: done or not, nobody can tell.
    Ambiguous,
    /// The request was never sent: it could not be built.
    NotSent,
}

impl Class {
    /// Whether a write that met this may have been carried out.
    pub fn is_ambiguous(self) -> bool {
        self == Self::Ambiguous
    }

    /// Whether the same read may succeed when it is tried again.
    pub fn is_retryable_read(self) -> bool {
        matches!(self, Self::Ambiguous | Self::Busy | Self::Expired)
    }
}

/// What `error` says about its request.
pub fn classify(error: &kube::Error) -> Class {
    let status = match error {
        kube::Error::Api(status) => status,
        kube::Error::BuildRequest(_)
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::Auth(_)
        | kube::Error::TlsRequired => return Class::NotSent,
        _ => return Class::Ambiguous,
    };
    match status.code {
        400 | 405 | 406 | 413 | 415 | 422 => Class::Invalid,
        401 | 403 => Class::Denied,
        404 => Class::Missing,
        409 if status.is_already_exists() => Class::Exists,
        409 => Class::Conflict,
        410 => Class::Expired,
        429 => Class::Busy,
        _ => Class::Ambiguous,
    }
}

/// What the API server said, in one line.
pub fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        other => chain(other),
    }
}

/// An error with its causes, `outer: cause: cause`, each said once.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        let said = said(&error);
        match classify(&error) {
            Class::Missing => {
                Self::conflict(format!("The API server found nothing where an object was expected: {said}"))
            }
            Class::Exists => Self::conflict(format!("An object of that name exists already: {said}")),
            Class::Conflict => Self::not_ready(format!("Somebody else changed the object meanwhile: {said}")),
            Class::Invalid => Self::conflict(format!("The API server calls the request invalid: {said}")),
            Class::Denied => Self::refused(
                RefusalCode::Denied,
                format!(
                    "The API server refused: {said}. Grant what deploy/agent/ lists, or change the policy or quota"
                ),
            ),
            Class::Expired | Class::Busy => {
                Self::not_ready(format!("The API server asks to come back later: {said}"))
            }
            Class::NotSent => Self::not_ready(format!("The request could not be sent: {said}")),
            Class::Ambiguous => Self::unknown(format!(
                "The API server gave no clear answer: {said}. It is looked at again when the command is sent again"
            )),
        }
    }
}

/// `text`, cut at [`crate::limits::MESSAGE_BYTES`].
pub fn bounded(mut text: String) -> String {
    let most = crate::limits::MESSAGE_BYTES;
    if text.len() > most {
        let cut = text.floor_char_boundary(most - '…'.len_utf8());
        text.truncate(cut);
        text.push('…');
    }
    text
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
