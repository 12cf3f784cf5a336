//! Networks that overlap, addresses outside them, ways that are closed, and readers that need telling.

use ferry_proto::agent::v1::{Listener, Severity};
use serde_json::{Value, json};

use super::{check, check_target};
use crate::inspect::{
    facts::{Source, Target},
    fixtures::{codes, pod, refused, seen, set, source, source_of, target},
    network::Reached,
    read::Exists,
};

fn tried(reached: Reached) -> Target {
    let (mut facts, _) = target();
    let listener = Listener { pod: "db-0".into(), address: "10.61.0.4".into(), port: 5432 };
    facts.tried = vec![(listener, reached)];
    facts
}

fn with_pod(change: impl FnOnce(&mut Value)) -> Source {
    let mut facts = source();
    let mut changed = pod(0);
    change(&mut changed);
    facts.pods[0] = seen(changed);
    facts
}

#[test]
fn a_healthy_pair_passes() {
    assert!(check(&source()).is_empty());
    assert!(check_target(&target().0).is_empty());
}

#[test]
fn networks_that_overlap_or_are_unknown_are_refused() {
    let (mut facts, _) = target();
    facts.network.other_cidrs = vec!["10.0.0.0/8".into()];
    refused(&check_target(&facts), "K14-networks-overlap");
    facts.network.other_cidrs = vec!["fd00::/64".into()];
    assert!(check_target(&facts).is_empty());
    facts.pod_cidrs.clear();
    let findings = check_target(&facts);
    assert!(refused(&findings, "K14-networks-unknown").found.contains("the target"));
    facts.description.service.clear();
    assert!(check_target(&facts).is_empty(), "nobody is reached by name");
}

#[test]
fn a_pod_outside_its_clusters_networks_is_refused() {
    let (mut facts, _) = target();
    let mut host = pod(0);
    host["spec"]["hostNetwork"] = true.into();
    host["status"]["podIP"] = "172.30.0.1".into();
    facts.description.sample_pod.as_mut().expect("a pod").json = host.to_string();
    let findings = check_target(&facts);
    assert!(refused(&findings, "K14-address-outside").found.contains("hostNetwork"));
    host["status"]["podIP"] = "10.61.3.4".into();
    facts.description.sample_pod.as_mut().expect("a pod").json = host.to_string();
    assert!(check_target(&facts).is_empty());
}

#[test]
fn a_way_that_is_closed_is_refused_and_one_that_says_no_warns() {
    let findings = check_target(&tried(Reached::No("no answer within 3 s".into())));
    let finding = refused(&findings, "K14-unreachable");
    assert!(finding.found.contains("db-0 at 10.61.0.4 port 5432: no answer"), "{finding:?}");
    let findings = check_target(&tried(Reached::Refused));
    assert_eq!(codes(&findings), ["K14-route-refused"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
    let mut facts = tried(Reached::Yes);
    facts.tried.insert(0, (Listener::default(), Reached::No("lost".into())));
    assert!(check_target(&facts).is_empty(), "one way is enough");
    facts.tried.clear();
    assert_eq!(codes(&check_target(&facts)), ["K14-route-not-tried"]);
}

#[test]
fn a_cache_on_each_node_warns_until_somebody_has_thought_of_it() {
    let mut facts = source();
    facts.network.node_local_dns = Exists::Yes;
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K14-node-local-dns"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
    let mut changed = set();
    changed["metadata"]["annotations"] = json!({"ferry.dev/dns-ttl-wait": "30"});
    let mut facts = source_of(changed);
    facts.network.node_local_dns = Exists::Yes;
    assert_eq!(check(&facts)[0].severity(), Severity::Note);
    let (mut facts, _) = target();
    facts.network.node_local_dns = Exists::Yes;
    assert_eq!(codes(&check_target(&facts)), ["K14-node-local-dns"]);
}

#[test]
fn a_mesh_is_named_by_its_sidecar_or_its_label() {
    let facts = with_pod(|pod| {
        pod["spec"]["containers"] = json!([{"name": "db"}, {"name": "istio-proxy"}]);
    });
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K14-mesh"]);
    assert!(findings[0].found.contains("Istio"));
    let mut facts = source();
    facts.network.namespace_labels.insert("istio-injection".into(), "enabled".into());
    assert_eq!(codes(&check(&facts)), ["K14-mesh"]);
    facts.network.namespace_labels.insert("istio-injection".into(), "disabled".into());
    assert!(check(&facts).is_empty());
}

#[test]
fn pods_that_ask_other_resolvers_warn() {
    let mut changed = set();
    changed["spec"]["template"]["spec"]["dnsPolicy"] = "None".into();
    assert_eq!(codes(&check(&source_of(changed))), ["K14-own-resolver"]);
}
