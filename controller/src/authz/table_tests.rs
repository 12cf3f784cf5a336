//! The table against the wire's descriptors, and every row against every kind of identity.

use std::{collections::BTreeSet, time::Duration};

use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;

fn rpcs() -> BTreeSet<String> {
    let served = [
        ferry_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = BTreeSet::new();
    for file in served.into_iter().flat_map(|set| FileDescriptorSet::decode(set).expect("descriptors").file) {
        for service in &file.service {
            for method in &service.method {
                paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    paths
}

#[test]
fn every_rpc_has_one_row_and_every_row_an_rpc() {
    let mut paths: Vec<String> = rows().map(|(path, _)| path.to_owned()).collect();
    let count = paths.len();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), count, "a path has two rows");
    assert_eq!(paths.into_iter().collect::<BTreeSet<_>>(), rpcs());
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn certified(subject: Subject) -> Peer {
    let identity = Identity { trust_domain: "ferry.local".into(), subject };
    Peer::Certified { identity, not_after: NOW + Duration::from_secs(1) }
}

fn role(role: Role) -> Peer {
    certified(Subject::Role { role, name: "x".into() })
}

/// A kind of caller: its name, what its connection shows, what it may call.
type CallerKind = (&'static str, Peer, fn(Who) -> bool);

/// Every kind of caller, with what of the table it may call.
fn callers() -> Vec<CallerKind> {
    let expired = match certified(Subject::Role { role: Role::Admin, name: "x".into() }) {
        Peer::Certified { identity, .. } => {
            Peer::Certified { identity, not_after: NOW - Duration::from_secs(1) }
        }
        other => other,
    };
    let anonymous: fn(Who) -> bool = |who| who == Who::Anonymous;
    vec![
        ("anonymous", Peer::Anonymous, anonymous),
        ("unrecognised", Peer::Unrecognised { reason: "two URIs".into() }, anonymous),
        ("expired admin", expired, anonymous),
        ("controller", certified(Subject::Controller), anonymous),
        ("cluster", certified(Subject::Cluster("east".into())), |who| {
            matches!(who, Who::Anonymous | Who::Certified | Who::Cluster)
        }),
        ("viewer", role(Role::Viewer), |who| {
            matches!(who, Who::Anonymous | Who::Certified | Who::AtLeast(Role::Viewer))
        }),
        ("operator", role(Role::Operator), |who| !matches!(who, Who::Cluster | Who::AtLeast(Role::Admin))),
        ("admin", role(Role::Admin), |who| who != Who::Cluster),
    ]
}

#[test]
fn every_row_lets_in_whom_it_names_and_nobody_else() {
    for (name, peer, may) in callers() {
        for (path, who) in rows() {
            let verdict = authorize(path, &peer, NOW);
            assert_eq!(verdict.is_ok(), may(who), "{name} calling {path}: {verdict:?}");
        }
    }
}

#[test]
fn what_is_not_in_the_table_is_denied_to_everybody() {
    let own = "/ferry.admin.v1.AdminService/ListClusters";
    let paths = [
        "",
        "/",
        "/ferry.admin.v1.AdminService",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    for (name, peer, _) in callers() {
        for path in paths.into_iter().chain([&own.to_lowercase() as &str, &format!("{own}/"), &own[1..]]) {
            assert!(authorize(path, &peer, NOW).is_err(), "{name} calling {path:?}");
        }
    }
}

#[test]
fn an_expired_certificate_is_named_as_such() {
    let (_, expired, _) = callers().into_iter().find(|(name, ..)| *name == "expired admin").expect("caller");
    let denial = authorize("/ferry.admin.v1.AdminService/ListClusters", &expired, NOW).expect_err("denied");
    assert!(matches!(denial, Denial::Expired { .. }), "{denial}");
    assert!(denial.to_string().contains("1969-12-31T23:59:59Z"), "{denial}");
}
