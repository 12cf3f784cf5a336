//! Names of identities: `spiffe://<trust-domain>/cluster/<name>`, `spiffe://<trust-domain>/role/<role>/<name>` and
//! `spiffe://<trust-domain>/controller`, carried as the one URI SAN of a certificate.
//!
//! Parsing is strict: another trust domain, another path shape, a second URI or a name that is not a DNS label is no
//! identity at all. The SPIFFE ID specification allows more; nothing here needs it.

use std::{fmt, str::FromStr};

use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

use crate::limits;

/// What a role may do is a ladder: each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Moves workloads.
    Operator,
    /// Makes credentials.
    Admin,
}

impl Role {
    /// All roles, weakest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The role's name in identities and requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Error::Role { found: text.to_owned() })
    }
}

/// Who an identity is, without its trust domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The agent of a cluster, by the cluster's name.
    Cluster(String),
    /// A person or script.
    Role {
        /// What it may do.
        role: Role,
        /// Its name.
        name: String,
    },
    /// The controller itself.
    Controller,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name) => write!(f, "cluster/{name}"),
            Self::Role { role, name } => write!(f, "role/{}/{name}", role.as_str()),
            Self::Controller => f.write_str("controller"),
        }
    }
}

/// An identity: a subject in a trust domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The trust domain, a DNS subdomain.
    pub trust_domain: String,
    /// Who.
    pub subject: Subject,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}", self.trust_domain, self.subject)
    }
}

/// Why something is no identity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The certificate cannot be read.
    #[error("the certificate is not a valid X.509 certificate")]
    Certificate,
    /// Not exactly one URI SAN.
    #[error("the certificate has {found} URI names where exactly one, the identity, is expected")]
    UriCount {
        /// How many there are.
        found: usize,
    },
    /// Another trust domain, or not a SPIFFE ID of our shapes.
    #[error(
        "{found:?} is not an identity here: expected spiffe://{trust_domain}/cluster/<name> or \
         spiffe://{trust_domain}/role/<viewer|operator|admin>/<name>"
    )]
    Shape {
        /// The URI.
        found: String,
        /// Our trust domain.
        trust_domain: String,
    },
    /// Not a role.
    #[error("{found:?} is not a role: expected viewer, operator or admin")]
    Role {
        /// What was given.
        found: String,
    },
    /// Not a DNS label.
    #[error(
        "{found:?} is not a name: expected a DNS label (at most 63 of a-z, 0-9 and -, not at either end)"
    )]
    Name {
        /// What was given.
        found: String,
    },
    /// Not a trust domain.
    #[error("{found:?} is not a trust domain: expected DNS labels joined by dots, at most 253 characters")]
    TrustDomain {
        /// What was given.
        found: String,
    },
}

/// Accepts a DNS label (RFC 1123): names of clusters and people.
pub fn label(text: &str) -> Result<&str, Error> {
    if is_label(text) { Ok(text) } else { Err(Error::Name { found: truncated(text) }) }
}

/// Accepts a trust domain: DNS labels joined by dots.
pub fn trust_domain(text: &str) -> Result<&str, Error> {
    if is_subdomain(text) { Ok(text) } else { Err(Error::TrustDomain { found: truncated(text) }) }
}

/// Whether `text` is a DNS label (RFC 1123).
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= limits::MAX_LABEL_CHARS
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `text` is a DNS subdomain (RFC 1123).
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= limits::MAX_SUBDOMAIN_CHARS && text.split('.').all(is_label)
}

impl Identity {
    /// Reads a SPIFFE ID of the trust domain `expected`.
    pub fn parse(uri: &str, expected: &str) -> Result<Self, Error> {
        let shape = || Error::Shape { found: truncated(uri), trust_domain: expected.to_owned() };
        let rest = uri.strip_prefix("spiffe://").ok_or_else(shape)?;
        let path = rest.strip_prefix(expected).and_then(|rest| rest.strip_prefix('/')).ok_or_else(shape)?;
        let mut parts = path.split('/');
        let subject = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("controller"), None, None, None) => Subject::Controller,
            (Some("cluster"), Some(name), None, None) => Subject::Cluster(label(name)?.to_owned()),
            (Some("role"), Some(role), Some(name), None) => {
                Subject::Role { role: role.parse()?, name: label(name)?.to_owned() }
            }
            _ => return Err(shape()),
        };
        Ok(Self { trust_domain: expected.to_owned(), subject })
    }

    /// The identity that a certificate of the trust domain `expected` carries.
    pub fn of_certificate(certificate: &X509Certificate<'_>, expected: &str) -> Result<Self, Error> {
        let names = certificate.subject_alternative_name().map_err(|_| Error::Certificate)?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        match uris.as_slice() {
            [uri] => Self::parse(uri, expected),
            _ => Err(Error::UriCount { found: uris.len() }),
        }
    }
}

/// The beginning of a foreign text: errors and logs repeat no more of it than a person needs.
fn truncated(text: &str) -> String {
    text.chars().take(limits::MAX_SUBDOMAIN_CHARS).collect()
}

#[cfg(test)]
#[path = "spiffe_tests.rs"]
mod tests;
