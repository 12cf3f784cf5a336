//! Who is at the other end of a connection, as its certificate says.
//!
//! Read once, after the handshake, and carried to every request of the connection by its extensions. An expired
//! certificate is kept as such, so that the refusal can say so in words instead of a TLS alert; it authorizes nothing.
//! A certificate of our CA whose names are no identity is kept too, for the same reason.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use rustls_pki_types::CertificateDer;

use crate::identity::spiffe::Identity;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its address.
    pub address: SocketAddr,
    /// Who it is.
    pub peer: Peer,
}

impl PeerInfo {
    /// How long its certificate is still good: streams end with it.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        match &self.peer {
            Peer::Certified { not_after, .. } => {
                not_after.duration_since(SystemTime::now()).unwrap_or_default()
            }
            Peer::Anonymous | Peer::Unrecognised { .. } => Duration::ZERO,
        }
    }
}

/// Who the other end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It showed no certificate.
    Anonymous,
    /// Its certificate comes from the CA and names an identity of the trust domain.
    Certified {
        /// The identity.
        identity: Identity,
        /// End of the certificate's validity.
        not_after: SystemTime,
    },
    /// Its certificate comes from the CA and is nobody's here.
    Unrecognised {
        /// Why, in words.
        reason: String,
    },
}

impl Peer {
    /// Reads the identity of a verified certificate.
    #[must_use]
    pub fn of_certificate(certificate: &CertificateDer<'_>, trust_domain: &str) -> Self {
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
            return Self::Unrecognised { reason: crate::identity::spiffe::Error::Certificate.to_string() };
        };
        match Identity::of_certificate(&parsed, trust_domain) {
            Ok(identity) => {
                Self::Certified { identity, not_after: parsed.validity().not_after.to_datetime().into() }
            }
            Err(error) => Self::Unrecognised { reason: error.to_string() },
        }
    }
}
