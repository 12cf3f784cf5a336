//! The workload's images on the target's nodes before its first replica stops.
//!
//! What a node has to pull while a replica is down is time without that replica. So each node that may run it, and does
//! not list the images among those it has, gets one Job whose pod names them and does nothing. Its command exists in no
//! image: a container that cannot start has its image all the same. The Job ends by itself and takes its pod with it
//! (`ttlSecondsAfterFinished`), so the agent needs no right to delete a pod, which must stay so: who may delete pods may
//! free a disk that is still written to.
//!
//! This never refuses, and never holds a migration up for longer than [`limits::PULL_WAIT`]: what could not be pulled
//! the replica's own pod pulls, and progress says so. The pods match no selector, mount nothing, and carry the
//! template's scheduling rules, so that a node they do not fit turns them away.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    api::{self, Halt, Halted, JOB, Key, NODE, Written},
    node,
    object::{self, FERRY, MANAGED_BY},
    wait::Wait,
};
use crate::{context::Context, limits};

/// Prefix of the Jobs' names.
const PREFIX: &str = "ferry-pull-";
/// What no image has.
const COMMAND: &str = "/ferry-pulls-the-image-only";

/// Pulls what is missing for the pod template of `set`; what came of it, in words, where there was anything to do.
pub(super) async fn run(ctx: &Context, step: u32, set: &Value) -> Halted<Option<String>> {
    let Some(template) = set.pointer("/spec/template/spec") else { return Ok(None) };
    let images = images(template);
    let nodes = api::list(ctx, NODE, "").await?;
    let lacking: Vec<(&str, Vec<String>)> = nodes
        .iter()
        .filter(|node| may_run(node, template))
        .filter_map(|node| Some((object::name(node), missing(node, &images)?)))
        .take(limits::PULL_NODES)
        .collect();
    if lacking.is_empty() {
        return Ok(None);
    }
    let until = Instant::now() + limits::PULL_WAIT;
    let pulls = lacking.iter().map(|(node, images)| pull(ctx, step, template, node, images, until));
    let mut failures = Vec::new();
    for pulled in join_all(pulls).await {
        failures.extend(pulled?);
    }
    let names: Vec<&str> = lacking.iter().map(|(node, _)| *node).collect();
    if failures.is_empty() {
        return Ok(Some(format!("images are on {}", names.join(", "))));
    }
    Ok(Some(format!("a replica may have to wait for its images: {}", failures.join("; "))))
}

/// The images of a pod template, each with a tag or a digest as nodes list them.
fn images(template: &Value) -> BTreeSet<String> {
    let containers = ["/containers", "/initContainers"].map(|path| object::items(template, path));
    let images = containers.into_iter().flatten().map(|container| object::text(container, "/image"));
    let whole = |image: &str| {
        let is_tagged = image.rsplit('/').next().is_some_and(|name| name.contains([':', '@']));
        if is_tagged { image.to_owned() } else { format!("{image}:latest") }
    };
    images.filter(|image| !image.is_empty()).map(whole).collect()
}

/// Whether a replica may be put there, by what a node says of itself; the pod's own rules are the node's to apply.
fn may_run(found: &Value, template: &Value) -> bool {
    let wanted = template.pointer("/nodeSelector").and_then(Value::as_object);
    let has = |(key, value): (&String, &Value)| object::label(found, key) == value.as_str();
    let is_closed = found.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or_default();
    node::fault(found).is_none() && !is_closed && wanted.into_iter().flatten().all(has)
}

/// The images that a node does not list; nothing if it lists all of them. It spells them in full.
fn missing(node: &Value, images: &BTreeSet<String>) -> Option<Vec<String>> {
    let names: Vec<&str> = object::items(node, "/status/images")
        .iter()
        .flat_map(|image| object::items(image, "/names"))
        .filter_map(Value::as_str)
        .collect();
    let is_there = |image: &str| {
        names
            .iter()
            .any(|name| name.strip_suffix(image).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    };
    let missing: Vec<String> = images.iter().filter(|image| !is_there(image)).cloned().collect();
    (!missing.is_empty()).then_some(missing)
}

/// Pulls on one node; why not, if it could not.
async fn pull(
    ctx: &Context,
    step: u32,
    template: &Value,
    node: &str,
    images: &[String],
    until: Instant,
) -> Halted<Option<String>> {
    let key = Key::of(ctx, JOB, job_name(&ctx.command.workload, node));
    match api::create(ctx, &key, &job(&key, template, node, images)).await {
        Ok(Written::Done(_) | Written::Exists) => Ok(over(ctx, step, &key, until).await?),
        Ok(Written::Unfit(message)) => Ok(Some(message)),
        Ok(_) => Ok(Some("the namespace takes no Job now".to_owned())),
        Err(Halt::Stop(stop)) => Ok(Some(stop.to_string())),
        Err(Halt::Again(why)) => Ok(Some(why)),
    }
    .map(|failure| failure.map(|failure| format!("{node}: {failure}")))
}

/// Waits until the Job is over, whatever became of its pod: the container's start is meant to fail.
async fn over(ctx: &Context, step: u32, key: &Key, until: Instant) -> Halted<Option<String>> {
    let mut wait = Wait::new(ctx, step);
    wait.watch(key);
    loop {
        let Some(found) = api::read(ctx, key).await? else { return Ok(None) };
        let failed = object::condition_is_true(&found, "Failed");
        if failed.is_some_and(|failed| object::text(failed, "/reason") == "DeadlineExceeded") {
            return Ok(Some(late()));
        }
        if failed.is_some() || object::condition_is_true(&found, "Complete").is_some() {
            return Ok(None);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(late()));
        }
        wait.pause_most(format!("{key} to pull the images"), left).await?;
    }
}

fn late() -> String {
    format!("not pulled within {} s; the events of its pod there say why", limits::PULL_WAIT.as_secs())
}

/// One Job for each node, found again by its name.
fn job_name(workload: &str, node: &str) -> String {
    let digest = Sha256::digest(format!("{workload}/{node}").as_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digest}")
}

fn job(key: &Key, template: &Value, node: &str, images: &[String]) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": {MANAGED_BY: FERRY}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": limits::PULL_WAIT.as_secs(),
            "ttlSecondsAfterFinished": 0,
            "template": {"spec": pod(template, node, images)},
        },
    })
}

fn pod(template: &Value, node: &str, images: &[String]) -> Value {
    let container = |(index, image): (usize, &String)| {
        json!({
            "name": format!("pull-{index}"),
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": [COMMAND],
            "resources": {
                "requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        })
    };
    let mut spec = json!({
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65_534, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": images.iter().enumerate().map(container).collect::<Vec<_>>(),
    });
    for field in ["imagePullSecrets", "serviceAccountName", "tolerations", "nodeSelector"] {
        if let Some(value) = template.get(field) {
            spec[field] = value.clone();
        }
    }
    if let Some(affinity) = template.pointer("/affinity/nodeAffinity") {
        spec["affinity"] = json!({"nodeAffinity": affinity});
    }
    spec
}

#[cfg(test)]
#[path = "pull_tests.rs"]
mod tests;
