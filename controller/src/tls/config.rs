//! The TLS settings of the listener: version 1.3, ALPN h2, optional client certificates of our CA.
//!
//! No session tickets and no early data: a resumed session would carry an identity that was verified in the past,
//! and early data can be replayed. Which certificate is shown is asked anew for each handshake, so that it can be
//! replaced while connections are open. Limits of HTTP/2 are set where the server is built, in `serve`.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError},
};
use rustls_pki_types::CertificateDer;

use super::verifier::Verifier;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA is not one that TLS takes.
    #[error("TLS does not take the CA certificate: {0}")]
    Authority(#[from] VerifierBuilderError),
    /// The provider lacks TLS 1.3.
    #[error("TLS 1.3 cannot be set up: {0}")]
    Version(#[from] rustls::Error),
}

/// Settings that show `credential` and believe what `ca` signed.
pub fn server_config(
    credential: Arc<dyn ResolvesServerCert>,
    ca: &CertificateDer<'static>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, Error> {
    let verifier = Verifier::new(ca, provider)?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(credential);
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}
