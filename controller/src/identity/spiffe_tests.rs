//! Which URIs are identities, and which are not.

use super::*;

const DOMAIN: &str = "ferry.local";

#[test]
fn every_shape_survives_printing_and_parsing() {
    let subjects = [
        Subject::Cluster("east".into()),
        Subject::Role { role: Role::Viewer, name: "ci".into() },
        Subject::Role { role: Role::Admin, name: "a-1".into() },
        Subject::Controller,
    ];
    for subject in subjects {
        let identity = Identity { trust_domain: DOMAIN.into(), subject };
        assert_eq!(Identity::parse(&identity.to_string(), DOMAIN), Ok(identity));
    }
}

#[test]
fn anything_else_is_no_identity() {
    for uri in [
        "",
        "https://ferry.local/cluster/east",
        "spiffe://ferry.local",
        "spiffe://ferry.local/",
        "spiffe://ferry.local/cluster",
        "spiffe://ferry.local/cluster/",
        "spiffe://ferry.local/cluster/east/",
        "spiffe://ferry.local/cluster/east/more",
        "spiffe://ferry.local/cluster/East",
        "spiffe://ferry.local/cluster/-east",
        "spiffe://ferry.local/cluster/east%2f",
        "spiffe://ferry.local//cluster/east",
        "spiffe://ferry.locale/cluster/east",
        "spiffe://other.local/cluster/east",
        "spiffe://ferry.local:80/cluster/east",
        "spiffe://ferry.local/role/admin",
        "spiffe://ferry.local/role/root/a",
        "spiffe://ferry.local/role/Admin/a",
        "spiffe://ferry.local/controller/x",
        "SPIFFE://ferry.local/cluster/east",
    ] {
        assert!(Identity::parse(uri, DOMAIN).is_err(), "{uri} was accepted");
    }
}

#[test]
fn roles_are_a_ladder() {
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

#[test]
fn labels_are_dns_labels() {
    for good in ["a", "0", "east-1", &"x".repeat(63)] {
        assert!(is_label(good), "{good}");
    }
    for bad in ["", "-", "a-", "-a", "A", "a.b", "a_b", "é", &"x".repeat(64)] {
        assert!(!is_label(bad), "{bad}");
    }
}
