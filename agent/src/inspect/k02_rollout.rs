//! K2: nothing is being rolled out.
//!
//! In a rollout two replicas of one workload differ, and the target's slice, made from one template, would be a third
//! thing (H15). The pods' own `controller-revision-hash` is compared with the update revision: `currentRevision` is
//! never promoted in OnDelete sets before 1.37 (kubernetes#73492). A partition above the slice's start means that a
//! rollout stands still half-way on purpose; that is refused just the same.

use ferry_proto::agent::v1::Finding;

use super::{facts::Source, finding::refuse};

/// The label by which a pod says its revision.
const REVISION: &str = "controller-revision-hash";

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = strategy(facts);
    let set = &facts.set.object;
    let subject = format!("StatefulSet/{}", facts.shape.name);
    let observed = set.status.as_ref().and_then(|status| status.observed_generation);
    if observed < set.metadata.generation {
        findings.push(refuse(
            "K2-not-observed",
            &subject,
            format!(
                "generation {}, of which the controller has seen {}",
                set.metadata.generation.unwrap_or(0),
                observed.unwrap_or(0)
            ),
            "the newest generation seen by the StatefulSet controller",
            "Wait a moment and plan again; if it stays, look at the kube-controller-manager.",
        ));
    }
    let Some(update) = set.status.as_ref().and_then(|status| status.update_revision.as_deref()) else {
        findings.push(refuse(
            "K2-no-revision",
            subject,
            "no status.updateRevision",
            "a status written by the StatefulSet controller",
            "Look at the kube-controller-manager.",
        ));
        return findings;
    };
    for pod in facts.shape.ordinals().filter_map(|ordinal| facts.pod(ordinal)) {
        let metadata = &pod.object.metadata;
        let revision = metadata.labels.as_ref().and_then(|labels| labels.get(REVISION)).map(String::as_str);
        if revision != Some(update) {
            findings.push(refuse(
                "K2-rollout",
                format!("Pod/{}", metadata.name.as_deref().unwrap_or_default()),
                format!("revision {}", revision.unwrap_or("unknown")),
                format!("the update revision {update}"),
                "Finish the rollout (with OnDelete: delete the pod), or undo it, and plan again.",
            ));
        }
    }
    findings
}

fn strategy(facts: &Source) -> Vec<Finding> {
    let subject = format!("StatefulSet/{}", facts.shape.name);
    let Some(strategy) = facts.set.object.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref()) else {
        return Vec::new();
    };
    match strategy.type_.as_deref() {
        None | Some("RollingUpdate" | "OnDelete") => {}
        Some(other) => {
            return vec![refuse(
                "K2-strategy-unknown",
                subject,
                format!("updateStrategy.type {other}"),
                "RollingUpdate or OnDelete",
                "Set one of these, or upgrade the agent to a version that knows it.",
            )];
        }
    }
    let partition = strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition).unwrap_or(0);
    if i64::from(partition) <= i64::from(facts.shape.start) {
        return Vec::new();
    }
    vec![refuse(
        "K2-partition",
        subject,
        format!("updateStrategy.rollingUpdate.partition {partition}"),
        format!("0, or at most the first ordinal {}", facts.shape.start),
        "Finish the partitioned rollout: set partition to 0 and wait until every pod has the new revision.",
    )]
}

#[cfg(test)]
#[path = "k02_rollout_tests.rs"]
mod tests;
