//! Questions to the API server that only a write can ask: server-side dry runs, which persist nothing.
//!
//! Admission (policies, quotas, webhooks, defaults) answers creations only. What is sent is the object as Ferry will
//! make it, without what the source's cluster added: identity, status, the node, the injected token volume, numbers
//! that a class resolves to. A refusal is an answer here, not an error, and so is a webhook that fails: it would fail
//! the real creation too. Only an API server that gives no answer is tried again.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{
    facts::{DryRun, OrdinalsProbe},
    template::DEFAULT_ACCOUNT,
};
use crate::{context::Context, outcome::Stop};

/// Who writes, for `managedFields`.
const FIELD_MANAGER: &str = "ferry-agent";
/// Name of the StatefulSet that is never made.
const PROBE: &str = "ferry-ordinals-probe";
/// Prefix of the token volume that the ServiceAccount admission injects.
const TOKEN_VOLUME: &str = "kube-api-access-";
/// Annotation that repeats the whole object and may outgrow it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the API server keeps `spec.ordinals` (H2).
pub(crate) async fn ordinals(ctx: &Context, namespace: &str) -> Result<OrdinalsProbe, Stop> {
    let labels = json!({"app.kubernetes.io/name": PROBE});
    let probe = json!({
        "metadata": {"name": PROBE, "labels": labels},
        "spec": {
            "replicas": 0,
            "ordinals": {"start": 1},
            "serviceName": PROBE,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "probe", "image": "ferry.invalid/probe:1"}]},
            },
        },
    });
    Ok(match create::<StatefulSet>(ctx, namespace, probe).await? {
        Ok(object) if object.pointer("/spec/ordinals/start").and_then(Value::as_i64) == Some(1) => {
            OrdinalsProbe::Kept
        }
        Ok(_) => OrdinalsProbe::Dropped,
        Err(said) => OrdinalsProbe::Refused(said),
    })
}

/// The sample pod, as the target would have it.
pub(crate) async fn pod(
    ctx: &Context,
    namespace: &str,
    sample: &Value,
    account_exists: bool,
) -> Result<DryRun, Stop> {
    let mut pod = portable_pod(sample);
    let mut caveat = String::new();
    if !account_exists {
        let named = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default().to_owned();
        pod["spec"]["serviceAccountName"] = DEFAULT_ACCOUNT.into();
        pod["spec"]["serviceAccount"] = DEFAULT_ACCOUNT.into();
        caveat = format!(
            "tried as ServiceAccount {DEFAULT_ACCOUNT}, because {named} is only made by the migration"
        );
    }
    Ok(match create::<Pod>(ctx, namespace, pod).await? {
        Ok(object) => DryRun::Accepted { object, caveat },
        Err(said) => refused(said),
    })
}

/// What a refusal says of the object: nothing, where it is the agent that may not ask.
fn refused(said: String) -> DryRun {
    if said.contains("cannot create resource") {
        return DryRun::NotRun(format!("the agent may not ask: {said}"));
    }
    DryRun::Refused(said)
}

/// The StatefulSet with an empty slice, as the target would have it.
pub(crate) async fn set(ctx: &Context, namespace: &str, described: &Value) -> Result<DryRun, Stop> {
    Ok(match create::<StatefulSet>(ctx, namespace, portable_set(described)).await? {
        Ok(object) => DryRun::Accepted { object, caveat: String::new() },
        Err(said) => refused(said),
    })
}

/// What the API server would store, or why it would not.
async fn create<T: Resource<DynamicType = ()>>(
    ctx: &Context,
    namespace: &str,
    mut object: Value,
) -> Result<Result<Value, String>, Stop> {
    let resource = ApiResource::erase::<T>(&());
    object["apiVersion"] = resource.api_version.as_str().into();
    object["kind"] = resource.kind.as_str().into();
    object["metadata"]["namespace"] = namespace.into();
    let api: Api<DynamicObject> = Api::namespaced_with(ctx.client.clone(), namespace, &resource);
    let object: DynamicObject = serde_json::from_value(object).map_err(|error| {
        Stop::not_understood(format!(
            "The described {} cannot be read: {error}. Upgrade the agent.",
            resource.kind
        ))
    })?;
    let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let answer = ctx
        .read(format!("a dry run of a {}", resource.kind), || async {
            match api.create(&params, &object).await {
                Ok(stored) => Ok(Ok(stored)),
                Err(kube::Error::Api(status)) if !matches!(status.code, 410 | 429 | 503 | 504) => {
                    Ok(Err(format!("{} ({} {})", status.message, status.code, status.reason)))
                }
                Err(error) => Err(error),
            }
        })
        .await?;
    Ok(answer.map(|stored| serde_json::to_value(&stored).unwrap_or_default()))
}

/// A pod without what its cluster added.
pub(crate) fn portable_pod(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        for key in ["nodeName", "priority", "preemptionPolicy", "overhead", "ephemeralContainers"] {
            fields.remove(key);
        }
    }
    drop_tokens(&mut spec["volumes"], "name");
    for containers in ["initContainers", "containers"] {
        for container in spec[containers].as_array_mut().into_iter().flatten() {
            if container.get("volumeMounts").is_some() {
                drop_tokens(&mut container["volumeMounts"], "name");
            }
        }
    }
    if spec["volumes"].is_null() {
        spec["volumes"] = json!([]);
    }
    json!({"metadata": metadata(pod), "spec": spec})
}

fn drop_tokens(list: &mut Value, key: &str) {
    if let Some(items) = list.as_array_mut() {
        items.retain(|item| !item[key].as_str().is_some_and(|name| name.starts_with(TOKEN_VOLUME)));
    }
}

/// A StatefulSet with an empty slice, without what its cluster added.
fn portable_set(set: &Value) -> Value {
    let mut spec = set["spec"].clone();
    spec["replicas"] = 0.into();
    json!({"metadata": metadata(set), "spec": spec})
}

fn metadata(object: &Value) -> Value {
    let from = &object["metadata"];
    let mut annotations = from["annotations"].clone();
    if let Some(all) = annotations.as_object_mut() {
        all.remove(LAST_APPLIED);
    }
    let mut kept = json!({"name": from["name"]});
    for (key, value) in [("labels", from["labels"].clone()), ("annotations", annotations)] {
        if !value.is_null() {
            kept[key] = value;
        }
    }
    kept
}

#[cfg(test)]
#[path = "dry_run_tests.rs"]
mod tests;
