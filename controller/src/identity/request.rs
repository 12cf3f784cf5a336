//! Certificate requests (PKCS#10, RFC 2986): proof that the sender holds a key, and nothing more.
//!
//! Subject, names and extensions of the request are ignored; identity comes from the token or the channel. What is
//! checked: size, encoding, the request's own signature (proof of possession), and the kind of key: P-256 or Ed25519.
//! The key's kind is read from the key itself, not from the signature's algorithm: the two need not agree.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SubjectPublicKeyInfo};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use crate::limits;

/// Why a certificate request is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too long.
    #[error("the certificate request has {found} bytes; at most {} are taken", limits::MAX_CSR_BYTES)]
    TooLarge {
        /// Its size, in bytes.
        found: usize,
    },
    /// Not PKCS#10 in PEM.
    #[error("the certificate request is not PKCS#10 in PEM (-----BEGIN CERTIFICATE REQUEST-----)")]
    Malformed,
    /// Its signature does not verify.
    #[error("the certificate request is not signed by the key it names")]
    Signature,
    /// A kind of key that is not taken.
    #[error("the certificate request's key is of a kind that is not taken: make one of P-256 or Ed25519")]
    KeyKind,
}

/// The public key of a request whose sender has proven to hold it.
pub fn proven_key(pem: &str) -> Result<SubjectPublicKeyInfo, Error> {
    if pem.len() > limits::MAX_CSR_BYTES {
        return Err(Error::TooLarge { found: pem.len() });
    }
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::Malformed)?;
    let (rest, request) = X509CertificationRequest::from_der(&der).map_err(|_| Error::Malformed)?;
    if !rest.is_empty() {
        return Err(Error::Malformed);
    }
    let key = SubjectPublicKeyInfo::from_der(request.certification_request_info.subject_pki.raw)
        .map_err(|_| Error::KeyKind)?;
    if key.algorithm() != &PKCS_ECDSA_P256_SHA256 && key.algorithm() != &PKCS_ED25519 {
        return Err(Error::KeyKind);
    }
    request.verify_signature().map_err(|_| Error::Signature)?;
    Ok(key)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
