use serde_json::json;

use super::check;
use crate::inspect::{
    fixtures::{codes, seen, set, source, source_of},
    read::Optional,
};

#[test]
fn a_workload_without_identity_of_its_own_passes() {
    assert!(check(&source()).is_empty());
}

#[test]
fn h28_a_role_in_a_cloud_is_named() {
    let mut facts = source();
    let account = |annotations| seen(json!({"metadata": {"name": "runner", "annotations": annotations}}));
    facts.service_account = Some(account(json!({"mine": "kept"})));
    assert!(check(&facts).is_empty());
    facts.service_account = Some(account(json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/db"})));
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K14-identity-cloud"]);
    assert!(findings[0].found.contains("arn:aws:iam::1:role/db"));
}

#[test]
fn h28_tokens_for_others_and_issued_identities_are_named() {
    let mut changed = set();
    changed["spec"]["template"]["spec"]["volumes"] = json!([
        {"name": "own", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        {"name": "vault", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}},
        {"name": "spiffe", "csi": {"driver": "csi.spiffe.io"}},
    ]);
    assert_eq!(codes(&check(&source_of(changed))), ["K14-identity-token", "K14-identity-issued"]);
}

#[test]
fn h28_a_certificate_for_names_of_the_cluster_is_named() {
    let mut facts = source();
    let names = |text: &str| Optional::Read(vec![("cert-manager.io/alt-names".to_owned(), text.to_owned())]);
    facts.secrets.insert("db-tls".into(), names("db.shop.svc,db-0.db.shop.svc"));
    assert!(check(&facts).is_empty());
    facts.secrets.insert("db-tls".into(), names("db.shop.svc,db.East.example.org"));
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K14-identity-certificate"]);
    assert!(findings[0].found.ends_with("db.East.example.org"), "{findings:?}");
    facts.secrets.insert("db-tls".into(), Optional::Denied("no".into()));
    assert_eq!(codes(&check(&facts)), ["K14-identity-unreadable"]);
}
