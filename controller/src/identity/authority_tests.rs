//! What is signed, and which CA files are refused.

use std::{fs, os::unix::fs::PermissionsExt};

use rcgen::PKCS_ED25519;
use tempfile::TempDir;

use super::*;
use crate::identity::spiffe::Role;

const DOMAIN: &str = "ferry.local";
const DAY: Duration = Duration::from_secs(86_400);

fn dir() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn authority(dir: &TempDir) -> Authority {
    Authority::open_or_create(dir.path(), DOMAIN, DAY).expect("CA")
}

#[test]
fn the_ca_is_made_once_and_kept_private() {
    let dir = dir();
    let first = authority(&dir).sha256();
    assert_eq!(authority(&dir).sha256(), first);
    let mode = fs::metadata(dir.path().join(FILE)).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "nothing is left beside it");
}

#[test]
fn a_leaf_carries_one_identity_and_cannot_sign() {
    let dir = dir();
    let authority = authority(&dir);
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("key");
    let subject = Subject::Role { role: Role::Operator, name: "ci".into() };
    let now = SystemTime::now();
    let issued = authority.issue_client(&key, subject.clone(), now).expect("issued");
    let (_, parsed) = x509_parser::parse_x509_certificate(&issued.certificate).expect("certificate");
    assert_eq!(Identity::of_certificate(&parsed, DOMAIN), Ok(authority.identity(subject)));
    assert!(!parsed.is_ca());
    assert!(issued.not_after <= now + DAY && issued.not_after > now + DAY - Duration::from_secs(2));
    let (_, ca) = x509_parser::parse_x509_certificate(authority.certificate()).expect("CA");
    parsed.verify_signature(Some(ca.public_key())).expect("signed by the CA");
}

#[test]
fn a_certificate_with_two_uris_is_nobody() {
    let dir = dir();
    let authority = authority(&dir);
    let key = KeyPair::generate().expect("key");
    let mut params = authority
        .leaf(Subject::Cluster("east".into()), &[], ExtendedKeyUsagePurpose::ClientAuth, SystemTime::now())
        .expect("params");
    let second = "spiffe://ferry.local/role/admin/x".try_into().expect("name");
    params.subject_alt_names.push(SanType::URI(second));
    let issued = authority.sign(&params, &key).expect("issued");
    let (_, parsed) = x509_parser::parse_x509_certificate(&issued.certificate).expect("certificate");
    let error = Identity::of_certificate(&parsed, DOMAIN).expect_err("two URIs");
    assert_eq!(error, super::super::spiffe::Error::UriCount { found: 2 });
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let dir = dir();
    let mut authority = authority(&dir);
    authority.leaf_ttl = limits::CA_VALIDITY * 2;
    let key = KeyPair::generate().expect("key");
    let issued =
        authority.issue_client(&key, Subject::Cluster("east".into()), SystemTime::now()).expect("issued");
    assert!(issued.not_after <= authority.not_after);
}

#[test]
fn names_of_the_server_are_names() {
    let dir = dir();
    let authority = authority(&dir);
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    authority.issue_server(&names, SystemTime::now()).expect("issued");
    for bad in ["", "two words", "a,b"] {
        let error = authority.issue_server(&[bad.to_owned()], SystemTime::now()).err().expect("refused");
        assert!(matches!(error, Error::Name { .. }), "{bad}: {error}");
    }
}

#[test]
fn each_bad_supplied_ca_is_named() {
    let dir = dir();
    let path = |name: &str| dir.path().join(name);
    let ours = authority(&dir);
    let leaf = ours.issue_server(&[], SystemTime::now()).expect("issued");
    fs::write(path("leaf.pem"), &leaf.issued.pem).expect("write");
    fs::write(path("leaf.key"), pem("PRIVATE KEY", leaf.key.secret_der())).expect("write");
    fs::write(path("text"), "hello").expect("write");
    let supplied = |cert: &str, key: &str| {
        Authority::supplied(&path(cert), &path(key), DOMAIN, DAY).err().map(|error| error.to_string())
    };
    assert_eq!(supplied(FILE, FILE), None, "our own form is taken");
    let expect = |found: Option<String>, part: &str| {
        assert!(found.as_ref().is_some_and(|text| text.contains(part)), "{found:?} lacks {part}");
    };
    expect(supplied("none", FILE), "does not exist");
    expect(supplied("text", FILE), "no certificate");
    expect(supplied(FILE, "text"), "no private key");
    expect(supplied("leaf.pem", "leaf.key"), "may not sign");
    expect(supplied(FILE, "leaf.key"), "does not belong");
}
