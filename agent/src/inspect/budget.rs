//! The budget *d*: how many replicas may be unavailable over all clusters together (handoff.md, section 7).
//!
//! It is resolved once, on the source, before the workload is cut in two: a PodDisruptionBudget resolves its
//! percentages on the pods it sees, and two halves round up twice (H16). The rules are the disruption controller's:
//! percentages are taken of the replicas that the controllers of the selected pods ask for, summed, and rounded up;
//! an integer `minAvailable` is held against the selected pods. Where a migration has written an integer already, the
//! original is in an annotation, and that is what counts.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{core::v1::Pod, policy::v1::PodDisruptionBudget, policy::v1::PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::core::{Selector, SelectorExt as _};

use super::facts::Source;
use crate::executor::budget::ORIGINAL;

/// The budget of a workload that no PodDisruptionBudget selects.
pub(crate) const WITHOUT_BUDGET: u32 = 1;

/// The budgets among `all` that select a pod with `labels`.
pub(crate) fn selecting<'a>(
    all: impl IntoIterator<Item = &'a PodDisruptionBudget>,
    labels: &BTreeMap<String, String>,
) -> Vec<&'a PodDisruptionBudget> {
    all.into_iter().filter(|budget| selects(budget, labels)).collect()
}

/// Whether `budget` selects a pod with `labels`: a missing selector selects none, an empty one all (policy/v1).
fn selects(budget: &PodDisruptionBudget, labels: &BTreeMap<String, String>) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| matches(selector, labels))
}

/// Whether `selector` selects `labels`; one that cannot be read selects them, to be on the safe side.
fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    Selector::try_from(selector.clone()).map_or(true, |selector| selector.matches(labels))
}

/// The labels of the workload's pods, as its template has them.
pub(crate) fn pod_labels(facts: &Source) -> BTreeMap<String, String> {
    let template = facts.set.object.spec.as_ref().map(|spec| &spec.template);
    template
        .and_then(|template| template.metadata.as_ref())
        .and_then(|meta| meta.labels.clone())
        .unwrap_or_default()
}

/// What `budget` allows to be unavailable, resolved over every controller that it selects.
pub(crate) fn resolve(facts: &Source, budget: &PodDisruptionBudget) -> u32 {
    let Some(spec) = original(budget) else {
        return 0;
    };
    let (expected, pods) = selected(facts, &spec);
    resolve_spec(&spec, expected, pods)
}

/// [`resolve`] for `expected` replicas asked for and `pods` that exist.
fn resolve_spec(spec: &PodDisruptionBudgetSpec, expected: u32, pods: u32) -> u32 {
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => scaled(most, expected).min(expected),
        (None, Some(IntOrString::Int(least))) => pods.saturating_sub((*least).try_into().unwrap_or(0)),
        (None, Some(least)) => expected.saturating_sub(scaled(least, expected)),
        (None, None) => expected.saturating_sub(1),
    }
}

/// The budget's spec as it was before Ferry.
fn original(budget: &PodDisruptionBudget) -> Option<PodDisruptionBudgetSpec> {
    let spec = budget.spec.clone()?;
    let kept = budget.metadata.annotations.as_ref().and_then(|all| all.get(ORIGINAL));
    let amount: Option<PodDisruptionBudgetSpec> = kept.and_then(|text| serde_json::from_str(text).ok());
    Some(match amount {
        Some(was) => PodDisruptionBudgetSpec {
            max_unavailable: was.max_unavailable,
            min_available: was.min_available,
            ..spec
        },
        None => spec,
    })
}

/// An integer, or a percentage of `total` rounded up; 0 for what is neither.
fn scaled(value: &IntOrString, total: u32) -> u32 {
    match value {
        IntOrString::Int(number) => (*number).try_into().unwrap_or(0),
        IntOrString::String(text) => {
            let percent: u64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (u64::from(total) * percent).div_ceil(100).try_into().unwrap_or(u32::MAX)
        }
    }
}

/// Replicas asked for by every controller of the selected pods, and the selected pods that exist.
fn selected(facts: &Source, spec: &PodDisruptionBudgetSpec) -> (u32, u32) {
    let Some(selector) = spec.selector.as_ref() else {
        return (0, 0);
    };
    let mut by_controller: BTreeMap<String, u32> = BTreeMap::new();
    let mut pods = 0;
    for pod in facts.pods.iter().map(|pod| &pod.object).filter(|pod| lives(pod)) {
        if matches(selector, pod.metadata.labels.as_ref().unwrap_or(&BTreeMap::new())) {
            pods += 1;
            *by_controller.entry(controller(pod)).or_default() += 1;
        }
    }
    let own = facts.set.object.metadata.uid.clone().unwrap_or_default();
    for (uid, count) in &mut by_controller {
        let other = facts.other_sets.iter().find(|set| set.metadata.uid.as_ref() == Some(uid));
        if *uid == own {
            *count = facts.shape.replicas;
        } else if let Some(asked) = other.and_then(|set| set.spec.as_ref()).and_then(|spec| spec.replicas) {
            *count = asked.try_into().unwrap_or(0);
        }
    }
    (by_controller.values().sum(), pods)
}

/// UID of the pod's controller, or its own.
fn controller(pod: &Pod) -> String {
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    owner.map(|owner| owner.uid.clone()).or_else(|| pod.metadata.uid.clone()).unwrap_or_default()
}

fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
