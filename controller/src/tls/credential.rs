//! The controller's own certificate: made in memory, replaced before it expires, without a restart.
//!
//! Handshakes take whatever is current; connections that exist go on. Nothing is written to disk: a new process signs
//! itself a new one, since it holds the CA. A renewal that fails is logged and tried again while the present
//! certificate is still good; the clock, not the peers, decides when.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use rustls::{
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{
    identity::authority::{self, Authority},
    limits,
};

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA did not sign.
    #[error(transparent)]
    Issue(#[from] authority::Error),
    /// TLS does not take what was signed.
    #[error("TLS does not take the certificate that was signed for the controller: {0}")]
    Key(#[source] rustls::Error),
}

/// The certificate that handshakes show now.
#[derive(Debug)]
pub struct ServerCredential {
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    not_after: SystemTime,
}

impl ServerCredential {
    /// Signs a first certificate for the names that the controller is reached by.
    pub fn issue(
        authority: &Authority,
        names: &[String],
        provider: &CryptoProvider,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { current: RwLock::new(sign(authority, names, provider)?) }))
    }

    /// Replaces the certificate.
    pub fn renew(
        &self,
        authority: &Authority,
        names: &[String],
        provider: &CryptoProvider,
    ) -> Result<(), Error> {
        let fresh = sign(authority, names, provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// End of validity of the present one.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.current.read().unwrap_or_else(PoisonError::into_inner).not_after
    }
}

impl ResolvesServerCert for ServerCredential {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

fn sign(authority: &Authority, names: &[String], provider: &CryptoProvider) -> Result<Current, Error> {
    let leaf = authority.issue_server(names, SystemTime::now())?;
    let chain = vec![leaf.issued.certificate, authority.certificate().clone()];
    let key = CertifiedKey::from_der(chain, leaf.key, provider).map_err(Error::Key)?;
    Ok(Current { key: Arc::new(key), not_after: leaf.issued.not_after })
}

/// Replaces the certificate after two thirds of its life, each time, until the process ends.
pub async fn renew_forever(
    credential: Arc<ServerCredential>,
    authority: Arc<Authority>,
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
) {
    loop {
        let left = credential.not_after().duration_since(SystemTime::now()).unwrap_or_default();
        tokio::time::sleep((left * 2 / 3).max(limits::MIN_RENEWAL_PAUSE)).await;
        match credential.renew(&authority, &names, &provider) {
            Ok(()) => {
                tracing::info!(not_after = ?credential.not_after(), "renewed the controller's certificate")
            }
            Err(error) => tracing::error!(%error, "cannot renew the controller's certificate; trying again"),
        }
    }
}
