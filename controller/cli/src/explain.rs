//! What a person reads when the command fails: what was found, what was expected, what to do.
//!
//! The same three parts as a finding of a plan, so that every refusal in Ferry reads alike. Text only; which exit
//! code goes with it is decided in [`crate::error`]. A message that the controller sends is shown as it is: it knows
//! more than this command. Commands in the advice carry the name this program was called by.

use std::fmt::Write;

use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tonic::Code;

use crate::{
    admin::Call,
    error::{Failure, chain},
    shape::{Phase, rfc3339},
    wire::clean,
};

/// Three parts under a title; an empty part is left out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Explanation {
    /// What was found.
    pub(crate) found: String,
    /// What was expected.
    pub(crate) expected: String,
    /// What to do.
    pub(crate) remedy: String,
}

impl Explanation {
    fn of(found: impl Into<String>, expected: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into(), remedy: remedy.into() }
    }

    /// The whole text, under its title; ends with a line break.
    pub(crate) fn text(&self, title: &str) -> String {
        let mut text = format!("{title}\n");
        for (label, part) in [("found", &self.found), ("expected", &self.expected), ("to do", &self.remedy)] {
            if !part.is_empty() {
                let _ = writeln!(text, "  {label:<9} {part}");
            }
        }
        text
    }
}

/// Explains a failure to the user of `program`.
pub(crate) fn explain(failure: &Failure, program: &str) -> Explanation {
    match failure {
        Failure::NotLoggedIn { .. }
        | Failure::NoConfigDirectory
        | Failure::ReadConfig { .. }
        | Failure::WriteConfig { .. }
        | Failure::DamagedConfig { .. }
        | Failure::DamagedCredential { .. } => credential_file(failure, program),
        Failure::ReadToken { .. }
        | Failure::MalformedToken { .. }
        | Failure::NotAPerson { .. }
        | Failure::Expired { .. } => token(failure, program),
        Failure::MalformedServer { .. }
        | Failure::Connect { .. }
        | Failure::ConnectTimeout { .. }
        | Failure::Untrusted { .. }
        | Failure::CertificateRefused { .. }
        | Failure::Transport { .. } => connection(failure, program),
        Failure::Status { call, identity, source, .. } => status(*call, identity, source, program),
        _ => outcome(failure, program),
    }
}

fn new_credential(program: &str) -> String {
    format!(
        "ask an admin for a token (`{program} token create role operator NAME`), then: \
         {program} login --server HOST:PORT TOKEN"
    )
}

fn credential_file(failure: &Failure, program: &str) -> Explanation {
    match failure {
        Failure::NotLoggedIn { path } => Explanation::of(
            format!("no {}", path.display()),
            format!("the credential that `{program} login` keeps there"),
            new_credential(program),
        ),
        Failure::NoConfigDirectory => Explanation::of(
            "neither HOME nor XDG_CONFIG_HOME is set",
            "a directory for the credential",
            "pass --config DIR or set FERRY_CONFIG",
        ),
        Failure::ReadConfig { path, source } => Explanation::of(
            source.to_string(),
            "a file that this user can read",
            format!("look at its owner and mode: ls -l {}", path.display()),
        ),
        Failure::WriteConfig { source, .. } => Explanation::of(
            source.to_string(),
            "a directory that this user can write, with room in it",
            "repair it, or name another with --config DIR",
        ),
        Failure::DamagedConfig { source, .. } => Explanation::of(
            source.to_string(),
            format!("what `{program} login` wrote"),
            new_credential(program),
        ),
        Failure::DamagedCredential { source, .. } => {
            Explanation::of(source.to_string(), "a certificate and its private key", new_credential(program))
        }
        _ => Explanation::default(),
    }
}

fn token(failure: &Failure, program: &str) -> Explanation {
    match failure {
        Failure::ReadToken { source } => {
            Explanation::of(source.to_string(), "the token on standard input", String::new())
        }
        Failure::MalformedToken { found } => Explanation::of(
            found.clone(),
            "ferry1.<secret>.<fingerprint of the controller's CA>, in one piece",
            format!(
                "copy the whole token, as `{program} token create` or the controller's first start printed it"
            ),
        ),
        Failure::NotAPerson { identity } => Explanation::of(
            format!("{identity}; the token is used up now, nothing was stored"),
            "a token made with `token create role`",
            format!(
                "for a person: {program} token create role operator NAME; for an agent, make a new one: {program} token create cluster NAME"
            ),
        ),
        Failure::Expired { server, at, .. } => Explanation::of(
            format!("it was valid until {}", rfc3339(*at)),
            "a valid certificate; it renews itself whenever a command runs in the last third of its life",
            format!(
                "ask an admin for a token (`{program} token create role operator NAME`), then: {program} login --server {server} TOKEN"
            ),
        ),
        _ => Explanation::default(),
    }
}

fn connection(failure: &Failure, program: &str) -> Explanation {
    match failure {
        Failure::MalformedServer { .. } => {
            Explanation::of(String::new(), "HOST:PORT, as in ferry.example.org:7443 or [::1]:7443", "")
        }
        Failure::Connect { server, source } => Explanation::of(
            chain(source),
            format!("a controller listening on {server}"),
            "see whether it runs and says `listening on …`, whether the address is right (--server), and \
             whether a firewall is between; migrations go on without this command",
        ),
        Failure::ConnectTimeout { server } => Explanation::of(
            format!("no answer in {}", humantime::format_duration(crate::limits::CONNECT_TIMEOUT)),
            format!("a controller listening on {server}"),
            "see whether the address is right (--server) and whether a firewall drops the packets",
        ),
        Failure::Untrusted { server, source } => untrusted(server, source, program),
        Failure::CertificateRefused { source, .. } => Explanation::of(
            chain(source),
            "a certificate that this controller signed, and that is still valid",
            if matches!(source, TlsError::AlertReceived(AlertDescription::CertificateExpired)) {
                format!("log in again ({}); if this clock is wrong, set it", new_credential(program))
            } else {
                new_credential(program)
            },
        ),
        Failure::Transport { source, .. } => Explanation::of(
            chain(source),
            "the controller's gRPC service (HTTP/2 over TLS 1.3)",
            "see whether the address and port are the controller's (--server)",
        ),
        _ => Explanation::default(),
    }
}

fn untrusted(server: &str, source: &TlsError, program: &str) -> Explanation {
    use CertificateError as Bad;
    match source {
        TlsError::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => Explanation::of(
            "a certificate of an unknown authority",
            "one signed by the CA that the token (at login) or the credential (afterwards) names",
            format!(
                "check the address {server}: another controller, or somebody else, answers there; if the controller was set up anew, log in again: {}",
                new_credential(program)
            ),
        ),
        TlsError::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            Explanation::of(
                clean(&source.to_string()),
                format!("a certificate with the name in {server}"),
                "dial it by a name or address it has, or start the controller with --san NAME",
            )
        }
        TlsError::InvalidCertificate(
            Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. },
        ) => Explanation::of(
            clean(&source.to_string()),
            "a certificate that is valid now",
            "compare this machine's clock with the controller's",
        ),
        _ => Explanation::of(
            clean(&source.to_string()),
            "TLS 1.3 with the controller's certificate",
            format!("see whether {server} is the controller's port"),
        ),
    }
}

fn status(call: Call, identity: &str, source: &tonic::Status, program: &str) -> Explanation {
    let message = clean(source.message());
    match source.code() {
        Code::PermissionDenied => Explanation::of(
            message,
            format!("role {} or higher; you are {identity}", call.role()),
            format!(
                "ask an admin: {program} token create role {} NAME, then log in with that token",
                call.role()
            ),
        ),
        Code::Unauthenticated if call == Call::Enroll => Explanation::of(
            message,
            "a token of this controller, unused and not expired",
            format!("ask an admin for a new one: {program} token create role operator NAME"),
        ),
        Code::Unauthenticated => {
            Explanation::of(message, "a certificate that the controller takes", new_credential(program))
        }
        Code::Unimplemented => Explanation::of(
            message,
            "a controller of the same version",
            format!("compare both: {program} version"),
        ),
        Code::Unknown | Code::Internal | Code::Cancelled => {
            Explanation::of(format!("{message} ({:?})", source.code()), "", "")
        }
        _ => Explanation::of(message, "", ""),
    }
}

fn watch_again(id: Option<&str>, program: &str) -> String {
    match id {
        Some(id) => format!("watch again: {program} watch {id}"),
        None => format!("watch again: {program} watch"),
    }
}

fn outcome(failure: &Failure, program: &str) -> Explanation {
    match failure {
        Failure::Deadline { server, .. } => Explanation::of(
            format!("silence from {server}"),
            "an answer",
            "try again, with a longer --timeout if the clusters are slow",
        ),
        Failure::NotUnderstood { what, found } => Explanation::of(
            format!("{what} `{found}`"),
            "one that this version knows",
            format!("bring this command to the controller's version: {program} version"),
        ),
        Failure::PlanRefused { refusals } => Explanation::of(
            format!("{refusals} of the checks refuse"),
            "none; nothing was changed in any cluster",
            "do what each says, then plan again",
        ),
        Failure::Rejected { message, transient, .. } => Explanation::of(
            message.clone(),
            "",
            if *transient { "the same command may succeed later" } else { "" },
        ),
        Failure::NeedsApproval => Explanation::of(
            "no terminal to ask on",
            "an approval",
            format!("pass --yes, or run `{program} plan` and pass its --plan HASH"),
        ),
        Failure::NoServer => Explanation::of(
            "neither --server nor an earlier login",
            "the controller's address",
            format!("{program} login --server HOST:PORT TOKEN"),
        ),
        Failure::NothingNamed => Explanation::of(
            "neither a StatefulSet with --to nor --plan HASH",
            "one of them",
            format!("{program} migrate statefulset/NAME --to CLUSTER"),
        ),
        Failure::Declined => Explanation::of("", "", "nothing was changed in any cluster"),
        Failure::Ended { migration } => {
            let remedy = match migration.phase {
                Phase::Refused => "nothing has moved; repair what it says, then plan again",
                Phase::RolledBack => "everything is in the source again; plan anew when it is to move",
                _ => "repair what it says; no disk is deleted by Ferry",
            };
            Explanation::of(migration.message.clone(), "completed", remedy)
        }
        Failure::LostController { migration, source, .. } => Explanation::of(
            chain(source.as_ref()),
            "the controller to come back; the migration goes on when it does",
            watch_again(migration.as_deref(), program),
        ),
        Failure::NoSuchKind { .. } => {
            Explanation::of("", "migration", format!("{program} describe migration ID"))
        }
        Failure::ChecksFailed { .. } => Explanation::of("", "", "see what each says"),
        Failure::WriteFile { source, .. } => Explanation::of(
            source.to_string(),
            "a directory that this user can write, with room in it",
            "repair it, or name another",
        ),
        Failure::Output { source } | Failure::Signals { source } | Failure::Runtime { source } => {
            Explanation::of(source.to_string(), "", "")
        }
        _ => Explanation::default(),
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
