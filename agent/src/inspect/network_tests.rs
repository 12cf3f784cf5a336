use ferry_proto::agent::v1::Listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Reached, listeners, try_listeners};
use crate::inspect::fixtures::typed;

fn slice(manager: &str, pods: &[(&str, bool)]) -> Value {
    let endpoints: Vec<_> = pods
        .iter()
        .map(|(pod, ready)| {
            json!({"addresses": ["10.61.0.1"], "conditions": {"ready": ready}, "targetRef": {"name": pod}})
        })
        .collect();
    json!({
        "metadata": {"name": "db-x", "labels": {"endpointslice.kubernetes.io/managed-by": manager}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [
            {"name": "client", "port": 5432, "protocol": "TCP"}, {"name": "gossip", "port": 9, "protocol": "UDP"},
            {"name": "metrics", "port": 90},
        ],
    })
}

#[test]
fn ready_pods_of_kubernetes_own_slices_one_port_of_each_first() {
    let own = slice("endpointslice-controller.k8s.io", &[("db-1", true), ("db-0", true), ("db-2", false)]);
    let mirrored = slice("agent.ferry.dev", &[("db-7", true)]);
    let found = listeners(&[typed(own), typed(mirrored)]);
    let named: Vec<_> = found.iter().map(|one| (one.pod.as_str(), one.port)).collect();
    assert_eq!(named, [("db-0", 5432), ("db-1", 5432), ("db-0", 90), ("db-1", 90)]);
}

#[tokio::test]
async fn a_connection_is_told_from_a_refusal_and_from_nonsense() {
    let open = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = |listener: &TcpListener| u32::from(listener.local_addr().expect("an address").port());
    let at = |address: &str, port| Listener { pod: "db-0".into(), address: address.into(), port };
    let (open_port, closed_port) = (port(&open), port(&closed));
    drop(closed);
    let refused = try_listeners(&[at("127.0.0.1", closed_port)]).await;
    assert_eq!(refused[0].1, Reached::Refused);
    let nonsense = try_listeners(&[at("nowhere", 1)]).await;
    assert_eq!(nonsense[0].1, Reached::No("no address".to_owned()));
    let tried = try_listeners(&[at("127.0.0.1", closed_port), at("127.0.0.1", open_port)]).await;
    assert!(tried.iter().any(|(_, reached)| *reached == Reached::Yes), "{tried:?}");
    assert!(try_listeners(&[]).await.is_empty());
}
