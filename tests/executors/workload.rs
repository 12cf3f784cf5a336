//! The workload that is moved: a StatefulSet with two claim templates, and all that a careless owner sets.
//!
//! Retention and reclaim policies are `Delete`, the budget is a percentage, the first ordinal is not 0. Each test has
//! its own namespace, so that many run at once, and clears it in the end. What moves the workload is in `journey`; this
//! file only makes it, and waits for what the clusters' own controllers do.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicyBinding, apps::v1::StatefulSet, core::v1::Namespace,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

/// Name of the StatefulSet.
pub(crate) const NAME: &str = "db";
/// Image of its container.
pub(crate) const IMAGE: &str = "ferry.test/pause:1";
/// First ordinal.
pub(crate) const START: u32 = 3;
/// Time for anything that controllers do by themselves.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Often enough, and no load: a dozen workloads are waited for at once.
const POLL: Duration = Duration::from_millis(200);

/// A workload's shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Number of replicas.
    pub(crate) replicas: u32,
    /// `podManagementPolicy: Parallel`.
    pub(crate) parallel: bool,
}

/// Creates the workload and waits until all replicas are Available.
pub(crate) async fn deploy(client: &Client, namespace: &str, shape: Shape) -> Result<()> {
    for object in objects(namespace, shape) {
        create(client, namespace, &object).await?;
    }
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
    until(&format!("{namespace}/{NAME} to be Available"), async || {
        let status = sets.get(NAME).await?.status.unwrap_or_default();
        let available = status.available_replicas.unwrap_or_default();
        let is_seen = status.observed_generation.unwrap_or_default() > 0;
        Ok((is_seen && u32::try_from(available)? == shape.replicas).then_some(()))
    })
    .await
}

/// Creates the namespace alone.
pub(crate) async fn namespace(client: &Client, namespace: &str) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    create(client, namespace, &object).await.map(drop)
}

/// Deletes the workload's namespace, and with it its pods: their disks leave the nodes, which hold a bounded number. A
/// guard that stands would refuse that, so it goes first, as a person breaks it; it holds on for a moment.
pub(crate) async fn clear(client: &Client, namespace: &str) -> Result<()> {
    unguard(client, namespace).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    until(&format!("namespace {namespace} to be deleted"), async || {
        match namespaces.delete(namespace, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Some(())),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            other => Ok(Some(other.map(drop)?)),
        }
    })
    .await
}

/// Deletes what binds the workload's guard, as a person who breaks it does.
pub(crate) async fn unguard(client: &Client, namespace: &str) -> Result<()> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    match bindings.delete(&format!("ferry-guard.{namespace}.{NAME}"), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop).context("cannot delete the guard's binding"),
    }
}

/// Creates one object of any kind.
pub(crate) async fn create(client: &Client, namespace: &str, object: &Value) -> Result<DynamicObject> {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let is_global = matches!(kind.as_str(), "Namespace" | "PersistentVolume");
    let api: Api<DynamicObject> = if is_global {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let object = serde_json::from_value(object.clone())?;
    api.create(&PostParams::default(), &object).await.with_context(|| format!("cannot create a {kind}"))
}

/// Asks `check` until it gives a value, for a bounded time; its errors are "not yet".
pub(crate) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = tokio::time::Instant::now();
    loop {
        let last = match check().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} for {what}; the last error was {last:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}

fn objects(namespace: &str, shape: Shape) -> Vec<Value> {
    let labels = json!({"app": NAME});
    let template = |name: &str| {
        json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "array",
                "resources": {"requests": {"storage": "16Mi"}},
            },
        })
    };
    let policy = if shape.parallel { "Parallel" } else { "OrderedReady" };
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"name": "db", "port": 5432}]},
        }),
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": NAME},
            "spec": {"minAvailable": "50%", "selector": {"matchLabels": labels}},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": NAME, "labels": labels, "annotations": {"owner": "somebody"}},
            "spec": {
                "serviceName": NAME, "replicas": shape.replicas, "podManagementPolicy": policy,
                "ordinals": {"start": START},
                "selector": {"matchLabels": labels},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": "runner", "terminationGracePeriodSeconds": 1,
                        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
                        "containers": [{
                            "name": "db", "image": IMAGE,
                            "volumeMounts": [
                                {"name": "data", "mountPath": "/data"}, {"name": "wal", "mountPath": "/wal"},
                                {"name": "settings", "mountPath": "/etc/db"},
                            ],
                        }],
                    },
                },
                "volumeClaimTemplates": [template("data"), template("wal")],
            },
        }),
    ]
}
