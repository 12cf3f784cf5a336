//! A StatefulSet as executors see it: its slice, its pods, the names of its claims.
//!
//! Names follow KEP-3335 and the StatefulSet controller: `<workload>-<ordinal>` for a pod, and
//! `<template>-<workload>-<ordinal>` for a claim. A pod belongs to a set by its owner's uid, never by its labels.
//! The two annotations that executors keep on the set are named here; what is in them belongs to their writers.

use ferry_proto::agent::v1::Slice;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    api::{self, Halt, Halted, Key, POD, STATEFUL_SET, Written},
    object,
    tombstone::held_by,
    wait::Wait,
};
use crate::{context::Context, guard::blame, limits, outcome::Stop};

/// Annotation in which a slice patch records what it was made for: what a new process needs to resume.
pub(crate) const HANDOFF: &str = "ferry.dev/handoff";
/// Annotation in which the source's preparation records what it is about to change.
pub(crate) const ORIGINALS: &str = "ferry.dev/originals";

/// Where the command's StatefulSet is.
pub(crate) fn key(ctx: &Context) -> Key {
    Key::of(ctx, STATEFUL_SET, ctx.command.workload.clone())
}

/// The command's StatefulSet, if it is the one of that uid.
///
/// # Errors
/// A conflict if there is none, or another.
pub(crate) async fn read(ctx: &Context, uid: &str) -> Result<Value, Stop> {
    let key = key(ctx);
    let Some(set) = api::read(ctx, &key).await? else {
        return Err(Stop::conflict(format!("{key} (uid {uid}) does not exist any more. Plan again")));
    };
    if object::uid(&set) != uid {
        return Err(Stop::conflict(format!(
            "{key} has uid {}, expected {uid}: it was deleted and made again{}. Plan again",
            object::uid(&set),
            blame::writer(&set, &[])
        )));
    }
    if object::is_ending(&set) {
        return Err(Stop::conflict(format!("{key} is being deleted. Plan again")));
    }
    Ok(set)
}

/// The set, as it was read, is gone when this returns: with an empty slice and no pod.
///
/// # Errors
/// A conflict if it has ordinals or pods.
pub(crate) async fn delete_empty(ctx: &Context, step: u32, set: &Value) -> Halted<()> {
    let (key, uid) = (key(ctx), object::uid(set));
    let pods = every_pod(ctx, uid).await?;
    if object::slice(set).replicas != 0 || !pods.is_empty() {
        let names: Vec<_> = pods.iter().map(object::name).collect();
        return Err(Stop::conflict(format!(
            "{key} runs {} with the pods {names:?}, expected an empty slice and none. It is not deleted while it does",
            object::slice_text(&object::slice(set))
        ))
        .into());
    }
    if !object::is_ending(set) {
        match api::delete(ctx, &key, uid, Some(object::version(set))).await? {
            Written::Done(_) | Written::Missing => {}
            _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }
    let mut wait = Wait::new(ctx, step);
    wait.watch(&key);
    while let Some(now) = api::read(ctx, &key).await? {
        if object::uid(&now) != uid {
            break;
        }
        wait.pause(format!("the deletion of {key}{}", held_by(&now))).await?;
    }
    Ok(())
}

/// Name of an ordinal's pod.
pub(crate) fn pod_name(workload: &str, ordinal: u32) -> String {
    format!("{workload}-{ordinal}")
}

/// Names of an ordinal's claims, in the templates' order.
pub(crate) fn claim_names(set: &Value, ordinal: u32) -> Vec<String> {
    let templates = object::items(set, "/spec/volumeClaimTemplates").iter().map(object::name);
    templates.map(|template| format!("{template}-{}-{ordinal}", object::name(set))).collect()
}

/// The ordinals of a slice, ascending.
pub(crate) fn ordinals(slice: Slice) -> impl Iterator<Item = u32> {
    slice.start..slice.start.saturating_add(slice.replicas)
}

/// The pods of a slice that the set of that uid controls, those that are there, by ascending ordinal.
///
/// Each is read by its name: a list waits for the API server's cache to catch up with the store, up to 100 ms where one
/// of the same kind was asked for shortly before (KEP-2340), and a replica is down meanwhile.
pub(crate) async fn pods(ctx: &Context, uid: &str, slice: Slice) -> Result<Vec<Value>, Stop> {
    let keys = ordinals(slice).map(|ordinal| Key::of(ctx, POD, pod_name(&ctx.command.workload, ordinal)));
    let reads = keys.map(|key| async move { api::read(ctx, &key).await });
    let found: Vec<_> = stream::iter(reads).buffered(limits::READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().filter(|pod| controls(uid, pod)).collect())
}

/// Every pod that the set of that uid controls, in its slice or not.
async fn every_pod(ctx: &Context, uid: &str) -> Result<Vec<Value>, Stop> {
    let mut pods = api::list(ctx, POD, "").await?;
    pods.retain(|pod| controls(uid, pod));
    Ok(pods)
}

fn controls(uid: &str, pod: &Value) -> bool {
    let mut owners = object::items(pod, "/metadata/ownerReferences").iter();
    owners.any(|owner| object::text(owner, "/uid") == uid)
}

/// The claims that a pod names.
pub(crate) fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = object::items(pod, "/spec/volumes").iter();
    volumes
        .map(|volume| object::text(volume, "/persistentVolumeClaim/claimName"))
        .filter(|name| !name.is_empty())
}

/// The condition Ready of a pod that is not being deleted, if it is True.
pub(crate) fn ready(pod: &Value) -> Option<&Value> {
    if object::is_ending(pod) { None } else { object::condition_is_true(pod, "Ready") }
}

/// SHA-256 of a pod template as the API server defaulted it, in hexadecimal.
pub(crate) fn template_digest(set: &Value) -> String {
    let template = set.pointer("/spec/template").unwrap_or(&Value::Null);
    let digest = Sha256::digest(object::canonical(template).to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What holds a pod up, in one line.
pub(crate) fn condition_of(pod: &Value) -> String {
    let mut said = vec![format!("phase {}", object::text(pod, "/status/phase"))];
    if object::is_ending(pod) {
        said.push("being deleted".to_owned());
    }
    for condition in object::items(pod, "/status/conditions") {
        if object::text(condition, "/status") != "True" {
            let (kind, reason) = (object::text(condition, "/type"), object::text(condition, "/reason"));
            said.push(format!("{kind} is not True ({reason} {})", object::text(condition, "/message")));
        }
    }
    for container in object::items(pod, "/status/containerStatuses") {
        let reason = object::text(container, "/state/waiting/reason");
        if !reason.is_empty() {
            let message = object::text(container, "/state/waiting/message");
            said.push(format!("container {} waits: {reason} {message}", object::text(container, "/name")));
        }
    }
    said.join("; ")
}
