//! The workload's PodDisruptionBudget (handoff.md section 7): an integer while a migration runs, given back after.
//!
//! Percentages of a slice do not add up over clusters (H16), so the ledger resolves the budget once and this cluster
//! is told its share as an integer `maxUnavailable`. The original stays in an annotation, written in the same change
//! that replaces it; everything else of the budget, `unhealthyPodEvictionPolicy` included, is left as it is.
//!
//! A share has no epoch of its own. So the command that sets it is kept with the epochs and named on the budget; the
//! number is looked at between the reading of the budget and the patch, which tests what was read: a command that was
//! overtaken gives nothing back late. A share is looked at once more after it was written: one that came late is put back.

use ferry_proto::agent::v1::RefusalCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::{Map, Value, json};

use super::{
    api::{self, BUDGET, Halted, Key},
    epochs::{self, Kept},
    object::{self, EPOCH},
    wait::Wait,
};
use crate::{context::Context, outcome::Stop};

/// Annotation with the fields that `maxUnavailable` stands in for.
pub(crate) const ORIGINAL: &str = "ferry.dev/original-budget";
/// Annotation with the id of the command that set the share.
pub(crate) const COMMAND: &str = "ferry.dev/command";
/// The fields of a PodDisruptionBudget that say how much.
const AMOUNTS: [&str; 2] = ["minAvailable", "maxUnavailable"];

/// The PodDisruptionBudget that selects the pods of `set`.
///
/// # Errors
/// A conflict if more than one does: eviction breaks then (K11).
pub(crate) async fn find(ctx: &Context, set: &Value) -> Result<Option<Value>, Stop> {
    let labels = set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    let mut found: Option<Value> = None;
    for budget in api::list(ctx, BUDGET, "").await? {
        if !selects(&budget, &labels) {
            continue;
        }
        if let Some(other) = found {
            return Err(Stop::conflict(format!(
                "The PodDisruptionBudgets {} and {} both select the pods of {}, expected one at most. Remove one",
                object::name(&other),
                object::name(&budget),
                ctx.command.workload
            )));
        }
        found = Some(budget);
    }
    Ok(found)
}

/// [`find`] for who gives back what a hold found and noted: by its name, as pods are read.
///
/// # Errors
/// As [`find`].
pub(crate) async fn noted(ctx: &Context, set: &Value, kept: &Kept) -> Result<Option<Value>, Stop> {
    let name = match kept.budget() {
        None => return find(ctx, set).await,
        Some("") => return Ok(None),
        Some(name) => name,
    };
    let labels = set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    let budget = api::read(ctx, &Key::of(ctx, BUDGET, name)).await?;
    match budget.filter(|budget| selects(budget, &labels)) {
        None => find(ctx, set).await,
        budget => Ok(budget),
    }
}

/// Whether the budget selects pods with those labels.
pub(crate) fn selects(budget: &Value, labels: &Value) -> bool {
    let Some(selector) = budget.pointer("/spec/selector") else { return false };
    let labels = serde_json::from_value(labels.clone()).unwrap_or_default();
    let selector: LabelSelector = serde_json::from_value(selector.clone()).unwrap_or_default();
    Selector::try_from(selector).is_ok_and(|selector| selector.matches(&labels))
}

/// Where a budget is.
pub(crate) fn key(ctx: &Context, budget: &Value) -> Key {
    Key::of(ctx, BUDGET, object::name(budget))
}

/// The amount that a budget had before Ferry: `{"minAvailable": ..}` or `{"maxUnavailable": ..}`.
pub(crate) fn original(budget: &Value) -> Value {
    let kept = object::annotation(budget, ORIGINAL).and_then(|text| serde_json::from_str(text).ok());
    kept.unwrap_or_else(|| {
        let all = budget.pointer("/spec").and_then(Value::as_object).into_iter().flatten();
        let amounts = all.filter(|(field, _)| AMOUNTS.contains(&field.as_str()));
        Value::Object(amounts.map(|(field, value)| (field.clone(), value.clone())).collect::<Map<_, _>>())
    })
}

/// Writes `max_unavailable` to the budget as it was read, keeping the original; the budget as it is now.
///
/// # Errors
/// `STALE_EPOCH` if a later command of the migration has come, or one of the ordinals of `fence` is of a later epoch.
pub(crate) async fn limit(
    ctx: &Context,
    budget: &Value,
    max_unavailable: u32,
    fence: &[(u32, u64)],
) -> Halted<Value> {
    epochs::latest(ctx, fence).await?;
    let wanted = json!({"maxUnavailable": max_unavailable});
    let is_set = object::annotation(budget, ORIGINAL).is_some() && amounts(budget) == wanted;
    if is_set && object::annotation(budget, COMMAND) == Some(ctx.command.id.as_str()) {
        return Ok(budget.clone());
    }
    let epoch = object::epoch(budget).max(ctx.command.epoch).to_string();
    let (original, mut changes) = (original(budget).to_string(), write_amount(budget, &wanted));
    changes.extend(object::annotate(
        budget,
        &[(ORIGINAL, original.as_str()), (EPOCH, &epoch), (COMMAND, &ctx.command.id)],
    ));
    let now = api::amend(ctx, &key(ctx, budget), budget, changes).await?;
    match epochs::latest(ctx, fence).await {
        Ok(()) => Ok(now),
        Err(past @ Stop::Refused { code: RefusalCode::StaleEpoch, .. }) => {
            put_back(ctx, &now, budget).await?;
            Err(past.into())
        }
        Err(stop) => Err(stop.into()),
    }
}

/// Makes the budget what it was before a share that came late: who took the command back in between found nothing to
/// write to, and so could not make the write fail.
async fn put_back(ctx: &Context, now: &Value, before: &Value) -> Halted<()> {
    let mut changes = write_amount(now, &amounts(before));
    for mark in [ORIGINAL, EPOCH, COMMAND] {
        changes.extend(match object::annotation(before, mark) {
            Some(value) => object::annotate(now, &[(mark, value)]),
            None => object::unannotate(now, &[mark]),
        });
    }
    api::amend(ctx, &key(ctx, now), now, changes).await.map(drop)
}

/// Gives the original back; nothing to do if it was never replaced.
///
/// # Errors
/// `STALE_EPOCH` if a later command of the migration has come, or one of the ordinals of `fence` is of a later epoch.
pub(crate) async fn restore(ctx: &Context, budget: &Value, fence: &[(u32, u64)]) -> Halted<()> {
    epochs::latest(ctx, fence).await?;
    if object::annotation(budget, ORIGINAL).is_none() {
        return Ok(());
    }
    let epoch = object::epoch(budget).max(ctx.command.epoch).to_string();
    let mut changes = write_amount(budget, &original(budget));
    changes.extend(object::annotate(budget, &[(EPOCH, &epoch)]));
    changes.extend(object::unannotate(budget, &[ORIGINAL, COMMAND]));
    api::amend(ctx, &key(ctx, budget), budget, changes).await?;
    Ok(())
}

/// Gives the original back and takes every mark of Ferry off; nothing to do if there is none.
///
/// # Errors
/// `STALE_EPOCH` if a later command of the migration has come, or one of the ordinals of `fence` is of a later epoch.
pub(crate) async fn withdraw(ctx: &Context, budget: &Value, fence: &[(u32, u64)]) -> Halted<()> {
    epochs::latest(ctx, fence).await?;
    let is_limited = object::annotation(budget, ORIGINAL).is_some();
    let mut changes = if is_limited { write_amount(budget, &original(budget)) } else { Vec::new() };
    changes.extend(object::unannotate(budget, &[ORIGINAL, COMMAND, EPOCH]));
    if !changes.is_empty() {
        api::amend(ctx, &key(ctx, budget), budget, changes).await?;
    }
    Ok(())
}

/// Waits until the disruption controller has seen the budget and no eviction it allowed is under way.
pub(crate) async fn settled(ctx: &Context, step: u32, budget: &Value) -> Result<(), Stop> {
    let key = key(ctx, budget);
    let mut wait = Wait::new(ctx, step);
    wait.watch(&key);
    loop {
        let Some(now) = api::read(ctx, &key).await? else {
            return Err(Stop::not_ready(format!("{key} was deleted meanwhile; the command looks again")));
        };
        let evicted =
            now.pointer("/status/disruptedPods").and_then(Value::as_object).filter(|pods| !pods.is_empty());
        let message = match evicted {
            _ if !object::is_observed(&now) => format!("the disruption controller to take up {key}"),
            Some(pods) => {
                let pods: Vec<_> = pods.keys().cloned().collect();
                format!("an eviction that {key} allowed to end: {}", pods.join(", "))
            }
            None => return Ok(()),
        };
        wait.pause(message).await?;
    }
}

fn amounts(budget: &Value) -> Value {
    let all = budget.pointer("/spec").and_then(Value::as_object).into_iter().flatten();
    let amounts = all.filter(|(field, _)| AMOUNTS.contains(&field.as_str()));
    Value::Object(amounts.map(|(field, value)| (field.clone(), value.clone())).collect())
}

fn write_amount(budget: &Value, wanted: &Value) -> Vec<Value> {
    AMOUNTS
        .iter()
        .filter_map(|field| {
            let path = format!("/spec/{field}");
            match (wanted.get(field), budget.pointer(&path)) {
                (Some(value), _) => Some(json!({"op": "add", "path": path, "value": value})),
                (None, Some(_)) => Some(json!({"op": "remove", "path": path})),
                (None, None) => None,
            }
        })
        .collect()
}
