//! TLS to the controller: version 1.3 and nothing older, HTTP/2, one CA.
//!
//! Two ways to know that CA. Before there is a credential, the join token names it by the SHA-256 of its DER: the
//! controller sends its CA along with its certificate, and [`Pinned`] accepts the chain if a certificate with that
//! hash is in it and the chain validates against that certificate as the only root. Afterwards the CA is in the
//! credential and rustls' own verifier does all of it. In neither case are the machine's trusted roots asked.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};

use crate::config::Credential;

/// TLS for enrolment: the CA is pinned, and we are nobody yet.
pub(crate) fn anonymous(ca_sha256: [u8; 32]) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Pinned { ca_sha256, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(http2(config))
}

/// TLS as somebody.
pub(crate) fn identified(credential: &Credential) -> Result<ClientConfig, TlsError> {
    let damaged = |what: &str| TlsError::General(format!("no {what} in it"));
    let mut roots = RootCertStore::empty();
    for root in certificates(&credential.ca_pem) {
        roots.add(root)?;
    }
    let key = PrivateKeyDer::from_pem_slice(credential.private_key_pem.as_bytes())
        .map_err(|_| damaged("private key"))?;
    let chain = certificates(&credential.certificate_pem);
    if roots.is_empty() || chain.is_empty() {
        return Err(damaged(if roots.is_empty() { "CA" } else { "certificate" }));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    Ok(http2(config))
}

/// Certificates of a PEM text; what is none is passed over.
fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect()
}

fn http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Trusts the one CA with this hash, if the server shows it.
#[derive(Debug)]
struct Pinned {
    ca_sha256: [u8; 32],
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
    ) -> Result<ServerCertVerified, TlsError> {
        let pinned = intermediates
            .iter()
            .find(|shown| Sha256::digest(shown).as_slice() == self.ca_sha256)
            .ok_or(TlsError::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| TlsError::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
