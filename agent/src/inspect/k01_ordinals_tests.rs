//! Versions as clusters print them, and the three answers of the dry run.

use super::check;
use crate::inspect::{
    facts::OrdinalsProbe,
    fixtures::{codes, refused, server},
};

#[test]
fn a_cluster_that_keeps_ordinals_passes() {
    assert!(check(&server()).is_empty());
}

#[test]
fn versions_are_read_with_vendors_suffixes() {
    for (version, expected) in [
        ("v1.27.0", vec![]),
        ("v1.30+", vec![]),
        ("v1.31.4-eks-a1b2c3", vec![]),
        ("v2.0.0", vec![]),
        ("v1.26.15", vec!["K1-version-old"]),
        ("v1.9.0", vec!["K1-version-old"]),
        ("", vec!["K1-version-unreadable"]),
        ("openshift", vec!["K1-version-unreadable"]),
    ] {
        let mut server = server();
        server.version = version.to_owned();
        assert_eq!(codes(&check(&server)), expected, "{version}");
    }
}

#[test]
fn a_cluster_without_policies_is_warned_of() {
    let mut server = server();
    server.has_policies = false;
    let findings = check(&server);
    assert_eq!(codes(&findings), ["K1-no-guard"]);
    assert_eq!(findings[0].severity(), ferry_proto::agent::v1::Severity::Warn);
}

#[test]
fn h02_a_cluster_that_drops_ordinals_is_refused_whatever_its_version() {
    let mut server = server();
    server.ordinals = OrdinalsProbe::Dropped;
    refused(&check(&server), "K1-ordinals-dropped");
}

#[test]
fn an_unanswered_probe_is_not_taken_for_kept() {
    let mut server = server();
    server.ordinals = OrdinalsProbe::Refused("policy says no (403 Forbidden)".to_owned());
    let findings = check(&server);
    assert!(refused(&findings, "K1-ordinals-unproven").found.contains("policy says no"));
}
