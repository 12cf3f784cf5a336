//! K11: one PodDisruptionBudget or none selects the pods, and it allows at least one to be unavailable.
//!
//! Two budgets over one pod make the eviction API refuse every eviction of it: the cluster could not drain a node
//! while the budget broker has both in hand. And with *d* = 0 no replica may ever stop, so none can move. How *d* is
//! resolved: [`super::budget`].

use std::collections::BTreeMap;

use ferry_proto::agent::v1::Finding;

use super::{
    budget,
    facts::{Source, Target},
    finding::refuse,
};

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let labels = budget::pod_labels(facts);
    let selecting = budget::selecting(facts.budgets.iter().map(|budget| &budget.object), &labels);
    let subject = format!("StatefulSet/{}", facts.shape.name);
    if selecting.len() > 1 {
        return vec![two(&subject, &names(&selecting))];
    }
    let Some(only) = selecting.first() else {
        return Vec::new();
    };
    let allowed = budget::resolve(facts, only);
    if allowed >= 1 {
        return Vec::new();
    }
    let name = only.metadata.name.as_deref().unwrap_or_default();
    vec![refuse(
        "K11-no-budget",
        format!("PodDisruptionBudget/{name}"),
        format!("it allows 0 of {} replicas to be unavailable", facts.shape.replicas),
        "at least 1: a replica stops while it moves",
        "Raise maxUnavailable, or lower minAvailable, by one for the time of the migration.",
    )]
}

/// Checks the target: its own budgets, besides the one that travels, must not select the pods.
pub(crate) fn check_target(facts: &Target) -> Vec<Finding> {
    let template = facts.described.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    let labels: BTreeMap<_, _> = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let travels = facts.description.disruption_budget.as_str();
    let others = facts.budgets.iter().filter(|budget| budget.metadata.name.as_deref() != Some(travels));
    let selecting = budget::selecting(others, &labels);
    match (selecting.len(), travels.is_empty()) {
        (0, _) | (1, true) => Vec::new(),
        _ => {
            let mut all = names(&selecting);
            if !travels.is_empty() {
                all.push(travels.to_owned());
            }
            vec![two(&format!("StatefulSet/{}", facts.shape.name), &all)]
        }
    }
}

fn two(subject: &str, names: &[String]) -> Finding {
    refuse(
        "K11-several-budgets",
        subject,
        format!("{} PodDisruptionBudgets select its pods: {}", names.len(), names.join(", ")),
        "one or none: the eviction API refuses a pod that two of them select",
        "Delete all but one, or narrow their selectors.",
    )
}

fn names(budgets: &[&k8s_openapi::api::policy::v1::PodDisruptionBudget]) -> Vec<String> {
    budgets.iter().filter_map(|budget| budget.metadata.name.clone()).collect()
}

#[cfg(test)]
#[path = "k11_budget_tests.rs"]
mod tests;
