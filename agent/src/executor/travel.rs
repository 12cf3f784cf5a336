//! How objects are made in another cluster from what was recorded in the first (handoff.md section 5, "The PV in D").
//!
//! Pure functions from JSON to JSON. A copy keeps every field that it is not told to drop, so that fields this build
//! does not know survive. Dropped is what belongs to one cluster: identity, status, owners, what controllers wrote
//! about binding (H6, H8), addresses that an API server hands out. [`difference`] says where two objects that ought
//! to be the same are not.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::object::{self, EPOCH};

/// Annotations of the binder and the provisioner about one cluster's claim or volume (H8).
const BINDING: [&str; 5] = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
];
/// What kubectl keeps of the last `apply`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Ferry's own annotations and labels: they speak of the cluster they are in.
const OURS: &str = "ferry.dev/";
/// Among them what a person set for the workload, wherever it runs.
const SETTINGS: [&str; 1] = [crate::inspect::DNS_TTL];
/// The class in its old place.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The PersistentVolume for the target: same disk, `Retain`, reserved for the claim by name, without uid (H6, H7).
pub(crate) fn volume(
    recorded: &Value,
    namespace: &str,
    claim: &str,
    classes: &HashMap<String, String>,
    epoch: u64,
) -> Value {
    let mut copy = stripped(recorded, None, epoch);
    map_class(&mut copy, classes);
    if let Some(spec) = copy.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.insert("persistentVolumeReclaimPolicy".into(), "Retain".into());
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim,
        });
        spec.insert("claimRef".into(), claim);
    }
    copy
}

/// The claim for the target, from the recorded one (disks grow), bound to `volume` by name.
pub(crate) fn claim(
    recorded: &Value,
    namespace: &str,
    volume: &str,
    classes: &HashMap<String, String>,
    epoch: u64,
) -> Value {
    let mut copy = stripped(recorded, Some(namespace), epoch);
    map_class(&mut copy, classes);
    if let Some(spec) = copy.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.insert("volumeName".into(), volume.into());
    }
    copy
}

/// A ConfigMap, Service, ServiceAccount or PodDisruptionBudget for the target.
pub(crate) fn dependency(recorded: &Value, namespace: &str, epoch: u64) -> Value {
    let mut copy = stripped(recorded, Some(namespace), epoch);
    match object::text(recorded, "/kind") {
        "Service" => strip_addresses(&mut copy),
        "ServiceAccount" => {
            remove(&mut copy, "", "secrets");
        }
        _ => {}
    }
    copy
}

/// The StatefulSet for the target: the identical template and an empty slice, claims kept whatever happens (H3).
pub(crate) fn stateful_set(recorded: &Value, namespace: &str, start: u32, epoch: u64) -> Value {
    let mut copy = stripped(recorded, Some(namespace), epoch);
    if let Some(spec) = copy.pointer_mut("/spec").and_then(Value::as_object_mut) {
        spec.insert("replicas".into(), 0.into());
        spec.insert("ordinals".into(), json!({"start": start}));
        spec.insert(
            "persistentVolumeClaimRetentionPolicy".into(),
            json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
        );
    }
    copy
}

/// The JSON Pointer of the first place where the objects' contents differ, and both values; identity aside.
///
/// Contents are every field but `apiVersion`, `kind`, `metadata` and `status`; for a Service without what the API
/// server hands out, for a ServiceAccount without the tokens of its cluster.
pub(crate) fn difference(wanted: &Value, found: &Value) -> Option<(String, Value, Value)> {
    let contents = |object: &Value| {
        let mut object = dependency(object, "", 0);
        if let Some(fields) = object.as_object_mut() {
            for field in ["apiVersion", "kind", "metadata"] {
                fields.remove(field);
            }
        }
        object
    };
    first_difference(String::new(), &contents(wanted), &contents(found))
}

/// The first place where two values differ; an absent field and an empty one are the same.
pub(crate) fn first_difference(
    path: String,
    wanted: &Value,
    found: &Value,
) -> Option<(String, Value, Value)> {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let (left, right) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                first_difference(format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), left, right)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (left, right))| first_difference(format!("{path}/{index}"), left, right))
        }
        _ if wanted == found || (is_empty(wanted) && is_empty(found)) => None,
        _ => Some((path, wanted.clone(), found.clone())),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn stripped(recorded: &Value, namespace: Option<&str>, epoch: u64) -> Value {
    let mut copy = recorded.clone();
    let mut metadata = Map::new();
    metadata.insert("name".into(), object::name(recorded).into());
    if let Some(namespace) = namespace {
        metadata.insert("namespace".into(), namespace.into());
    }
    let kept = |path: &str| -> Map<String, Value> {
        let all = recorded.pointer(path).and_then(Value::as_object).into_iter().flatten();
        all.filter(|(key, _)| {
            let ours = key.starts_with(OURS) && !SETTINGS.contains(&key.as_str());
            !ours && key.as_str() != LAST_APPLIED && !BINDING.contains(&key.as_str())
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
    };
    let (labels, mut annotations) = (kept("/metadata/labels"), kept("/metadata/annotations"));
    annotations.insert(EPOCH.into(), epoch.to_string().into());
    metadata.insert("annotations".into(), annotations.into());
    if !labels.is_empty() {
        metadata.insert("labels".into(), labels.into());
    }
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("status");
        fields.insert("metadata".into(), metadata.into());
    }
    copy
}

fn map_class(copy: &mut Value, classes: &HashMap<String, String>) {
    for path in ["/spec/storageClassName".to_owned(), object::annotation_path(CLASS_ANNOTATION)] {
        if let Some(class) = copy.pointer_mut(&path)
            && let Some(mapped) = class.as_str().and_then(|class| classes.get(class))
        {
            *class = mapped.clone().into();
        }
    }
}

fn strip_addresses(service: &mut Value) {
    if object::text(service, "/spec/clusterIP") != "None" {
        remove(service, "/spec", "clusterIP");
        remove(service, "/spec", "clusterIPs");
    }
    remove(service, "/spec", "healthCheckNodePort");
    let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        remove(port, "", "nodePort");
    }
}

fn remove(object: &mut Value, path: &str, field: &str) {
    if let Some(fields) = object.pointer_mut(path).and_then(Value::as_object_mut) {
        fields.remove(field);
    }
}

#[cfg(test)]
#[path = "travel_tests.rs"]
mod tests;
