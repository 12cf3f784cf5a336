//! Whether a node takes a pod, as far as the node alone can say: what the scheduler's first filters ask.
//!
//! Ready and not cordoned, taints, node selector, required node affinity, a volume's node affinity. Each answer is a
//! reason in words, because a person who reads "no node" has to know what is wrong with each. How much is free on a node
//! is [`super::k08_room`]'s; what depends on other pods (affinity between pods, spreading) is not judged here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};
use kube::ResourceExt;

/// Why `node` does not take `pod`; nothing if it does.
pub(crate) fn why_not(node: &Node, pod: &PodSpec) -> Option<String> {
    if !is_ready(node) {
        return Some("not Ready".to_owned());
    }
    let spec = node.spec.clone().unwrap_or_default();
    let tolerations = pod.tolerations.as_deref().unwrap_or_default();
    if spec.unschedulable == Some(true) && !tolerates_cordon(tolerations) {
        return Some("cordoned".to_owned());
    }
    if let Some(taint) = spec.taints.iter().flatten().find(|taint| bars(taint, tolerations)) {
        return Some(format!(
            "taint {}={}:{}",
            taint.key,
            taint.value.as_deref().unwrap_or(""),
            taint.effect
        ));
    }
    let labels = node.labels();
    for (key, value) in pod.node_selector.iter().flatten() {
        if labels.get(key) != Some(value) {
            return Some(format!("nodeSelector {key}={value}"));
        }
    }
    let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    (!required.is_none_or(|selector| satisfies(selector, node))).then(|| "its node affinity".to_owned())
}

/// Whether its condition Ready is True.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether `node` satisfies `selector`: any of its terms, all of a term; a term without anything satisfies nothing.
pub(crate) fn satisfies(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| satisfies_term(term, node))
}

fn satisfies_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let name = BTreeMap::from([("metadata.name".to_owned(), node.name_any())]);
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|asked| requirement(asked, node.labels()))
        && fields.iter().all(|asked| requirement(asked, &name))
}

fn requirement(asked: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&asked.key);
    let values = asked.values.as_deref().unwrap_or_default();
    let number = |text: &String| text.parse::<i64>().ok();
    let bound = values.first().and_then(number);
    match asked.operator.as_str() {
        "In" => found.is_some_and(|value| values.contains(value)),
        "NotIn" => found.is_none_or(|value| !values.contains(value)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => found.and_then(number).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => found.and_then(number).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn tolerates_cordon(tolerations: &[Toleration]) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    tolerations.iter().any(|toleration| tolerates(toleration, &cordon))
}

fn bars(taint: &Taint, tolerations: &[Toleration]) -> bool {
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
        && !tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let (effect, key) = (of(&toleration.effect), of(&toleration.key));
    if !effect.is_empty() && effect != taint.effect || !key.is_empty() && key != taint.key {
        return false;
    }
    match of(&toleration.operator).as_str() {
        "Exists" => true,
        "" | "Equal" => !key.is_empty() && of(&toleration.value) == of(&taint.value),
        _ => false,
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
