//! The policy and its binding, as they are written: what the API server refuses while nobody of Ferry is there.
//!
//! One ValidatingAdmissionPolicy for each workload, so that the end of one migration takes nothing from another; what
//! is guarded is listed by name in the ConfigMap that its binding names ([`Contents`]). The API server evaluates it on
//! every write of the workload's namespace and of every PersistentVolume, so each rule asks for kind and name first.
//!
//! Facts of Kubernetes it rests on: `kubectl scale` writes a subresource whose object has no labels, so names are
//! compared, never labels; of a deletion only `oldObject` is given, also when a whole collection is deleted; a plain
//! deletion of a pod that never ran arrives with a grace period of 0. The agent passes by its name, which stands in the
//! policy itself: a list could not be corrected any more by an agent that got another name.
//!
//! [`Contents`]: super::contents::Contents

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{CANARY, contents, map_name};
use crate::executor::{
    epochs,
    object::{self, FERRY, MANAGED_BY},
};

/// Name of the policy and of its binding; a namespace's name has no dots, so no two workloads share one.
pub(crate) fn name(namespace: &str, workload: &str) -> String {
    format!("ferry-guard.{namespace}.{workload}")
}

/// `variables` of the policy: name and CEL expression, each may use those before it.
const VARIABLES: [(&str, &str); 9] = [
    ("kind", "request.resource.resource"),
    ("sub", "request.?subResource.orValue('')"),
    ("who", "request.userInfo.username"),
    (
        "isCluster",
        "variables.who == 'system:kube-controller-manager' || \
         variables.who.startsWith('system:serviceaccount:kube-system:') || \
         'system:nodes' in request.userInfo.?groups.orValue([])",
    ),
    ("it", "object == null ? oldObject : object"),
    ("name", "variables.sub == '' ? variables.it.metadata.?name.orValue('') : request.name"),
    ("isUpdate", "request.operation == 'UPDATE' && variables.sub == ''"),
    (
        "sameMarks",
        "object.metadata.?labels[?'ferry.dev/tombstone'].orValue('') == \
         oldObject.metadata.?labels[?'ferry.dev/tombstone'].orValue('') && \
         ['epoch', 'handoff', 'originals', 'original-budget', 'migration', 'command'].all(mark, \
         object.metadata.?annotations[?('ferry.dev/' + mark)].orValue('') == \
         oldObject.metadata.?annotations[?('ferry.dev/' + mark)].orValue(''))",
    ),
    ("sameSpec", "variables.isUpdate && object.spec == oldObject.spec && variables.sameMarks"),
];

/// What is refused: a CEL expression that is true of what may pass, and what is said of the rest, after who tried.
const RULES: [(&str, &str); 11] = [
    (
        "variables.kind != 'statefulsets' || variables.name != params.data.workload || variables.isAgent || \
         variables.sameSpec || (variables.sub == 'scale' && \
         object.spec.?replicas.orValue(0) == oldObject.spec.?replicas.orValue(0)) || \
         (request.operation == 'DELETE' && variables.isCluster)",
        "may not make, scale, change or delete this StatefulSet",
    ),
    (
        "variables.kind != 'persistentvolumeclaims' || \
         !params.data.claims.contains('\\n' + variables.name + '\\n') || variables.isAgent || \
         (request.operation == 'DELETE' && variables.isCluster) || (variables.isUpdate && (variables.isCluster || \
         (variables.sameSpec && object.metadata.?ownerReferences.orValue([]) == \
         oldObject.metadata.?ownerReferences.orValue([]))))",
        "may not make, change or delete its PersistentVolumeClaims and tombstones",
    ),
    (
        "variables.kind != 'persistentvolumes' || variables.isAgent || !(\
         params.data.volumes.contains('\\n' + variables.name + '\\n') || \
         params.data.disks.contains('\\n' + variables.it.spec.?csi.?driver.orValue('') + ' ' + \
         variables.it.spec.?csi.?volumeHandle.orValue('') + '\\n') || \
         (variables.it.spec.?claimRef.?namespace.orValue('') == params.metadata.namespace && \
         params.data.claims.contains('\\n' + variables.it.spec.?claimRef.?name.orValue('') + '\\n'))) || \
         variables.sameSpec || (request.operation != 'CREATE' && variables.isCluster)",
        "may not make, change or delete a PersistentVolume of its disks or claims",
    ),
    (
        "variables.kind != 'pods' || variables.sub != '' || request.operation != 'CREATE' || variables.isAgent || !(\
         params.data.pods.contains('\\n' + variables.name + '\\n') || \
         object.spec.?volumes.orValue([]).exists(volume, has(volume.persistentVolumeClaim) && \
         params.data.claims.contains('\\n' + volume.persistentVolumeClaim.claimName + '\\n'))) || \
         (variables.isCluster && object.metadata.?ownerReferences.orValue([]).exists(owner, \
         owner.?controller.orValue(false) && owner.kind == 'StatefulSet' && owner.name == params.data.workload))",
        "may not make a pod that has the name of one of its pods or uses its claims",
    ),
    (
        "variables.kind != 'pods' || variables.sub != '' || request.operation != 'DELETE' || variables.isCluster || \
         !params.data.pods.contains('\\n' + variables.name + '\\n') || \
         request.?options.?gracePeriodSeconds.orValue(-1) != 0 || oldObject.spec.?nodeName.orValue('') == '' || \
         oldObject.?status.?phase.orValue('') in ['Failed', 'Succeeded']",
        "may not delete its pods by force: only the kubelet knows that a container has stopped writing",
    ),
    (
        "variables.kind != 'pods' || variables.sub != 'eviction' || variables.isCluster || \
         !params.data.pods.contains('\\n' + variables.name + '\\n') || \
         object.?deleteOptions.?gracePeriodSeconds.orValue(-1) != 0",
        "may not evict its pods by force: only the kubelet knows that a container has stopped writing",
    ),
    (
        "variables.kind != 'poddisruptionbudgets' || variables.isAgent || variables.sameSpec || \
         !params.data.budgets.contains('\\n' + variables.name + '\\n')",
        "may not change its PodDisruptionBudget",
    ),
    (
        "variables.kind != 'configmaps' || variables.isAgent || !(variables.name in \
         [variables.epochs, variables.map])",
        "may not write what Ferry keeps of it: its epochs and what is guarded",
    ),
    (
        "variables.kind != 'namespaces' || variables.name != params.metadata.namespace",
        "may not delete its namespace: claims, tombstones and fences are in it",
    ),
    (
        "!variables.isUpdate || !variables.oldEpoch.matches('^[0-9]{1,18}$') || variables.newEpoch == '' || \
         (variables.newEpoch.matches('^[0-9]{1,18}$') && int(variables.newEpoch) >= int(variables.oldEpoch))",
        "may not write an object of a later epoch: the command is of the past",
    ),
    (
        "variables.kind != 'configmaps' || !variables.isUpdate || variables.name != variables.epochs || \
         oldObject.?data.orValue({}).all(key, !key.matches('^([0-9]+|generation)$') || \
         !oldObject.data[key].matches('^[0-9]{1,18}$') || (object.?data[?key].orValue('').matches('^[0-9]{1,18}$') && \
         int(object.data[key]) >= int(oldObject.data[key])))",
        "may not lower the epochs that this cluster keeps: the command is of the past",
    ),
];

/// The policy of a workload, and the digest of what it says, which its canary is refused by.
pub(crate) fn policy(namespace: &str, workload: &str, agent: &str) -> (Value, String) {
    let literal = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let own = [
        ("isAgent".to_owned(), format!("variables.who == {}", literal(agent))),
        ("epochs".to_owned(), literal(&format!("{}{workload}", epochs::PREFIX))),
        ("map".to_owned(), literal(&map_name(workload))),
        ("oldEpoch".to_owned(), annotation("oldObject")),
        ("newEpoch".to_owned(), annotation("object")),
    ];
    let fixed = VARIABLES.iter().map(|(name, expression)| ((*name).to_owned(), (*expression).to_owned()));
    let variables: Vec<_> =
        fixed.chain(own).map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
    let mut validations: Vec<_> = RULES
        .iter()
        .map(|(expression, may_not)| {
            json!({
                "expression": expression,
                "messageExpression": format!(
                    "'Ferry guards StatefulSet {namespace}/{workload} (migration ' + params.data.migration + '): ' + \
                     variables.who + ' {may_not}'"
                ),
                "message": format!("Ferry guards StatefulSet {namespace}/{workload}: this {may_not}"),
                "reason": "Forbidden",
            })
        })
        .collect();
    let rules = rules(namespace, workload);
    let said = json!([&variables, &validations, &rules]);
    let digest = contents::short(&Sha256::digest(object::canonical(&said).to_string().as_bytes()));
    validations.push(canary(&digest));
    let body = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name(namespace, workload), "labels": {MANAGED_BY: FERRY}},
        "spec": {
            "failurePolicy": "Fail",
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": rules,
            "variables": variables,
            "validations": validations,
        },
    });
    (body, digest)
}

/// The epoch that an object carries, as text; empty where it has none.
fn annotation(of: &str) -> String {
    format!("{of}.metadata.?annotations[?'ferry.dev/epoch'].orValue('')")
}

/// Refused to everybody, the agent too: what says that this policy with this list is enforced.
fn canary(digest: &str) -> Value {
    json!({
        "expression": format!(
            "variables.kind != 'configmaps' || request.operation != 'CREATE' || \
             object.metadata.?labels[?'{CANARY}'].orValue('') != '{digest}.' + params.data.digest"
        ),
        "message": format!("{CANARY}: the guard is enforced"),
        "reason": "Forbidden",
    })
}

/// Which writes are looked at.
fn rules(namespace: &str, workload: &str) -> Value {
    let rule = |group: &str, resources: &[&str], operations: &[&str], names: &[&str]| {
        json!({
            "apiGroups": [group], "apiVersions": ["v1"], "resources": resources, "operations": operations,
            "scope": "*", "resourceNames": names,
        })
    };
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {},
        "resourceRules": [
            rule("apps", &["statefulsets"], &["CREATE", "UPDATE", "DELETE"], &[]),
            rule("apps", &["statefulsets/scale"], &["UPDATE"], &[workload]),
            rule("", &["persistentvolumeclaims", "persistentvolumes", "configmaps"],
                &["CREATE", "UPDATE", "DELETE"], &[]),
            rule("", &["pods"], &["CREATE", "DELETE"], &[]),
            rule("", &["pods/eviction"], &["CREATE"], &[]),
            rule("policy", &["poddisruptionbudgets"], &["UPDATE"], &[]),
            rule("", &["namespaces"], &["DELETE"], &[namespace]),
        ],
    })
}

/// The binding: the policy with the workload's own list. Without the list nothing is refused: denied would be every write
/// of a PersistentVolume in the cluster, also others', for as long as a binding that a paused process made late stands.
/// Who takes the list away is refused by the policy, and noticed by the watch.
pub(crate) fn binding(namespace: &str, workload: &str) -> Value {
    let name = name(namespace, workload);
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": {MANAGED_BY: FERRY}},
        "spec": {
            "policyName": name,
            "paramRef": {
                "name": map_name(workload), "namespace": namespace, "parameterNotFoundAction": "Allow",
            },
            "validationActions": ["Deny", "Audit"],
        },
    })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
