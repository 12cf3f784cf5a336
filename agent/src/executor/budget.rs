//! The workload's PodDisruptionBudget (handoff.md section 7): an integer while a migration runs, given back after.
//!
//! Percentages of a slice do not add up over clusters (H16), so the ledger resolves the budget once and this cluster
//! is told its share as an integer `maxUnavailable`. The original stays in an annotation, written in the same change
//! that replaces it; everything else of the budget, `unhealthyPodEvictionPolicy` included, is left as it is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::{Map, Value, json};

use super::{
    api::{self, BUDGET, Halted, Key},
    object::{self, EPOCH},
    wait::Wait,
};
use crate::{context::Context, outcome::Stop};

/// Annotation with the fields that `maxUnavailable` stands in for.
pub(crate) const ORIGINAL: &str = "ferry.dev/original-budget";
/// The fields of a PodDisruptionBudget that say how much.
const AMOUNTS: [&str; 2] = ["minAvailable", "maxUnavailable"];

/// The PodDisruptionBudget that selects the pods of `set`.
///
/// # Errors
/// A conflict if more than one does: eviction breaks then (K11).
pub(crate) async fn find(ctx: &Context, set: &Value) -> Result<Option<Value>, Stop> {
    let labels = set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default();
    let labels = serde_json::from_value(labels).unwrap_or_default();
    let mut found: Option<Value> = None;
    for budget in api::list(ctx, BUDGET, "").await? {
        let Some(selector) = budget.pointer("/spec/selector") else { continue };
        let selector: LabelSelector = serde_json::from_value(selector.clone()).unwrap_or_default();
        if !Selector::try_from(selector).is_ok_and(|selector| selector.matches(&labels)) {
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

/// Writes `max_unavailable`, keeping the original; the budget as it is now.
pub(crate) async fn limit(ctx: &Context, budget: &Value, max_unavailable: u32) -> Halted<Value> {
    let wanted = json!({"maxUnavailable": max_unavailable});
    if object::annotation(budget, ORIGINAL).is_some() && amounts(budget) == wanted {
        return Ok(budget.clone());
    }
    let epoch = object::epoch(budget).max(ctx.command.epoch).to_string();
    let (original, mut changes) = (original(budget).to_string(), write_amount(budget, &wanted));
    changes.extend(object::annotate(budget, &[(ORIGINAL, &original), (EPOCH, &epoch)]));
    api::amend(ctx, &key(ctx, budget), budget, changes).await
}

/// Gives the original back; nothing to do if it was never replaced.
pub(crate) async fn restore(ctx: &Context, budget: &Value) -> Halted<()> {
    if object::annotation(budget, ORIGINAL).is_none() {
        return Ok(());
    }
    let epoch = object::epoch(budget).max(ctx.command.epoch).to_string();
    let mut changes = write_amount(budget, &original(budget));
    changes.extend(object::annotate(budget, &[(EPOCH, &epoch)]));
    changes.push(json!({"op": "remove", "path": object::annotation_path(ORIGINAL)}));
    api::amend(ctx, &key(ctx, budget), budget, changes).await?;
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
