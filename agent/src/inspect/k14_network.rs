//! K14, the way between the clusters: pod networks apart, addresses that route, and who reads names in its own way.
//!
//! A replica that has moved is reached at its new address from the old cluster, and the other way round. Two clusters
//! with the same pod network cannot tell whose an address is; a replica whose address lies outside its cluster's declared
//! networks would not be mirrored. That packets really pass is tried, from the target to a replica in the source. The
//! other direction cannot be tried before something of the workload runs there; the gate after the first handoff sees
//! it. Readers that keep names longer (a cache on each node) or look elsewhere (a mesh) are named.

use ferry_proto::agent::v1::Finding;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::{
    describe,
    facts::{Source, Target},
    finding::{note, refuse, warn},
    network::{Network, Reached},
    read::Exists,
    template,
};

/// Container names that meshes inject, and the mesh.
const SIDECARS: [(&str, &str); 5] = [
    ("istio-proxy", "Istio"),
    ("linkerd-proxy", "Linkerd"),
    ("consul-dataplane", "Consul"),
    ("kuma-sidecar", "Kuma"),
    ("envoy-sidecar", "Consul"),
];
/// Namespace labels by which meshes take a namespace in, and the mesh.
const LABELS: [(&str, &str); 4] = [
    ("istio-injection", "Istio"),
    ("istio.io/rev", "Istio"),
    ("istio.io/dataplane-mode", "Istio"),
    ("kuma.io/sidecar-injection", "Kuma"),
];

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let set = format!("StatefulSet/{}", facts.shape.name);
    let template = facts.set.object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let mut findings: Vec<_> = mesh(facts, &set).into_iter().collect();
    findings.extend(template.and_then(|pod| own_resolver(pod, &set)));
    findings.extend(cache(&facts.network, describe::dns_ttl(facts).is_some()));
    findings
}

/// Checks the target.
pub(crate) fn check_target(facts: &Target) -> Vec<Finding> {
    let mut findings: Vec<_> = networks(facts).into_iter().collect();
    findings.extend(outside(facts));
    findings.extend(route(facts));
    let annotations = facts.described.metadata.annotations.as_ref();
    let is_set = annotations.is_some_and(|all| all.contains_key(describe::DNS_TTL));
    findings.extend(cache(&facts.network, is_set));
    findings
}

fn parsed(networks: &[String]) -> Vec<IpNet> {
    networks.iter().filter_map(|text| text.parse().ok()).collect()
}

fn networks(facts: &Target) -> Option<Finding> {
    let (theirs, ours) = (&facts.network.other_cidrs, &facts.pod_cidrs);
    let is_reached = !facts.description.service.is_empty();
    if theirs.is_empty() || ours.is_empty() {
        let whose = if theirs.is_empty() { "the source" } else { "the target" };
        return is_reached.then(|| {
            refuse(
                "K14-networks-unknown",
                "Cluster/pod-network",
                format!("{whose} declares no pod network"),
                "the pod networks of both clusters: an endpoint outside of them is not mirrored",
                format!("Start the agent of {whose} with --pod-cidrs: its nodes have no spec.podCIDR."),
            )
        });
    }
    let (theirs, ours) = (parsed(theirs), parsed(ours));
    let both = theirs.iter().flat_map(|one| ours.iter().map(move |other| (one, other)));
    let overlapping = |(one, other): &(&IpNet, &IpNet)| one.contains(*other) || other.contains(*one);
    let (one, other) = both.into_iter().find(overlapping)?;
    Some(refuse(
        "K14-networks-overlap",
        "Cluster/pod-network",
        format!("pods of the source have addresses in {one}, pods of the target in {other}"),
        "pod networks that do not overlap, so that an address says which cluster it is in",
        "Such clusters cannot reach each other's pods directly; give one of them another pod network.",
    ))
}

/// A replica whose address its cluster did not declare, as with `hostNetwork`.
fn outside(facts: &Target) -> Option<Finding> {
    let declared = parsed(&facts.network.other_cidrs);
    if declared.is_empty() || facts.description.service.is_empty() {
        return None;
    }
    let sample = facts.description.sample_pod.as_ref()?;
    let pod: Pod = serde_json::from_str(&sample.json).ok()?;
    let text = pod.status.as_ref()?.pod_ip.clone()?;
    let address: std::net::IpAddr = text.parse().ok()?;
    if declared.iter().any(|network| network.contains(&address)) {
        return None;
    }
    let host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
    Some(refuse(
        "K14-address-outside",
        format!("Pod/{}", sample.name),
        format!(
            "its address {text} lies outside the pod networks that its cluster declares{}",
            if host { " (hostNetwork)" } else { "" }
        ),
        "an address within them: others are not mirrored, and the other cluster's replicas would not find it",
        "Declare all networks that pods have addresses in (ferry-agent --pod-cidrs) in the source's cluster.",
    ))
}

fn route(facts: &Target) -> Option<Finding> {
    let service = facts.description.service.as_str();
    if service.is_empty() {
        return None;
    }
    let subject = format!("Service/{service}");
    if facts.tried.is_empty() {
        return Some(note(
            "K14-route-not-tried",
            subject,
            "no ready endpoint with a TCP port: nothing to connect to",
            "a connection from this cluster to a replica in the source",
            "Make sure yourself that pods of each cluster reach pods of the other; name the ports in the Service, and \
             it is tried.",
        ));
    }
    if facts.tried.iter().any(|(_, reached)| *reached == Reached::Yes) {
        return None;
    }
    let words = facts.tried.iter().map(|(listener, reached)| {
        let why = match reached {
            Reached::Yes => "open",
            Reached::Refused => "refused",
            Reached::No(why) => why,
        };
        format!("{} at {} port {}: {why}", listener.pod, listener.address, listener.port)
    });
    let found = words.take(4).collect::<Vec<_>>().join("; ");
    if facts.tried.iter().any(|(_, reached)| *reached == Reached::Refused) {
        return Some(warn(
            "K14-route-refused",
            subject,
            found,
            "a connection from this cluster's agent to a replica in the source",
            "Packets pass, but something says no: look for a firewall or a NetworkPolicy in the source that admits \
             only its own pods.",
        ));
    }
    Some(refuse(
        "K14-unreachable",
        subject,
        found,
        "a connection from this cluster's agent to a replica in the source",
        "Let pods of the two clusters reach each other by address (routes, firewalls, NetworkPolicies); peers and \
         clients of a replica that has moved could not.",
    ))
}

/// What caches names on each node longer than the DNS of the cluster.
fn cache(network: &Network, is_set: bool) -> Option<Finding> {
    match &network.node_local_dns {
        Exists::Yes => {}
        Exists::No => return None,
        Exists::Unknown(said) => {
            return Some(note(
                "K14-node-local-dns-unreadable",
                "DaemonSet/node-local-dns",
                format!("the agent may not ask for it: {said}"),
                "that no cache on the nodes keeps names for long",
                "Make sure yourself, or let the agent get it (deploy/agent/observe.yaml).",
            ));
        }
    }
    let say = if is_set { note } else { warn };
    Some(say(
        "K14-node-local-dns",
        "DaemonSet/node-local-dns",
        "NodeLocal DNSCache keeps answers on each node for a time of its own",
        format!("{} at least as long as its cache ({} s as a rule)", describe::DNS_TTL, 30),
        format!("Annotate the StatefulSet with {} in seconds: step 11 waits that long.", describe::DNS_TTL),
    ))
}

fn mesh(facts: &Source, set: &str) -> Option<Finding> {
    let pod = facts.shape.ordinals().find_map(|ordinal| facts.pod(ordinal));
    let spec = pod.and_then(|pod| pod.object.spec.as_ref());
    let containers: Vec<_> = spec.into_iter().flat_map(template::containers).map(|one| &one.name).collect();
    let injected = SIDECARS.iter().find(|(name, _)| containers.iter().any(|found| found == name));
    let labels = &facts.network.namespace_labels;
    let takes = |key: &str| labels.get(key).is_some_and(|value| value != "disabled" && value != "none");
    let labelled = LABELS.iter().find(|(key, _)| takes(key));
    let (seen, mesh) = injected.or(labelled)?;
    Some(warn(
        "K14-mesh",
        set,
        format!("part of a mesh: {mesh} ({seen})"),
        "readers of names that use every EndpointSlice of a Service",
        "Check that the mesh follows EndpointSlices without a targetRef: some skip them, and would not find the other \
         cluster's replicas; and that its proxies trust each other across the clusters.",
    ))
}

fn own_resolver(pod: &PodSpec, set: &str) -> Option<Finding> {
    let policy = pod.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let servers = pod.dns_config.as_ref().and_then(|config| config.nameservers.as_ref());
    if policy.starts_with("ClusterFirst") && servers.is_none_or(Vec::is_empty) {
        return None;
    }
    Some(warn(
        "K14-own-resolver",
        set,
        format!("dnsPolicy {policy}: its pods ask other resolvers than the cluster's"),
        "the DNS of the cluster that a pod runs in, where the mirror keeps every replica's name",
        "Make sure that these resolvers know the replicas' names in both clusters, or do without names.",
    ))
}

#[cfg(test)]
#[path = "k14_network_tests.rs"]
mod tests;
