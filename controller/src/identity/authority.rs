//! The certificate authority: made on the first start, or supplied; the only thing that signs identities.
//!
//! Every leaf has one shape: exactly one URI SAN (see [`super::spiffe`]), a validity that begins a little in the past
//! because clocks differ, and no right to sign. The controller's own leaf adds the names it is reached by and lives in
//! memory only. A CA of ours is one file, `ca.pem` (certificate and key, mode 0600), so that no crash can part them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    files,
    spiffe::{Identity, Subject},
};
use crate::limits;

/// Name of our CA's file in the data directory.
pub const FILE: &str = "ca.pem";

/// Why there is no CA, or why it did not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A supplied file that does not exist.
    #[error("{} does not exist: give --ca-cert and --ca-key the files of your CA, or neither", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// No certificate in it.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// No key in it.
    #[error("{} holds no private key in PKCS#8 PEM that can be used (P-256, P-384, Ed25519)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Not a CA.
    #[error("the certificate in {} may not sign: expected basicConstraints CA:TRUE and keyCertSign", path.display())]
    NotAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The key is another's.
    #[error("the private key does not belong to the certificate in {}", path.display())]
    OtherKey {
        /// The file of the certificate.
        path: PathBuf,
    },
    /// Outside its validity.
    #[error("the CA certificate in {} is valid from {not_before} to {not_after}, not now", path.display())]
    NotValid {
        /// The file.
        path: PathBuf,
        /// Begin.
        not_before: String,
        /// End.
        not_after: String,
    },
    /// A name of the controller that no certificate can carry.
    #[error("{name:?} cannot stand in a certificate: expected a DNS name or an IP address")]
    Name {
        /// The name.
        name: String,
    },
    /// Making a key.
    #[error("cannot make a key: {0}")]
    Generate(#[source] rcgen::Error),
    /// Signing.
    #[error("cannot sign a certificate: {0}")]
    Sign(#[source] rcgen::Error),
    /// A time that no certificate can carry.
    #[error("the system clock is outside of what a certificate can carry")]
    Clock,
}

/// A signed certificate.
pub struct Issued {
    /// The leaf, DER.
    pub certificate: CertificateDer<'static>,
    /// The leaf, PEM.
    pub pem: String,
    /// End of validity.
    pub not_after: SystemTime,
}

/// A signed certificate with its key.
pub struct IssuedWithKey {
    /// The certificate.
    pub issued: Issued,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// The CA with its key, and what it signs for.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    not_after: SystemTime,
    trust_domain: String,
    leaf_ttl: Duration,
}

impl Authority {
    /// Our own CA in the data directory `dir`, made if there is none.
    pub fn open_or_create(dir: &Path, trust_domain: &str, leaf_ttl: Duration) -> Result<Self, Error> {
        let path = dir.join(FILE);
        if let Some(text) = files::read_bounded(&path, limits::MAX_PEM_FILE_BYTES)? {
            return Self::from_pem(&path, &text, &path, &text, trust_domain, leaf_ttl);
        }
        let text = create(trust_domain)?;
        files::write_private(&path, text.as_bytes())?;
        Self::from_pem(&path, &text, &path, &text, trust_domain, leaf_ttl)
    }

    /// A CA that the user supplies: a certificate and its PKCS#8 key, PEM.
    pub fn supplied(
        certificate: &Path,
        key: &Path,
        trust_domain: &str,
        leaf_ttl: Duration,
    ) -> Result<Self, Error> {
        let read = |path: &Path| {
            files::read_bounded(path, limits::MAX_PEM_FILE_BYTES)?
                .ok_or_else(|| Error::Missing { path: path.to_owned() })
        };
        Self::from_pem(certificate, &read(certificate)?, key, &read(key)?, trust_domain, leaf_ttl)
    }

    fn from_pem(
        certificate_path: &Path,
        certificate_pem: &str,
        key_path: &Path,
        key_pem: &str,
        trust_domain: &str,
        leaf_ttl: Duration,
    ) -> Result<Self, Error> {
        let path = certificate_path.to_owned();
        let no_key = || Error::NoKey { path: key_path.to_owned() };
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| Error::NoCertificate { path: path.clone() })?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| no_key())?;
        let key = KeyPair::try_from(&key).map_err(|_| no_key())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| Error::NoCertificate { path: path.clone() })?;
        let may_sign = parsed.is_ca()
            && parsed.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
        if !may_sign {
            return Err(Error::NotAuthority { path });
        }
        if parsed.public_key().subject_public_key.as_ref() != key.der_bytes() {
            return Err(Error::OtherKey { path });
        }
        let validity = parsed.validity();
        if !validity.is_valid() {
            let (not_before, not_after) = (validity.not_before.to_string(), validity.not_after.to_string());
            return Err(Error::NotValid { path, not_before, not_after });
        }
        let not_after = SystemTime::from(validity.not_after.to_datetime());
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|_| Error::NoCertificate { path: path.clone() })?;
        let pem = pem("CERTIFICATE", &certificate);
        Ok(Self { issuer, pem, not_after, trust_domain: trust_domain.to_owned(), leaf_ttl, certificate })
    }

    /// The CA certificate, DER.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA certificate, PEM: what peers trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the CA certificate's DER: what join tokens pin.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// Trust domain of everything it signs.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// The identity of a subject in this trust domain.
    #[must_use]
    pub fn identity(&self, subject: Subject) -> Identity {
        Identity { trust_domain: self.trust_domain.clone(), subject }
    }

    /// Signs a client certificate for `subject` with the key of a checked request.
    pub fn issue_client(
        &self,
        key: &impl PublicKeyData,
        subject: Subject,
        now: SystemTime,
    ) -> Result<Issued, Error> {
        let params = self.leaf(subject, &[], ExtendedKeyUsagePurpose::ClientAuth, now)?;
        self.sign(&params, key)
    }

    /// Makes a key and signs the controller's certificate for the names it is reached by.
    pub fn issue_server(&self, names: &[String], now: SystemTime) -> Result<IssuedWithKey, Error> {
        let key = KeyPair::generate().map_err(Error::Generate)?;
        let params = self.leaf(Subject::Controller, names, ExtendedKeyUsagePurpose::ServerAuth, now)?;
        let issued = self.sign(&params, &key)?;
        Ok(IssuedWithKey { issued, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) })
    }

    fn leaf(
        &self,
        subject: Subject,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        now: SystemTime,
    ) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        for name in names {
            let invalid = || Error::Name { name: name.clone() };
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => {
                    rustls_pki_types::DnsName::try_from(name.as_str()).map_err(|_| invalid())?;
                    SanType::DnsName(name.as_str().try_into().map_err(|_| invalid())?)
                }
            });
        }
        let uri = self.identity(subject).to_string();
        let uri = uri.as_str().try_into().map_err(Error::Sign)?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name = DistinguishedName::new();
        params.not_before = calendar(now - limits::CLOCK_SKEW)?;
        params.not_after = calendar((now + self.leaf_ttl).min(self.not_after))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Result<Issued, Error> {
        let signed: Certificate = params.signed_by(key, &self.issuer).map_err(Error::Sign)?;
        let pem = pem("CERTIFICATE", signed.der());
        Ok(Issued { certificate: signed.into(), pem, not_after: params.not_after.into() })
    }
}

/// Makes a CA; certificate and key as one PEM text.
fn create(trust_domain: &str) -> Result<String, Error> {
    let key = KeyPair::generate().map_err(Error::Generate)?;
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("Ferry CA of {trust_domain}"));
    params.not_before = calendar(now - limits::CLOCK_SKEW)?;
    params.not_after = calendar(now + limits::CA_VALIDITY)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(Error::Sign)?;
    Ok(format!("{}{}", pem("CERTIFICATE", certificate.der()), key.serialize_pem()))
}

fn calendar(time: SystemTime) -> Result<OffsetDateTime, Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Error::Clock)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| Error::Clock)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::Clock)
}

/// One PEM block (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// Whether a data directory has a CA of ours; also when it cannot be told.
#[must_use]
pub fn exists(dir: &Path) -> bool {
    dir.join(FILE).try_exists().unwrap_or(true)
}

/// The file of our own CA in a data directory.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// SHA-256 of the certificate of our own CA in that file, hexadecimal; none if there is no such file.
pub fn sha256_of(path: &Path) -> Result<Option<String>, Error> {
    let Some(text) = files::read_bounded(path, limits::MAX_PEM_FILE_BYTES)? else { return Ok(None) };
    let certificate = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|_| Error::NoCertificate { path: path.to_owned() })?;
    Ok(Some(super::token::hex(&Sha256::digest(&certificate))))
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
