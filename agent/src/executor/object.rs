//! Reading objects that are kept as JSON.
//!
//! Small accessors, so that executors say what they look at by its path in the API and not by this build's types. A
//! field that is absent reads as empty: what that means is for the caller to say. Objects are changed by JSON Patch, and the
//! operations for that are made here too. Nothing here talks to a cluster.

use ferry_proto::agent::v1::{Manifest, NodeIdentity, Slice, VolumeId};
use serde_json::{Value, json};

use crate::outcome::Stop;

/// Annotation on every object that a step writes: the epoch of that step.
pub(crate) const EPOCH: &str = "ferry.dev/epoch";
/// Annotation on what exists in a cluster only because of a migration: which one made it.
pub(crate) const MADE_BY: &str = "ferry.dev/migration";
/// Label that names who made an object which exists only because of Ferry.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub(crate) const FERRY: &str = "ferry";

/// The text at `path`; empty if there is none.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The number at `path`; 0 if there is none.
pub(crate) fn number(object: &Value, path: &str) -> u64 {
    object.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

/// The list at `path`; empty if there is none.
pub(crate) fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// `metadata.resourceVersion`.
pub(crate) fn version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// The annotation `key`.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// The label `key`.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// The epoch of the step that wrote the object; 0 if none did.
pub(crate) fn epoch(object: &Value) -> u64 {
    annotation(object, EPOCH).and_then(|epoch| epoch.parse().ok()).unwrap_or_default()
}

/// Whether its deletion was asked for.
pub(crate) fn is_ending(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// `metadata.finalizers` that are not in `known`.
pub(crate) fn finalizers_beyond(object: &Value, known: &[&str]) -> Vec<String> {
    let all = items(object, "/metadata/finalizers").iter().filter_map(Value::as_str);
    all.filter(|finalizer| !known.contains(finalizer)).map(ToOwned::to_owned).collect()
}

/// The condition of that type, if its status is `True`.
pub(crate) fn condition_is_true<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut all = items(object, "/status/conditions").iter();
    all.find(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
}

/// Whether the object's controller has seen its present spec.
pub(crate) fn is_observed(object: &Value) -> bool {
    number(object, "/status/observedGeneration") >= number(object, "/metadata/generation")
}

/// Sets an annotation, for an object that has been read: operations for `api::amend`.
pub(crate) fn annotate(object: &Value, annotations: &[(&str, &str)]) -> Vec<Value> {
    let mut operations = Vec::new();
    if object.pointer("/metadata/annotations").is_none() {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    for (key, value) in annotations {
        operations.push(json!({"op": "add", "path": annotation_path(key), "value": value}));
    }
    operations
}

/// Marks an object that is about to be created as made by `migration`.
pub(crate) fn mark(object: &mut Value, migration: &str) {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.insert(MADE_BY.into(), migration.into());
    }
}

/// Takes annotations off an object that has been read, those that it has: operations for `api::amend`.
pub(crate) fn unannotate(object: &Value, keys: &[&str]) -> Vec<Value> {
    let there = keys.iter().filter(|key| annotation(object, key).is_some());
    there.map(|key| json!({"op": "remove", "path": annotation_path(key)})).collect()
}

/// The JSON Pointer of an annotation.
pub(crate) fn annotation_path(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The slice of a StatefulSet; a missing `replicas` is 1, as the API server defaults it.
pub(crate) fn slice(set: &Value) -> Slice {
    let replicas = set.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    Slice { start: narrow(number(set, "/spec/ordinals/start")), replicas: narrow(replicas) }
}

/// Whether two slices hold the same ordinals: empty ones do, wherever they start.
pub(crate) fn same_slice(a: &Slice, b: &Slice) -> bool {
    a == b || (a.replicas == 0 && b.replicas == 0)
}

/// A slice in words.
pub(crate) fn slice_text(slice: &Slice) -> String {
    match slice.replicas {
        0 => "the empty slice".to_owned(),
        n => format!("ordinals {} to {}", slice.start, u64::from(slice.start) + u64::from(n) - 1),
    }
}

/// The CSI identity of a PersistentVolume; empty where it is not CSI.
pub(crate) fn volume_id(volume: &Value) -> VolumeId {
    VolumeId {
        driver: text(volume, "/spec/csi/driver").to_owned(),
        handle: text(volume, "/spec/csi/volumeHandle").to_owned(),
    }
}

/// Who a node is, and which boot of it.
pub(crate) fn node_identity(node: &Value) -> NodeIdentity {
    NodeIdentity {
        name: name(node).to_owned(),
        uid: uid(node).to_owned(),
        boot_id: text(node, "/status/nodeInfo/bootID").to_owned(),
    }
}

/// The object as it travels.
pub(crate) fn manifest(object: &Value) -> Manifest {
    Manifest {
        api_version: text(object, "/apiVersion").to_owned(),
        kind: text(object, "/kind").to_owned(),
        name: name(object).to_owned(),
        uid: uid(object).to_owned(),
        json: object.to_string(),
    }
}

/// The object that travelled.
///
/// # Errors
/// Not understood, if it is missing or not JSON.
pub(crate) fn parse(manifest: Option<&Manifest>, what: &str) -> Result<Value, Stop> {
    let Some(manifest) = manifest else {
        return Err(Stop::not_understood(format!("The command lacks the manifest of {what}")));
    };
    serde_json::from_str(&manifest.json).map_err(|error| {
        Stop::not_understood(format!(
            "The manifest of {what} ({} {}) is not JSON: {error}",
            manifest.kind, manifest.name
        ))
    })
}

/// The same with the keys of every object sorted and without fields that are null: what digests and comparisons are made
/// of. Before Kubernetes 1.34 a template came with `creationTimestamp: null`, since then it comes without. An empty object
/// stays, for an empty selector selects everything.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            sorted.sort_by_key(|(key, _)| *key);
            sorted.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect()
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "object_tests.rs"]
mod tests;
