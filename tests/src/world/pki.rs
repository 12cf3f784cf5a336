//! The certificates of one cluster, made for this run and lost with it.
//!
//! One authority signs the API server, the nodes and every client. Subjects are the ones that Kubernetes'
//! own bootstrap roles know; no static token exists anywhere.
//!
//! Ferry's own identities have nothing to do with these.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// The certificates' life: longer than any run; the day before allows for clocks set back.
const LIFE: Duration = Duration::days(30);
const LEEWAY: Duration = Duration::days(1);

/// A cluster's authority; what it signs lies in one folder as `<name>.crt` and `<name>.key`.
pub(super) struct Authority {
    dir: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate says of its holder.
pub(super) struct Subject<'a> {
    /// Kubernetes' user.
    pub(super) common_name: &'a str,
    /// Kubernetes' group.
    pub(super) organization: Option<&'a str>,
    /// What a server is reached by.
    pub(super) names: &'a [&'a str],
    pub(super) addresses: &'a [IpAddr],
}

/// A certificate with its key, both as PEM.
pub(super) struct Credential {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    /// Makes an authority for `cluster` in `dir`, with a pair of keys for service account tokens (`sa`).
    pub(super) fn create(dir: &Path, cluster: &str) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name = name(&format!("{cluster} test authority"), None);
        live(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        write(&dir.join("ca.crt"), &certificate)?;
        write(&dir.join("ca.key"), &key.serialize_pem())?;
        let tokens = KeyPair::generate()?;
        write(&dir.join("sa.key"), &tokens.serialize_pem())?;
        write(&dir.join("sa.pub"), &tokens.public_key_pem())?;
        Ok(Self { dir: dir.to_path_buf(), certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate, as PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The path of the authority's certificate, of a credential's, or of a key: `file` with its ending.
    pub(super) fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }

    /// Signs a certificate for `subject` and keeps it under `file`.
    pub(super) fn issue(&self, file: &str, subject: &Subject<'_>) -> Result<Credential> {
        let mut params =
            CertificateParams::new(subject.names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.subject_alt_names.extend(subject.addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.distinguished_name = name(subject.common_name, subject.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        live(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let credential = Credential { certificate: certificate.pem(), key: key.serialize_pem() };
        write(&self.dir.join(format!("{file}.crt")), &credential.certificate)?;
        write(&self.dir.join(format!("{file}.key")), &credential.key)?;
        Ok(credential)
    }
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn live(params: &mut CertificateParams) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - LEEWAY;
    params.not_after = now + LIFE;
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
