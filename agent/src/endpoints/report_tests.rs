use serde_json::json;

use super::*;
use crate::watch::{Change, Watched};

fn read<T: Watched>(object: serde_json::Value) -> Change<T> {
    Change::Present(serde_json::from_value(object).unwrap())
}

fn tables() -> Tables {
    let mut tables = Tables::default();
    tables.services.fold(
        read(json!({"metadata": {"name": "etcd", "namespace": "db"}, "spec": {"ipFamilies": ["IPv4"], "clusterIP": "None"}})),
        service,
    );
    let endpoint = |n: u32, ready: bool| {
        json!({"addresses": [format!("10.61.0.{n}")], "hostname": format!("etcd-{n}"), "nodeName": "east-1",
            "conditions": {"ready": true, "serving": ready, "terminating": false}, "zone": "z",
            "targetRef": {"kind": "Pod", "name": format!("etcd-{n}"), "namespace": "db", "uid": format!("u{n}")}})
    };
    tables.slices.fold(
        read(json!({"metadata": {"name": "etcd-1", "labels": {"kubernetes.io/service-name": "etcd"}},
            "addressType": "IPv4", "endpoints": [endpoint(2, true), endpoint(1, false)],
            "ports": [{"name": "peer", "port": 2380, "protocol": "TCP"}, {"name": "client", "port": 2379}]})),
        slice,
    );
    tables.slices.fold(
        read(json!({"metadata": {"name": "other-1", "labels": {"kubernetes.io/service-name": "other"}},
            "addressType": "IPv4", "endpoints": [endpoint(9, true)], "ports": null})),
        slice,
    );
    for (name, uid, ready) in [("etcd-1", "u1", "False"), ("etcd-2", "u2", "True")] {
        tables.pods.fold(
            read(json!({"metadata": {"name": name, "uid": uid},
                "status": {"conditions": [{"type": "Ready", "status": ready, "lastProbeTime": null}]}})),
            pod,
        );
    }
    tables
}

#[test]
fn h21_readiness_is_the_pods_and_conditions_are_the_slices() {
    let report = build("db", "etcd", &tables());
    assert!(report.service_exists);
    assert_eq!(report.address_type, "IPv4");
    let seen: Vec<_> = report
        .endpoints
        .iter()
        .map(|e| {
            (e.hostname.as_str(), e.address.as_str(), e.ready, e.serving, e.pod_ready, e.pod_uid.as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [("etcd-1", "10.61.0.1", true, false, false, "u1"), ("etcd-2", "10.61.0.2", true, true, true, "u2")]
    );
    let ports: Vec<_> = report.ports.iter().map(|port| (port.name.as_str(), port.port)).collect();
    assert_eq!(ports, [("client", 2379), ("peer", 2380)]);
}

#[test]
fn another_pod_of_the_name_is_not_the_endpoints_pod() {
    let mut tables = tables();
    tables.pods.fold(
        read(json!({"metadata": {"name": "etcd-2", "uid": "successor"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})),
        pod,
    );
    assert!(!build("db", "etcd", &tables).endpoints[1].pod_ready);
}

#[test]
fn a_service_that_is_not_here_is_said_so() {
    let report = build("db", "missing", &tables());
    assert!(!report.service_exists && report.endpoints.is_empty());
}

#[test]
fn a_port_without_a_number_is_left_out() {
    let ports = [json!({"name": "all"}), json!({"name": "one", "port": 1, "protocol": "UDP"})];
    let seen: Vec<_> = ports
        .into_iter()
        .filter_map(|port| super::port(&serde_json::from_value(port).unwrap()))
        .map(|port| (port.name, port.port))
        .collect();
    assert_eq!(seen, [("one".to_owned(), 1)]);
}
