//! K3: every replica is there and Available, and says so by a readiness probe.
//!
//! A handoff takes one replica down; one that is down already would make two. Available means Ready for
//! `minReadySeconds`, judged pod by pod and then held against what the StatefulSet's status says, because only the
//! controller's count decides when it goes on. Without a readiness probe Ready means "started", and the gate after a
//! handoff proves little: that is a warning, not a refusal.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    jiff::{SignedDuration, Timestamp},
};

use super::{
    facts::Source,
    finding::{refuse, warn},
};

/// Finding for a StatefulSet that does not exist: without it there is nothing else to check.
pub(crate) fn missing(namespace: &str, name: &str) -> Finding {
    refuse(
        "K3-no-stateful-set",
        format!("StatefulSet/{name}"),
        format!("no StatefulSet {name} in namespace {namespace} of the source"),
        "the StatefulSet to be moved",
        "Check the name, the namespace and the source cluster.",
    )
}

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let min_ready = min_ready_seconds(facts);
    for ordinal in facts.shape.ordinals() {
        findings.extend(replica(facts, ordinal, min_ready));
    }
    let available =
        facts.set.object.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    if i64::from(available) < i64::from(facts.shape.replicas) {
        findings.push(refuse(
            "K3-not-all-available",
            format!("StatefulSet/{}", facts.shape.name),
            format!("{available} of {} replicas available", facts.shape.replicas),
            "all of them",
            "Repair the replicas that are named, or wait until they are available, and plan again.",
        ));
    }
    findings.extend(probes(facts));
    findings
}

/// `spec.minReadySeconds`, in seconds.
pub(crate) fn min_ready_seconds(facts: &Source) -> u32 {
    let seconds = facts.set.object.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    seconds.try_into().unwrap_or(0)
}

fn replica(facts: &Source, ordinal: u32, min_ready: u32) -> Option<Finding> {
    let subject = format!("Pod/{}", facts.shape.pod(ordinal));
    let Some(pod) = facts.pod(ordinal).map(|pod| &pod.object) else {
        return Some(refuse(
            "K3-replica-missing",
            subject,
            "no such pod",
            "one pod for each ordinal of the slice",
            "Find out why the StatefulSet does not start it (kubectl describe statefulset) and plan again.",
        ));
    };
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if owner.map(|owner| owner.uid.as_str()) != facts.set.object.metadata.uid.as_deref() {
        return Some(refuse(
            "K3-replica-foreign",
            subject,
            owner.map_or("a pod without a controller".to_owned(), |owner| {
                format!("a pod of {}/{} with UID {}", owner.kind, owner.name, owner.uid)
            }),
            format!(
                "a pod of this StatefulSet, UID {}",
                facts.set.object.metadata.uid.as_deref().unwrap_or("?")
            ),
            "Remove the pod that took the name; the StatefulSet then starts its own.",
        ));
    }
    let why = unavailable(pod, facts.now, min_ready)?;
    Some(refuse(
        "K3-replica-unavailable",
        subject,
        why,
        format!("Ready for at least {min_ready} s (minReadySeconds)"),
        "Repair the replica, or wait until it is available, and plan again.",
    ))
}

/// Why `pod` does not count as Available; nothing if it does.
fn unavailable(pod: &Pod, now: Timestamp, min_ready: u32) -> Option<String> {
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("being deleted".to_owned());
    }
    let Some(ready) = condition(pod, "Ready") else {
        return Some("no condition Ready yet".to_owned());
    };
    if ready.status != "True" {
        let reason = ready.message.as_deref().or(ready.reason.as_deref()).unwrap_or("no reason given");
        return Some(format!("not Ready: {reason}"));
    }
    let since = ready.last_transition_time.as_ref()?.0;
    let long = now.duration_since(since);
    if min_ready > 0 && long < SignedDuration::from_secs(min_ready.into()) {
        return Some(format!("Ready for {} s only", long.as_secs().max(0)));
    }
    None
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn probes(facts: &Source) -> Option<Finding> {
    let pod = facts.set.object.spec.as_ref()?.template.spec.as_ref()?;
    if pod.containers.iter().any(|container| container.readiness_probe.is_some()) {
        return None;
    }
    let names: Vec<_> = pod.containers.iter().map(|container| container.name.as_str()).collect();
    Some(warn(
        "K3-no-readiness-probe",
        format!("StatefulSet/{}", facts.shape.name),
        format!("no readinessProbe in container {}", names.join(", ")),
        "at least one, so that Ready means: serves",
        "Add a readinessProbe that fails while the replica does not serve; without it a handoff is called good as \
         soon as the process has started.",
    ))
}

#[cfg(test)]
#[path = "k03_available_tests.rs"]
mod tests;
