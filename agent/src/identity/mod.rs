//! Who this agent is: its key and certificate, how it got them, how it keeps them.
//!
//! An agent is one cluster, and the cluster's name is the certificate's: exactly one URI SAN,
//! `spiffe://<trust-domain>/cluster/<name>`. It trades a join token for that certificate once ([`enroll`]), renews it
//! at two thirds of its life ([`renew`]), and keeps it with its key ([`keep`]). The connection itself is
//! made in [`channel`] over TLS settings from [`tls`]. What an identity may do is the controller's table, not ours.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

pub mod channel;
pub mod enroll;
pub mod error;
pub mod keep;
pub mod renew;
pub mod secret;
pub mod store;
pub mod tls;
pub mod token;

pub use error::Error;

/// A key, its certificate, and the authority that both sides trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// `spiffe://<trust-domain>/cluster/<name>`.
    pub uri: String,
    /// The cluster's name.
    pub cluster: String,
    /// Begin of validity, Unix time in seconds.
    pub not_before: i64,
    /// End of validity, Unix time in seconds.
    pub not_after: i64,
    material: Material,
}

/// What is kept: PEM texts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// PKCS#8.
    pub key_pem: String,
    /// The certificate, then intermediates.
    pub certificate_pem: String,
    /// Roots to trust for the controller.
    pub ca_pem: String,
    /// When it was received, Unix time in seconds: certificates begin before they are issued, for clocks that differ.
    pub received: i64,
}

impl Identity {
    /// Reads what the certificate says; checks that the key parses and that the certificate is a cluster's.
    ///
    /// # Errors
    /// [`Error::Damaged`] with what is wrong, [`Error::NotACluster`].
    pub fn from_material(material: Material, path: &std::path::Path) -> Result<Self, Error> {
        let damaged = |what: &'static str| Error::Damaged { path: path.into(), what };
        PrivateKeyDer::from_pem_slice(material.key_pem.as_bytes()).map_err(|_| damaged("its private key"))?;
        let certificates = material.certificates().map_err(|_| damaged("its certificate"))?;
        let roots = material.roots().map_err(|_| damaged("its certificate authority"))?;
        if roots.is_empty() {
            return Err(damaged("its certificate authority"));
        }
        let leaf = certificates.first().ok_or_else(|| damaged("its certificate"))?;
        let (_, leaf) = parse_x509_certificate(leaf).map_err(|_| damaged("its certificate"))?;
        let validity = leaf.validity();
        let uri = match leaf.subject_alternative_name() {
            Ok(Some(names)) => match names.value.general_names.as_slice() {
                [GeneralName::URI(uri)] => (*uri).to_owned(),
                _ => return Err(damaged("the names in its certificate")),
            },
            _ => return Err(damaged("the names in its certificate")),
        };
        let cluster =
            cluster_of(&uri).ok_or_else(|| Error::NotACluster { identity: uri.clone() })?.to_owned();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Ok(Self { uri, cluster, not_before, not_after, material })
    }

    /// The PEM texts.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// Whether it is over at `now`, Unix time in seconds.
    pub fn is_expired(&self, now: i64) -> bool {
        now >= self.not_after
    }

    /// Time from `now` (Unix time in seconds) until two thirds of the time for which it was received; zero when past.
    pub fn renewal_in(&self, now: i64) -> Duration {
        let from = self.material.received.clamp(self.not_before, self.not_after);
        let due = from.saturating_add(self.not_after.saturating_sub(from) / 3 * 2);
        Duration::from_secs(u64::try_from(due.saturating_sub(now)).unwrap_or(0))
    }
}

impl Material {
    /// The chain, leaf first.
    ///
    /// # Errors
    /// The PEM cannot be read.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
        CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes()).collect()
    }

    /// The roots.
    ///
    /// # Errors
    /// The PEM cannot be read.
    pub fn roots(&self) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
        CertificateDer::pem_slice_iter(self.ca_pem.as_bytes()).collect()
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("uri", &self.uri)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Now, Unix time in seconds.
pub fn unix_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The name in `spiffe://<trust-domain>/cluster/<name>`.
fn cluster_of(uri: &str) -> Option<&str> {
    let (domain, path) = uri.strip_prefix("spiffe://")?.split_once('/')?;
    let name = path.strip_prefix("cluster/")?;
    (!domain.is_empty() && !name.is_empty() && !name.contains('/')).then_some(name)
}

/// The identity kept in `keep`; else a new one for `token`.
///
/// A token whose authority is not the one that the kept identity trusts means that the controller was set up anew, and
/// is used; so is any token when the kept certificate is over.
///
/// # Errors
/// See [`Error`]: each says what to do. A controller that cannot be reached is waited for, not an error.
pub async fn obtain(
    keep: &keep::Keep,
    controller: &channel::Address,
    token: Option<&token::JoinToken>,
) -> Result<Identity, Error> {
    match (keep.load().await?, token) {
        (Some(kept), None) if kept.is_expired(unix_now()) => {
            Err(Error::Expired { identity: kept.uri, at: error::moment(kept.not_after) })
        }
        (Some(kept), None) => Ok(kept),
        (Some(kept), Some(token)) if !kept.is_expired(unix_now()) && token.is_of(kept.material()) => Ok(kept),
        (None, None) => Err(Error::NoIdentity { path: keep.path().into() }),
        (_, Some(token)) => {
            keep.check().await?;
            let identity = enroll::enroll(controller, token, keep.path()).await?;
            keep.save(&identity).await?;
            tracing::info!(identity = %identity.uri, until = %error::moment(identity.not_after), "enrolled");
            Ok(identity)
        }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
