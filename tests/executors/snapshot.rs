//! Everything of a workload in one cluster, without what an undo may change.
//!
//! Two snapshots are equal if the cluster is as it was: every object of the namespace that a person or Ferry makes, and
//! the PersistentVolumes of its claims. Left out is what ARCHITECTURE.md names (uids, versions, the claimRef's, Ferry's
//! own annotations and the epochs), and what controllers write in their own time. Pods and status are left out too:
//! whether the replicas run is asked by the executors and by [`crate::witness`].

use std::collections::BTreeMap;

use anyhow::Result;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use crate::workload;

/// Objects by `kind/name`.
pub(crate) type Snapshot = BTreeMap<String, Value>;

const KINDS: [(&str, &str, &str); 8] = [
    ("apps", "v1", "StatefulSet"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
];
/// Who manages the EndpointSlices that count; the others are the cluster's own.
const MIRRORED: &str = "agent.ferry.dev";
/// Metadata that changes by itself or with every write.
const PASSING: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];
/// Annotations of the binder (H8): a claim that was made again around its volume has others.
const BINDING: [&str; 3] = [
    "pv.kubernetes.io/bound-by-controller",
    "pv.kubernetes.io/bind-completed",
    "volume.kubernetes.io/selected-node",
];

/// How much of what Ferry writes belongs to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// Ferry's annotations are left out: a migration is under way.
    Ignored,
    /// Ferry's annotations count: there was no migration. Only tombstones that stay after one do not.
    Counted,
    /// The very objects: uids count, and the epochs that are kept.
    Exact,
}

/// What the cluster has of the workload in `namespace` now.
pub(crate) async fn take(client: &Client, namespace: &str, marks: Marks) -> Result<Snapshot> {
    let mut snapshot = Snapshot::new();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = if kind == "PersistentVolume" {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), namespace, &resource)
        };
        for object in api.list(&ListParams::default()).await? {
            let object = serde_json::to_value(object)?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let is_elsewhere =
                kind == "PersistentVolume" && object["spec"]["claimRef"]["namespace"] != namespace;
            let is_given = name == "kube-root-ca.crt"
                || name == "default"
                || (name.starts_with("ferry-epochs-") && marks != Marks::Exact);
            let is_own = kind == "EndpointSlice"
                && object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] != MIRRORED;
            let stays =
                object["metadata"]["annotations"]["ferry.dev/stays"] == "true" && marks == Marks::Counted;
            if !is_elsewhere && !is_given && !is_own && !stays {
                snapshot.insert(format!("{kind}/{name}"), essence(object, marks));
            }
        }
    }
    Ok(snapshot)
}

/// Waits until the cluster is as it was.
pub(crate) async fn same(
    client: &Client,
    namespace: &str,
    marks: Marks,
    expected: &Snapshot,
    when: &str,
) -> Result<()> {
    let what = format!("{namespace} to be as it was {when}");
    workload::until(&what, async || {
        let found = take(client, namespace, marks).await?;
        match difference(expected, &found) {
            None => Ok(Some(())),
            Some(difference) => Err(anyhow::anyhow!(difference)),
        }
    })
    .await
}

/// The first object in which the two differ, in words.
pub(crate) fn difference(expected: &Snapshot, found: &Snapshot) -> Option<String> {
    let mut keys: Vec<_> = expected.keys().chain(found.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().find_map(|key| {
        let (before, now) = (expected.get(key), found.get(key));
        (before != now).then(|| format!("{key}: it was {before:?}, it is {now:?}"))
    })
}

fn essence(mut object: Value, marks: Marks) -> Value {
    let is_kept =
        |key: &str| !BINDING.contains(&key) && (marks != Marks::Ignored || !key.starts_with("ferry.dev/"));
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let is_exact = marks == Marks::Exact;
        metadata.retain(|field, _| (is_exact && field == "uid") || !PASSING.contains(&field.as_str()));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| is_kept(key));
        }
        metadata.retain(|field, value| {
            !(field == "annotations" && value.as_object().is_some_and(serde_json::Map::is_empty))
        });
        // The attacher and the provisioner set and take off finalizers in their own time (the latter by the policy).
        if let Some(finalizers) = metadata.get_mut("finalizers").and_then(Value::as_array_mut) {
            finalizers.retain(|name| !name.as_str().unwrap_or_default().starts_with("external-"));
        }
        for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
            owner["uid"] = Value::Null;
        }
    }
    if let Some(claim) = object.pointer_mut("/spec/claimRef").and_then(Value::as_object_mut) {
        claim.retain(|field, _| !matches!(field.as_str(), "uid" | "resourceVersion"));
    }
    let phase = object["status"]["phase"].clone();
    object["status"] = phase;
    object
}
