//! Requests that are taken, and each kind that is not.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use rustls_pki_types::{CertificateSigningRequestDer, pem::PemObject};

use super::*;

fn request(key: &KeyPair, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let params = CertificateParams::new(names).expect("names");
    params.serialize_request(key).expect("request").pem().expect("pem")
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
}

#[test]
fn p256_and_ed25519_are_taken_with_whatever_names() {
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let key = KeyPair::generate_for(kind).expect("key");
        let proven = proven_key(&request(&key, &["root.example"])).expect("taken");
        assert_eq!(proven.der_bytes(), key.der_bytes());
    }
}

#[test]
fn another_curve_is_not_taken() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("key");
    assert_eq!(proven_key(&request(&key, &[])).expect_err("P-384"), Error::KeyKind);
}

#[test]
fn a_damaged_signature_is_found() {
    let key = KeyPair::generate().expect("key");
    let text = request(&key, &[]);
    let mut der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).expect("der").to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let error = proven_key(&pem(&der)).expect_err("damaged");
    assert!(matches!(error, Error::Signature | Error::Malformed), "{error}");
}

#[test]
fn a_foreign_key_is_found() {
    let (own, foreign) = (KeyPair::generate().expect("key"), KeyPair::generate().expect("key"));
    let text = request(&own, &[]);
    let mut der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).expect("der").to_vec();
    let at = der.windows(65).position(|window| window == own.der_bytes()).expect("key in request");
    der[at..at + 65].copy_from_slice(foreign.der_bytes());
    assert_eq!(proven_key(&pem(&der)).expect_err("foreign"), Error::Signature);
}

#[test]
fn garbage_is_refused_by_kind() {
    let key = KeyPair::generate().expect("key");
    let good = request(&key, &[]);
    let long = format!("{good}{}", "\n".repeat(limits::MAX_CSR_BYTES));
    assert_eq!(proven_key(&long).expect_err("long"), Error::TooLarge { found: long.len() });
    assert_eq!(proven_key("").expect_err("empty"), Error::Malformed);
    assert_eq!(proven_key("hello").expect_err("text"), Error::Malformed);
    assert_eq!(proven_key(&good[..good.len() / 2]).expect_err("half"), Error::Malformed);
    let certificate = good.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    assert_eq!(proven_key(&certificate).expect_err("label"), Error::Malformed);
}
