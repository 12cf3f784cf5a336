//! K14, rules between pods (H27): anti-affinity and spreading see the pods of one cluster only.
//!
//! While a workload is half here and half there, each scheduler keeps its half apart and knows nothing of the other:
//! two replicas may then share what the rule was to keep apart, if the clusters share it (a rack, a zone, a power
//! supply). The protocol holds all the same; so a person is told which rule weakens and for how long, and nothing is
//! refused. Whether the target's nodes can grant the rule for its own half is [`super::k08_room`]'s.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::{PodAffinityTerm, PodSpec};

use super::{facts::Source, finding::note};

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let template = facts.set.object.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let Some(pod) = template else {
        return Vec::new();
    };
    let subject = format!("StatefulSet/{}", facts.shape.name);
    let long = format!(
        "Nothing, if the clusters share no such domain. It holds for all {} replicas again once the last one has moved.",
        facts.shape.replicas
    );
    let expected = "one scheduler that sees every replica";
    let apart = anti_affinity(pod).into_iter().map(|(term, strength)| {
        let found = format!(
            "{strength} anti-affinity by {}: from the first handoff to the last it sees each cluster's half alone",
            term.topology_key
        );
        note("K14-anti-affinity", &subject, found, expected, &long)
    });
    let spread = pod.topology_spread_constraints.iter().flatten().map(|rule| {
        let found = format!(
            "topology spread over {} (maxSkew {}, {}): from the first handoff to the last it counts each cluster's \
             half alone",
            rule.topology_key, rule.max_skew, rule.when_unsatisfiable
        );
        note("K14-topology-spread", &subject, found, expected, &long)
    });
    apart.chain(spread).collect()
}

fn anti_affinity(pod: &PodSpec) -> Vec<(&PodAffinityTerm, &'static str)> {
    let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    let Some(affinity) = affinity else {
        return Vec::new();
    };
    let required = affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    let preferred = preferred.map(|weighted| (&weighted.pod_affinity_term, "preferred"));
    required.map(|term| (term, "required")).chain(preferred).collect()
}

#[cfg(test)]
#[path = "k14_spread_tests.rs"]
mod tests;
