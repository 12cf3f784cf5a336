//! Real handshakes over a pipe: a server with a leaf and its authority, as the controller presents them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{CertificateError, ServerConfig};
use rustls_pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest as _, Sha256};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::identity::Material;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn token(&self) -> JoinToken {
        let hash: String =
            Sha256::digest(self.issuer.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("ferry1.{}.{hash}", "A".repeat(64)).parse().unwrap()
    }

    fn identity(&self) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let uri = "spiffe://ferry.local/cluster/east".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let material = Material {
            key_pem: key.serialize_pem(),
            certificate_pem: certificate.pem(),
            ca_pem: self.issuer.pem(),
            received: crate::identity::unix_now(),
        };
        Identity::from_material(material, std::path::Path::new("identity.json")).unwrap()
    }

    fn server(&self, name: &str) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let chain = vec![leaf.der().clone(), self.issuer.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }
}

async fn handshake(client: ClientConfig, server: ServerConfig) -> Result<(), CertificateError> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let accept = tokio::spawn(TlsAcceptor::from(Arc::new(server)).accept(far));
    let name = ServerName::try_from("controller.test").unwrap();
    let connected = TlsConnector::from(Arc::new(client)).connect(name, near).await;
    let _ = accept.await;
    match connected.map_err(|error| error.downcast::<rustls::Error>().unwrap()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InvalidCertificate(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_token_knows_its_authority_and_no_other() {
    let (ours, other) = (Authority::new(), Authority::new());
    let client = || enrolling(&ours.token()).unwrap();
    assert_eq!(handshake(client(), ours.server("controller.test")).await, Ok(()));
    assert!(matches!(
        handshake(client(), other.server("controller.test")).await,
        Err(CertificateError::Other(_))
    ));
    let named = handshake(client(), ours.server("another.test")).await;
    assert!(matches!(named, Err(CertificateError::NotValidForNameContext { .. })), "{named:?}");
}

#[tokio::test]
async fn a_pinned_authority_that_did_not_sign_the_leaf_does_not_help() {
    let (ours, other) = (Authority::new(), Authority::new());
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["controller.test".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &other.issuer).unwrap();
    let chain = vec![leaf.der().clone(), ours.issuer.der().clone()];
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let refused = handshake(enrolling(&ours.token()).unwrap(), server).await;
    assert!(
        matches!(refused, Err(CertificateError::UnknownIssuer | CertificateError::BadSignature)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_identity_trusts_its_authority_only() {
    let (ours, other) = (Authority::new(), Authority::new());
    let client = || mutual(&ours.identity()).unwrap();
    assert_eq!(handshake(client(), ours.server("controller.test")).await, Ok(()));
    let refused = handshake(client(), other.server("controller.test")).await;
    assert!(
        matches!(refused, Err(CertificateError::UnknownIssuer | CertificateError::BadSignature)),
        "{refused:?}"
    );
}

#[test]
fn an_identity_is_kept_whole_and_renewed_at_two_thirds() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::identity::store::Store::open(folder.path().join("state")).unwrap();
    assert_eq!(store.load().unwrap(), None);
    let identity = Authority::new().identity();
    store.save(&identity).unwrap();
    assert_eq!(store.load().unwrap(), Some(identity.clone()));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(store.path()).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(store.path(), b"{}").unwrap();
    assert!(matches!(store.load(), Err(Error::Damaged { .. })));
    let received = identity.material().received;
    let due = received + (identity.not_after - received) / 3 * 2;
    assert!(identity.renewal_in(due).is_zero() && !identity.renewal_in(due - 1).is_zero());
    assert!(identity.is_expired(identity.not_after) && !identity.is_expired(identity.not_after - 1));
}
