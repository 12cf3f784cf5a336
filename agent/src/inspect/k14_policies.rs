//! K14, NetworkPolicies (H26): who is admitted by label is not admitted from the other cluster.
//!
//! A policy that admits by podSelector knows the pods of its own cluster only; to it a replica that has moved is an
//! address. Policies add up: so per direction all policies that select the workload's pods are taken together, and only
//! if none of them admits the other cluster's pod networks is each one named that admits by label, with the ipBlock that
//! it would take. Where the workload's own replicas are admitted like that they would lose each other: refused. Ports are
//! not compared: who admits the networks at all, admits them. Whether the cluster's network enforces policies at all
//! cannot be seen from the API.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::Finding;
use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt as _},
};

use super::{
    budget,
    facts::{Source, Target},
    finding::{note, refuse, warn},
    network::Network,
    read::Optional,
};

type Labels = BTreeMap<String, String>;

/// Which way traffic goes, seen from the workload's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let labels = budget::pod_labels(facts);
    let mut findings = judge(&facts.network, &labels);
    let selecting = facts.network.policies.known().iter().filter(|policy| selects(policy, &labels));
    findings.extend(selecting.map(|policy| {
        note(
            "K14-policy-stays",
            format!("NetworkPolicy/{}", policy.name_any()),
            "it selects the workload's pods, and does not travel",
            "the same protection in the target, if it is wanted there",
            "Create it in the target's namespace (with the target's own networks in its ipBlocks).",
        )
    }));
    findings
}

/// Checks the target.
pub(crate) fn check_target(facts: &Target) -> Vec<Finding> {
    let template = facts.described.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    judge(&facts.network, &metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default())
}

fn judge(network: &Network, labels: &Labels) -> Vec<Finding> {
    if let Optional::Denied(said) = &network.policies {
        return vec![note(
            "K14-policies-unreadable",
            "NetworkPolicy",
            format!("the agent may not list them in the namespace: {said}"),
            "that none keeps the two clusters' replicas apart",
            "Make sure yourself, or let the agent list networkpolicies.",
        )];
    }
    let selecting: Vec<_> =
        network.policies.known().iter().filter(|policy| selects(policy, labels)).collect();
    [Way::In, Way::Out].into_iter().flat_map(|way| one_way(network, &selecting, labels, way)).collect()
}

fn one_way(network: &Network, selecting: &[&NetworkPolicy], labels: &Labels, way: Way) -> Vec<Finding> {
    let concerned: Vec<_> = selecting.iter().filter(|policy| has(policy, way)).collect();
    let rules: Vec<Vec<NetworkPolicyPeer>> = concerned.iter().flat_map(|policy| rules(policy, way)).collect();
    // A rule without peers admits everybody; an ipBlock over all of the other's networks admits them.
    let other: Vec<IpNet> = network.other_cidrs.iter().filter_map(|text| text.parse().ok()).collect();
    let open = rules.iter().any(Vec::is_empty);
    let blocks = || rules.iter().flatten().filter_map(|peer| peer.ip_block.as_ref());
    let covered = !other.is_empty()
        && other.iter().all(|wanted| {
            blocks().any(|block| {
                let is_out = |text: &String| text.parse::<IpNet>().is_ok_and(|out| overlap(&out, wanted));
                block.cidr.parse::<IpNet>().is_ok_and(|cidr| cidr.contains(wanted))
                    && !block.except.iter().flatten().any(is_out)
            })
        });
    if open || covered {
        return Vec::new();
    }
    concerned.iter().filter_map(|policy| named(network, policy, labels, way)).collect()
}

fn named(network: &Network, policy: &NetworkPolicy, labels: &Labels, way: Way) -> Option<Finding> {
    let peers: Vec<_> =
        rules(policy, way).into_iter().flatten().filter(|peer| peer.ip_block.is_none()).collect();
    if peers.is_empty() {
        return None;
    }
    let own = peers.iter().any(|peer| is_own(peer, labels, &network.namespace_labels));
    let subject = format!("NetworkPolicy/{}", policy.name_any());
    let (direction, rule) = match way {
        Way::In => ("from", "ingress.from"),
        Way::Out => ("to", "egress.to"),
    };
    let block = match network.other_cidrs.as_slice() {
        [] => "the other cluster's pod networks".to_owned(),
        known => known.join(", "),
    };
    let expected =
        format!("that pods of the other cluster are admitted as well, by address: ipBlock {block}");
    let remedy = format!(
        "Add to its {rule}, or to another policy of these pods: {}.",
        network
            .other_cidrs
            .iter()
            .map(|cidr| format!("{{ipBlock: {{cidr: {cidr}}}}}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    if own {
        let found = format!(
            "it admits traffic {direction} the workload's own replicas by label: those in the other \
                             cluster are cut off"
        );
        return Some(refuse("K14-policy-peers", subject, found, expected, remedy));
    }
    let found =
        format!("it admits traffic {direction} others by label: such pods of the other cluster are cut off");
    Some(warn("K14-policy-clients", subject, found, expected, remedy))
}

/// Whether a peer admits the workload's own pods.
fn is_own(peer: &NetworkPolicyPeer, labels: &Labels, namespace: &Labels) -> bool {
    peer.pod_selector.as_ref().is_none_or(|selector| matches(selector, labels))
        && peer.namespace_selector.as_ref().is_none_or(|selector| matches(selector, namespace))
}

fn selects(policy: &NetworkPolicy, labels: &Labels) -> bool {
    let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
    selector.is_none_or(|selector| matches(selector, labels))
}

/// Whether `selector` selects `labels`; one that cannot be read selects them, to be on the safe side.
fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).map_or(true, |selector| selector.matches(labels))
}

/// Whether `policy` restricts this way; without policyTypes, as the API server would have filled them in.
fn has(policy: &NetworkPolicy, way: Way) -> bool {
    let spec = policy.spec.clone().unwrap_or_default();
    let kind = if way == Way::In { "Ingress" } else { "Egress" };
    match spec.policy_types {
        Some(kinds) if !kinds.is_empty() => kinds.iter().any(|found| found == kind),
        _ => way == Way::In || spec.egress.is_some_and(|rules| !rules.is_empty()),
    }
}

/// The peers of each rule; empty for a rule that admits everybody.
fn rules(policy: &NetworkPolicy, way: Way) -> Vec<Vec<NetworkPolicyPeer>> {
    let spec = policy.spec.clone().unwrap_or_default();
    match way {
        Way::In => {
            spec.ingress.unwrap_or_default().into_iter().map(|rule| rule.from.unwrap_or_default()).collect()
        }
        Way::Out => {
            spec.egress.unwrap_or_default().into_iter().map(|rule| rule.to.unwrap_or_default()).collect()
        }
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

#[cfg(test)]
#[path = "k14_policies_tests.rs"]
mod tests;
