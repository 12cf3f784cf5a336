//! TLS settings of the two connections an agent makes: to enrol, and as itself.
//!
//! TLS 1.3 only, ALPN h2, and one root: never the system's. While enrolling the agent does not have that root yet,
//! only its hash from the join token; [`Pinned`] looks for the certificate with that hash in what the server presents,
//! and then checks everything else (chain, name, validity, signatures) as usual with that certificate as the only root.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};

use super::{Error, Identity, token::JoinToken};

/// No certificate of ours; the controller is known by the hash in `token`.
///
/// # Errors
/// [`Error::Tls`].
pub fn enrolling(token: &JoinToken) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let pinned = Pinned { token: token.clone(), provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// As `identity`, to a controller of its authority.
///
/// # Errors
/// [`Error::Tls`], [`Error::Authority`].
pub fn mutual(identity: &Identity) -> Result<ClientConfig, Error> {
    let material = identity.material();
    let unreadable = |_| Error::Tls(rustls::Error::General("PEM cannot be read".to_owned()));
    let mut roots = RootCertStore::empty();
    for root in material.roots().map_err(unreadable)? {
        roots.add(root).map_err(Error::Tls)?;
    }
    let chain = material.certificates().map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(material.key_pem.as_bytes()).map_err(unreadable)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(Error::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The server presented no certificate with the hash of the join token.
#[derive(Debug, thiserror::Error)]
#[error("no certificate with the hash in the join token")]
pub struct AnotherAuthority;

#[derive(Debug)]
struct Pinned {
    token: JoinToken,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority =
            intermediates.iter().find(|certificate| self.token.pins(certificate)).ok_or_else(|| {
                rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                    AnotherAuthority,
                ))))
            })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
