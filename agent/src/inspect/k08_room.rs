//! K8, the nodes: the target has room for the replicas, node by node.
//!
//! A pod that fits nowhere would stay Pending with its disk handed over already. So the pod, as the target's admission
//! would make it, is held against each node: what the node refuses by itself ([`super::nodes`]), and what is left of its
//! allocatable after the pods that are on it. All replicas are then seated one after another, each on the node with the
//! most seats left among those that reach its disks, and at most one for each domain of a required anti-affinity of the
//! workload with itself. That is less than the scheduler does; what the pod asks for beyond it is named in a note, not
//! passed over.

use std::collections::{BTreeMap, BTreeSet};

use ferry_proto::agent::v1::{Finding, OrdinalVolumes};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, Pod, PodAffinityTerm, PodSpec};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt as _},
};

use super::{
    amounts::{self, Amounts},
    facts::{DryRun, Target},
    finding::{note, refuse, warn},
    k07_class, nodes,
    read::Optional,
};

/// Nodes that a finding names.
const NAMED: usize = 5;

/// Checks the target.
pub(crate) fn check(facts: &Target) -> Vec<Finding> {
    let Some((name, pod)) = pod(facts) else {
        return Vec::new();
    };
    let Some(spec) = pod.spec.as_ref() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    match &facts.place.used {
        Optional::Read(_) => {}
        Optional::NotInstalled | Optional::Denied(_) => findings.push(note(
            "K8-room-unread",
            format!("Pod/{name}"),
            "the agent may not list the pods of all namespaces: what is left on the nodes is not known",
            "the requests of all pods",
            "Make sure yourself that there is room, or let the agent list pods.",
        )),
    }
    findings.extend(room(facts, &name, &pod, spec));
    let beyond = not_judged(facts, spec);
    if !beyond.is_empty() {
        findings.push(note(
            "K8-not-judged",
            format!("Pod/{name}"),
            format!("the pod also asks for what is not judged here: {}", beyond.join(", ")),
            "that the target's scheduler can grant it",
            "Make sure yourself (kubectl create --dry-run=server does not ask the scheduler).",
        ));
    }
    findings
}

/// The pod as the target would make it, or as the source has it.
pub(crate) fn pod(facts: &Target) -> Option<(String, Pod)> {
    let sample = facts.description.sample_pod.as_ref()?;
    let pod = match &facts.pod_dry_run {
        DryRun::Accepted { object, .. } => serde_json::from_value(object.clone()),
        DryRun::Refused(_) | DryRun::NotRun(_) => serde_json::from_str(&sample.json),
    };
    Some((sample.name.clone(), pod.ok()?))
}

fn room(facts: &Target, name: &str, pod: &Pod, spec: &PodSpec) -> Option<Finding> {
    let mut asked = amounts::requests(spec);
    asked.insert("pods".to_owned(), 1_000);
    let used: BTreeMap<&str, &Amounts> =
        facts.place.used.known().iter().map(|(node, sum)| (node.as_str(), sum)).collect();
    let (mut seats, mut reasons) = (Vec::new(), Vec::new());
    for node in &facts.place.nodes {
        let mut free = amounts::of(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
        if let Some(sum) = used.get(node.name_any().as_str()) {
            amounts::take(&mut free, sum);
        }
        let lacking = amounts::lacking(&asked, &free);
        match nodes::why_not(node, spec) {
            Some(why) => reasons.push(format!("{}: {why}", node.name_any())),
            None if !lacking.is_empty() => {
                reasons.push(format!("{}: {}", node.name_any(), lacking.join(", ")));
            }
            None => seats.push(Seat { node, free }),
        }
    }
    if seats.is_empty() {
        return Some(refuse(
            "K8-no-node",
            format!("Pod/{name}"),
            format!("none of {} nodes takes it: {}", facts.place.nodes.len(), listed(&reasons)),
            "a node that is ready, that the pod may run on, and that has room for it",
            "Make room, or add a node: a handoff would end with a pod that stays Pending.",
        ));
    }
    let nodes = seats.len();
    let seated = seat(facts, seats, &asked, &apart(pod, spec));
    let replicas = facts.arriving().count();
    (seated < replicas).then(|| {
        warn(
            "K8-room-for-some",
            format!("StatefulSet/{}", facts.shape.name),
            format!("room for {seated} of {replicas} replicas on the {nodes} nodes that would take one"),
            "room for all replicas at once, with their disks and their anti-affinity",
            "Add nodes before the last handoffs, or move fewer ordinals; a handoff waits for its pod's node.",
        )
    })
}

struct Seat<'a> {
    node: &'a Node,
    free: Amounts,
}

/// Seats replicas, those with the fewest nodes first; how many have found one.
fn seat(facts: &Target, mut seats: Vec<Seat<'_>>, asked: &Amounts, apart: &[String]) -> usize {
    let mut reach: Vec<BTreeSet<String>> =
        facts.arriving().map(|ordinal| reachable(facts, ordinal)).collect();
    reach.sort_by_key(BTreeSet::len);
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    let mut seated = 0;
    for nodes in reach {
        let fits = |seat: &&mut Seat<'_>| {
            nodes.contains(&seat.node.name_any())
                && amounts::lacking(asked, &seat.free).is_empty()
                && domains(seat.node, apart).iter().all(|domain| !taken.contains(domain))
        };
        let Some(best) = seats.iter_mut().filter(fits).max_by_key(|seat| left(&seat.free, asked)) else {
            continue;
        };
        amounts::take(&mut best.free, asked);
        taken.extend(domains(best.node, apart));
        seated += 1;
    }
    seated
}

/// Names of the nodes that reach all disks of an ordinal.
fn reachable(facts: &Target, ordinal: &OrdinalVolumes) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = facts.place.nodes.iter().map(ResourceExt::name_any).collect();
    for described in &ordinal.volumes {
        let manifest = described.volume.as_ref().map(|manifest| manifest.json.as_str());
        let volume = serde_json::from_str::<PersistentVolume>(manifest.unwrap_or_default()).ok();
        let there = volume.as_ref().and_then(|volume| k07_class::rewritten(facts, volume));
        let nodes = k07_class::with_driver(facts, &described.driver);
        // Without a node that has the driver, K5 refuses; a class that cannot be read is K7's.
        let (Some(there), false) = (there, nodes.is_empty()) else { continue };
        let reached: BTreeSet<String> = nodes
            .into_iter()
            .filter(|node| k07_class::reaches(&there, node))
            .map(ResourceExt::name_any)
            .collect();
        names = names.intersection(&reached).cloned().collect();
    }
    names
}

/// How many more replicas a node could take.
fn left(free: &Amounts, asked: &Amounts) -> u128 {
    let counts = asked.iter().filter(|(_, amount)| **amount > 0);
    counts.map(|(name, amount)| free.get(name).copied().unwrap_or(0) / amount).min().unwrap_or(0)
}

/// Topology keys of which the workload wants at most one replica in each domain.
fn apart(pod: &Pod, spec: &PodSpec) -> Vec<String> {
    let terms = anti_affinity(spec);
    let own = terms.filter(|term| {
        term.label_selector.clone().is_some_and(|selector| {
            Selector::try_from(selector).is_ok_and(|selector| selector.matches(pod.labels()))
        })
    });
    own.map(|term| term.topology_key.clone()).collect()
}

fn anti_affinity(spec: &PodSpec) -> impl Iterator<Item = &PodAffinityTerm> {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    affinity
        .into_iter()
        .flat_map(|affinity| affinity.required_during_scheduling_ignored_during_execution.iter().flatten())
}

fn domains(node: &Node, keys: &[String]) -> Vec<(String, String)> {
    keys.iter().filter_map(|key| Some((key.clone(), node.labels().get(key)?.clone()))).collect()
}

fn not_judged(facts: &Target, spec: &PodSpec) -> Vec<&'static str> {
    let affinity = spec.affinity.as_ref();
    let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
    let near =
        near.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let spread = spec.topology_spread_constraints.iter().flatten();
    let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let counted = facts.csi_nodes.iter().flat_map(|node| &node.spec.drivers);
    let claims = &facts.shape.claim_templates;
    [
        (near.is_some_and(|terms| !terms.is_empty()), "affinity to other pods"),
        (
            spread.clone().any(|one| one.when_unsatisfiable == "DoNotSchedule"),
            "a topology spread that must hold",
        ),
        (ports.clone().any(|port| port.host_port.is_some_and(|port| port > 0)), "ports of the node"),
        (spec.resource_claims.as_ref().is_some_and(|all| !all.is_empty()), "ResourceClaims"),
        (spec.scheduling_gates.as_ref().is_some_and(|all| !all.is_empty()), "scheduling gates"),
        (
            spec.scheduler_name.as_deref().is_some_and(|name| name != "default-scheduler"),
            "a scheduler of its own",
        ),
        (
            !claims.is_empty() && counted.clone().any(|driver| driver.allocatable.is_some()),
            "the driver's limit of volumes on a node",
        ),
    ]
    .into_iter()
    .filter_map(|(asks, what)| asks.then_some(what))
    .collect()
}

fn listed(reasons: &[String]) -> String {
    let mut text = reasons.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
    if reasons.len() > NAMED {
        text.push_str(&format!("; and {} more", reasons.len() - NAMED));
    }
    text
}

#[cfg(test)]
#[path = "k08_room_tests.rs"]
mod tests;
