//! The target as it was: what bears the mark of this migration goes.
//!
//! The order keeps a stray pod from an empty disk: first the empty StatefulSet, exactly as it was read, and its 404;
//! then the tombstones, but those of ordinals that were here; then what the pod template needed, the Service last. A set that an earlier migration left, or
//! somebody else made, stays with its tombstones. Of the rest stays, and is said, what somebody else has written to
//! since, or what a pod or another StatefulSet of the namespace uses now.

use ferry_proto::agent::v1::Unprepare;
use serde_json::Value;

use super::STEP;
use crate::{
    context::Context,
    executor::{
        api::{
            self, BUDGET, CLAIM, CONFIG_MAP, FIELD_MANAGER, Halt, Halted, Key, Kind, NAMESPACE, POD, SERVICE,
            SERVICE_ACCOUNT, STATEFUL_SET, Written,
        },
        budget, epochs,
        object::{self, FERRY, MADE_BY, MANAGED_BY},
        stateful_set, tombstone,
        wait::Wait,
    },
    outcome::Stop,
};

/// What the pod template needed, in the order in which it goes.
const DEPENDENCIES: [Kind; 4] = [CONFIG_MAP, SERVICE_ACCOUNT, BUDGET, SERVICE];

/// Removes; what is left, one line each.
pub(super) async fn run(ctx: &Context, command: &Unprepare) -> Halted<Vec<String>> {
    vacant(ctx, command).await?;
    let mut left = Vec::new();
    let key = stateful_set::key(ctx);
    match api::read(ctx, &key).await? {
        Some(set) if is_ours(ctx, &set) => {
            gone(ctx, command, &set).await?;
            left.extend(tombstones(ctx).await?);
        }
        Some(set) => {
            left.push(format!("{key}: it was here before this migration, and stays with its tombstones"));
            // While replicas are here the workload is split, and each side has a share of its budget.
            let is_empty = object::slice(&set).replicas == 0;
            if is_empty
                && let Some(found) = budget::find(ctx, &set).await?.filter(|found| !is_ours(ctx, found))
            {
                budget::withdraw(ctx, &found, &epochs::pairs(&command.epochs)).await?;
            }
        }
        None => left.extend(tombstones(ctx).await?),
    }
    for kind in DEPENDENCIES {
        for object in api::list(ctx, kind, "").await? {
            if is_ours(ctx, &object) {
                left.extend(dependency(ctx, kind, &object).await?);
            }
        }
    }
    let namespace = Key::of(ctx, NAMESPACE, ctx.command.namespace.clone());
    if let Some(found) = api::read(ctx, &namespace).await?
        && object::label(&found, MANAGED_BY) == Some(FERRY)
    {
        left.push(format!("{namespace}: Ferry made it; delete it if nothing else is in it"));
    }
    Ok(left)
}

/// Whether this migration made the object.
fn is_ours(ctx: &Context, object: &Value) -> bool {
    !ctx.command.migration.is_empty()
        && object::annotation(object, MADE_BY) == Some(ctx.command.migration.as_str())
}

/// No ordinal of the migration is here: no pod, no claim but tombstones.
async fn vacant(ctx: &Context, command: &Unprepare) -> Result<(), Stop> {
    let names = command.epochs.iter().map(|kept| stateful_set::pod_name(&ctx.command.workload, kept.ordinal));
    for name in names {
        let pod = Key::of(ctx, POD, name);
        if api::read(ctx, &pod).await?.is_some() {
            return Err(Stop::conflict(format!(
                "{pod} is here, expected no ordinal of the migration. Take it back first"
            )));
        }
    }
    let Some(originals) = &command.originals else { return Ok(()) };
    let source = object::parse(Some(originals), "the source's StatefulSet")?;
    let ordinals = command.epochs.iter().map(|kept| kept.ordinal);
    for name in ordinals.flat_map(|ordinal| stateful_set::claim_names(&source, ordinal)) {
        if let tombstone::Standing::Real(claim) = tombstone::standing(ctx, &name).await? {
            return Err(Stop::conflict(format!(
                "{} (uid {}) is a real claim, expected a tombstone or nothing: the ordinal may be here. Take it back \
                 first, or look at that claim",
                Key::of(ctx, CLAIM, name),
                object::uid(&claim)
            )));
        }
    }
    Ok(())
}

/// The StatefulSet is gone when this returns: it was empty, and is deleted as it was read.
async fn gone(ctx: &Context, command: &Unprepare, set: &Value) -> Halted<()> {
    let (key, uid) = (stateful_set::key(ctx), object::uid(set));
    if !command.stateful_set_uid.is_empty() && uid != command.stateful_set_uid {
        return Err(Stop::conflict(format!(
            "{key} has uid {uid}, expected {}: it was deleted and made again. Look at who made it, then delete it",
            command.stateful_set_uid
        ))
        .into());
    }
    stateful_set::delete_empty(ctx, STEP, set).await
}

/// The tombstones of this migration are gone when this returns, but for those that stay, one line each; the set is
/// gone, so nothing makes claims here.
async fn tombstones(ctx: &Context) -> Halted<Vec<String>> {
    let mut left = Vec::new();
    for claim in api::list(ctx, CLAIM, "").await? {
        if !tombstone::is(&claim) || !is_ours(ctx, &claim) {
            continue;
        }
        if tombstone::stays(&claim) {
            left.push(format!(
                "{}: the tombstone of an ordinal that was here or on its way; delete it once no agent of before the \
                 rollback can be running any more",
                Key::of(ctx, CLAIM, object::name(&claim))
            ));
        } else {
            tombstone::remove(ctx, STEP, object::name(&claim), &claim, u64::MAX).await?;
        }
    }
    Ok(left)
}

/// Deletes what the pod template needed, or says why it stays.
async fn dependency(ctx: &Context, kind: Kind, found: &Value) -> Halted<Option<String>> {
    let key = Key::of(ctx, kind, object::name(found));
    if let Some(writer) = other_writer(found) {
        return Ok(Some(format!("{key}: {writer} has written to it since")));
    }
    if let Some(user) = user(ctx, kind, found).await? {
        return Ok(Some(format!("{key}: {user} uses it")));
    }
    if !object::is_ending(found) {
        match api::delete(ctx, &key, object::uid(found), Some(object::version(found))).await? {
            Written::Done(_) | Written::Missing => {}
            _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }
    let mut wait = Wait::new(ctx, STEP);
    while api::read(ctx, &key).await?.is_some_and(|now| object::uid(&now) == object::uid(found)) {
        wait.pause(format!("the deletion of {key}{}", tombstone::held_by(found))).await?;
    }
    Ok(None)
}

/// Who else than Ferry has written to the object, its status aside.
fn other_writer(object: &Value) -> Option<&str> {
    let mut entries = object::items(object, "/metadata/managedFields").iter();
    let other = entries.find(|entry| {
        object::text(entry, "/manager") != FIELD_MANAGER && object::text(entry, "/subresource").is_empty()
    })?;
    Some(object::text(other, "/manager"))
}

/// A pod or another StatefulSet of the namespace that uses the object.
async fn user(ctx: &Context, kind: Kind, found: &Value) -> Halted<Option<String>> {
    for pod in api::list(ctx, POD, "").await? {
        let labels = pod.pointer("/metadata/labels").cloned().unwrap_or_default();
        if uses(kind, found, pod.pointer("/spec").unwrap_or(&Value::Null), &labels) {
            return Ok(Some(format!("pod {}", object::name(&pod))));
        }
    }
    for set in api::list(ctx, STATEFUL_SET, "").await? {
        let at = |path: &str| set.pointer(path).cloned().unwrap_or_default();
        let serves = kind == SERVICE && object::text(&set, "/spec/serviceName") == object::name(found);
        if serves || uses(kind, found, &at("/spec/template/spec"), &at("/spec/template/metadata/labels")) {
            return Ok(Some(format!("StatefulSet {}", object::name(&set))));
        }
    }
    Ok(None)
}

/// Whether pods of that spec and those labels use the object.
fn uses(kind: Kind, found: &Value, spec: &Value, labels: &Value) -> bool {
    let name = object::name(found);
    if kind == SERVICE_ACCOUNT {
        object::text(spec, "/serviceAccountName") == name
    } else if kind == CONFIG_MAP {
        names_config_map(spec, name)
    } else if kind == BUDGET {
        budget::selects(found, labels)
    } else {
        let selector = found.pointer("/spec/selector").and_then(Value::as_object);
        selector.is_some_and(|selector| {
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
    }
}

/// Whether a pod spec names that ConfigMap: as a volume, in a projection, or in an environment.
fn names_config_map(part: &Value, name: &str) -> bool {
    match part {
        Value::Object(fields) => fields.iter().any(|(field, value)| {
            let is_reference = matches!(field.as_str(), "configMap" | "configMapRef" | "configMapKeyRef");
            (is_reference && object::text(value, "/name") == name) || names_config_map(value, name)
        }),
        Value::Array(items) => items.iter().any(|item| names_config_map(item, name)),
        _ => false,
    }
}
