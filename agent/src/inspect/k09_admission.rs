//! K9: the target's admission takes the pod and the StatefulSet as they are.
//!
//! Quotas, policies and webhooks of another cluster may refuse what runs here, or change it: a defaulted field, an
//! injected sidecar. Both objects are therefore dry-run on the API server of the target, and what comes back is
//! compared. A StatefulSet that differs after defaulting would make two halves of one workload different (H15) and is
//! refused; a pod that differs in its containers is a warning. What has to be there before, Secrets and classes, is
//! checked by name.

use ferry_proto::agent::v1::Finding;
use serde_json::{Value, json};

use super::{
    compare,
    facts::{DryRun, Target},
    finding::{note, refuse, warn},
    read::Exists,
};

/// Checks the target.
pub(crate) fn check(facts: &Target) -> Vec<Finding> {
    let mut findings = required(facts);
    if !facts.namespace_exists {
        findings.push(note(
            "K9-namespace-new",
            format!("Namespace/{}", namespace(facts)),
            "not in the target yet: admission could not be asked by a dry run",
            "the namespace, so that its policies and quotas can be tried",
            "Create it with the quotas and policies it is to have, and plan again; else it is created without any.",
        ));
        return findings;
    }
    findings.extend(pod(facts));
    findings.extend(set(facts));
    findings
}

fn namespace(facts: &Target) -> &str {
    facts.described.metadata.namespace.as_deref().unwrap_or_default()
}

fn required(facts: &Target) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (object, exists) in &facts.required {
        let code = match object.split('/').next() {
            Some("Secret") => "K9-secret-missing",
            Some("PriorityClass") => "K9-priority-class-missing",
            Some("RuntimeClass") => "K9-runtime-class-missing",
            _ => "K9-required-missing",
        };
        match exists {
            Exists::Yes => {}
            Exists::No => findings.push(refuse(
                code,
                object,
                "not in the target, but the pod template names it",
                "the object, before the first replica arrives",
                "Create it in the target: Secrets and classes do not travel.",
            )),
            Exists::Unknown(said) => findings.push(warn(
                "K9-required-unreadable",
                object,
                format!("the agent may not ask for it: {said}"),
                "that it exists in the target",
                "Make sure yourself, or let the agent get it.",
            )),
        }
    }
    findings
}

fn pod(facts: &Target) -> Vec<Finding> {
    let Some(sample) = facts.description.sample_pod.as_ref() else {
        return Vec::new();
    };
    let subject = format!("Pod/{}", sample.name);
    match &facts.pod_dry_run {
        DryRun::Refused(said) => vec![refuse(
            "K9-pod-refused",
            subject,
            format!("the target would not accept the pod: {said}"),
            "the pod accepted",
            "Change the policy, quota or webhook that says so, or what the pod template asks for.",
        )],
        DryRun::NotRun(why) => vec![not_run(subject, why)],
        DryRun::Accepted { object, caveat } => {
            let source: Value = serde_json::from_str(&sample.json).unwrap_or_default();
            let mut findings = Vec::new();
            if !caveat.is_empty() {
                findings.push(note(
                    "K9-pod-dry-run",
                    &subject,
                    caveat,
                    "the pod exactly as it will be",
                    "Nothing; the first handoff shows it.",
                ));
            }
            let differences = compare::differences(&containers(&source), &containers(object));
            if !differences.is_empty() {
                findings.push(warn(
                    "K9-pod-changed",
                    subject,
                    format!(
                        "the target would change the pod's containers: {}",
                        compare::listed(&differences)
                    ),
                    "the same containers and images in both clusters",
                    "Look whether the webhook that does it is wanted for this workload.",
                ));
            }
            findings
        }
    }
}

/// Names and images of a pod's containers.
fn containers(pod: &Value) -> Value {
    let listed = |key: &str| -> Value {
        let all = pod.pointer(key).and_then(Value::as_array);
        all.into_iter().flatten().map(|one| json!({"name": one["name"], "image": one["image"]})).collect()
    };
    json!({"initContainers": listed("/spec/initContainers"), "containers": listed("/spec/containers")})
}

fn set(facts: &Target) -> Vec<Finding> {
    let subject = format!("StatefulSet/{}", facts.shape.name);
    match &facts.set_dry_run {
        DryRun::Refused(said) => vec![refuse(
            "K9-set-refused",
            subject,
            format!("the target would not accept the StatefulSet: {said}"),
            "the StatefulSet accepted, with an empty slice",
            "Change the policy, quota or webhook that says so.",
        )],
        DryRun::NotRun(why) => vec![not_run(subject, why)],
        DryRun::Accepted { object, .. } => {
            let described = facts.description.stateful_set.as_ref().map(|manifest| manifest.json.as_str());
            let source: Value = serde_json::from_str(described.unwrap_or_default()).unwrap_or_default();
            let differences = compare::differences(&compared(&source), &compared(object));
            if differences.is_empty() {
                return Vec::new();
            }
            vec![refuse(
                "K9-template-differs",
                subject,
                format!("as the target would have it, it differs: {}", compare::listed(&differences)),
                "the same template in both clusters, defaults included",
                "Write the differing fields out in the StatefulSet's manifest, so that no default decides; if the \
                 StatefulSet is in the target already, apply the source's template to it.",
            )]
        }
    }
}

/// What of a StatefulSet has to be the same on both sides.
fn compared(set: &Value) -> Value {
    let spec = &set["spec"];
    let claims: Value = spec["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|claim| json!({"name": claim["metadata"]["name"], "spec": claim["spec"]}))
        .collect();
    json!({
        "template": {
            "labels": spec["template"]["metadata"]["labels"],
            "annotations": spec["template"]["metadata"]["annotations"],
            "spec": spec["template"]["spec"],
        },
        "selector": spec["selector"],
        "serviceName": spec["serviceName"],
        "podManagementPolicy": spec["podManagementPolicy"],
        "minReadySeconds": spec["minReadySeconds"].as_i64().unwrap_or(0),
        "volumeClaimTemplates": claims,
    })
}

fn not_run(subject: String, why: &str) -> Finding {
    note(
        "K9-not-run",
        subject,
        format!("the target's admission was not asked: {why}"),
        "a dry run",
        "Settle the finding that this follows from, and plan again.",
    )
}

#[cfg(test)]
#[path = "k09_admission_tests.rs"]
mod tests;
