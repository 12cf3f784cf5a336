//! Policies that cut the two halves apart, and those that do not.

use ferry_proto::agent::v1::Severity;
use serde_json::{Value, json};

use super::{check, check_target};
use crate::inspect::{
    fixtures::{codes, source, target, typed},
    read::Optional,
};

fn policy(spec: Value) -> Value {
    let mut whole = json!({"metadata": {"name": "only"}, "spec": spec});
    if whole["spec"].get("podSelector").is_none() {
        whole["spec"]["podSelector"] = json!({});
    }
    whole
}

/// What the target says under these policies; pods of the source are in 10.61.0.0/16.
fn judged(policies: &[Value]) -> Vec<ferry_proto::agent::v1::Finding> {
    let (mut facts, _) = target();
    facts.network.policies = Optional::Read(policies.iter().cloned().map(typed).collect());
    check_target(&facts)
}

fn from(peers: Value) -> Value {
    policy(json!({"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}))
}

#[test]
fn no_policy_and_a_policy_of_others_pass() {
    assert!(judged(&[]).is_empty());
    let others = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": []});
    assert!(judged(&[policy(others)]).is_empty());
}

#[test]
fn h26_replicas_that_admit_each_other_by_label_are_cut_apart() {
    let findings = judged(&[from(json!([{"podSelector": {"matchLabels": {"app": "db"}}}]))]);
    assert_eq!(codes(&findings), ["K14-policy-peers"]);
    assert_eq!(findings[0].severity(), Severity::Refuse);
    assert!(findings[0].remedy.contains("{ipBlock: {cidr: 10.61.0.0/16}}"), "{findings:?}");
    let own = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]);
    assert_eq!(codes(&judged(&[from(own)])), ["K14-policy-peers"]);
}

#[test]
fn clients_admitted_by_label_warn() {
    let findings = judged(&[from(json!([{"podSelector": {"matchLabels": {"app": "web"}}}]))]);
    assert_eq!(codes(&findings), ["K14-policy-clients"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
}

#[test]
fn h26_an_address_block_over_the_other_cluster_admits_it_from_any_policy() {
    let by_label = from(json!([{"podSelector": {}}]));
    let block = |cidr: &str, except: Value| from(json!([{"ipBlock": {"cidr": cidr, "except": except}}]));
    assert!(judged(&[by_label.clone(), block("10.0.0.0/8", json!([]))]).is_empty());
    assert_eq!(codes(&judged(&[by_label.clone(), block("10.99.0.0/16", json!([]))])), ["K14-policy-peers"]);
    let hole = block("10.0.0.0/8", json!(["10.61.4.0/24"]));
    assert_eq!(codes(&judged(&[by_label.clone(), hole])), ["K14-policy-peers"]);
    let everybody = policy(json!({"ingress": [{}]}));
    assert!(judged(&[by_label, everybody]).is_empty());
}

#[test]
fn both_ways_are_judged() {
    let out = policy(json!({"policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]}));
    assert_eq!(codes(&judged(&[out])), ["K14-policy-peers"]);
    let closed = policy(json!({"policyTypes": ["Ingress", "Egress"]}));
    assert!(judged(&[closed]).is_empty(), "who talks to nobody loses nobody");
}

#[test]
fn policies_of_the_source_stay_there() {
    let mut facts = source();
    let closed = policy(json!({"policyTypes": ["Ingress"]}));
    facts.network.policies = Optional::Read(vec![typed(closed)]);
    assert_eq!(codes(&check(&facts)), ["K14-policy-stays"]);
    facts.network.policies = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts)), ["K14-policies-unreadable"]);
}
