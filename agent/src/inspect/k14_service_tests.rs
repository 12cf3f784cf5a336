//! The governing Service: missing, not headless, not named at all.

use ferry_proto::agent::v1::Severity;
use serde_json::json;

use super::check;
use crate::inspect::fixtures::{codes, refused, seen, service, set, source, source_of};

#[test]
fn a_headless_service_passes() {
    assert!(check(&source()).is_empty());
}

#[test]
fn a_missing_service_is_refused() {
    let mut facts = source();
    facts.services.clear();
    assert_eq!(refused(&check(&facts), "K14-service-missing").subject, "Service/db");
}

#[test]
fn a_set_without_service_is_a_note() {
    let mut changed = set();
    changed["spec"]["serviceName"] = "".into();
    let findings = check(&source_of(changed));
    assert_eq!(codes(&findings), ["K14-no-service"]);
    assert_eq!(findings[0].severity(), Severity::Note);
}

#[test]
fn a_service_with_an_address_warns() {
    let mut facts = source();
    let mut addressed = service();
    addressed["spec"]["clusterIP"] = "10.0.0.1".into();
    facts.services = vec![seen(addressed)];
    assert_eq!(codes(&check(&facts)), ["K14-service-not-headless"]);
}

#[test]
fn a_ttl_that_is_no_number_is_refused() {
    let mut changed = set();
    changed["metadata"]["annotations"] = json!({"ferry.dev/dns-ttl-wait": "soon"});
    refused(&check(&source_of(changed.clone())), "K14-dns-ttl-unreadable");
    changed["metadata"]["annotations"] = json!({"ferry.dev/dns-ttl-wait": "0"});
    assert!(check(&source_of(changed)).is_empty());
}
