//! The fencing numbers that a cluster keeps (handoff.md section 6): one ConfigMap for each workload.
//!
//! `data` maps each ordinal to the highest epoch that this cluster has accepted for it, and `generation` to the
//! ledger's restore generation (H18). The object is changed by compare-and-swap only: a PUT with the resourceVersion
//! that was read. A command of a lower epoch or generation is of the past and is refused for good (I5). Every
//! executor that writes keeps its epoch here first; the writes themselves carry the epoch, so a process that was
//! paused after this check still fails at the API server.

use serde_json::{Map, Value, json};

use super::{
    api::{self, CONFIG_MAP, Halt, Halted, Key, Written},
    object::{FERRY, MANAGED_BY},
};
use crate::{context::Context, outcome::Stop};

/// Prefix of the ConfigMap's name; the workload's name follows.
pub const PREFIX: &str = "ferry-epochs-";
/// Key of the restore generation in its data.
pub const GENERATION: &str = "generation";

/// Keeps each (ordinal, epoch) in the cluster, unless a higher one is kept.
///
/// # Errors
/// `STALE_EPOCH` if a higher epoch or generation is kept.
pub(crate) async fn keep(ctx: &Context, wanted: &[(u32, u64)]) -> Halted<()> {
    let key = Key::of(ctx, CONFIG_MAP, format!("{PREFIX}{}", ctx.command.workload));
    let Some(kept) = api::read(ctx, &key).await? else {
        let data = raised(&key, &Map::new(), wanted, ctx.command.generation)?.unwrap_or_default();
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": {MANAGED_BY: FERRY}},
            "data": data,
        });
        return done(&key, api::create(ctx, &key, &body).await?);
    };
    let data = kept.pointer("/data").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(data) = raised(&key, &data, wanted, ctx.command.generation)? else { return Ok(()) };
    let mut body = kept;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("data".into(), Value::Object(data));
    }
    done(&key, api::replace(ctx, &key, &body).await?)
}

/// The command is of no earlier epoch than any that is kept for these ordinals; keeps nothing.
///
/// # Errors
/// `STALE_EPOCH` if it is.
pub(crate) async fn latest(ctx: &Context, ordinals: impl Iterator<Item = u32>) -> Result<(), Stop> {
    let key = Key::of(ctx, CONFIG_MAP, format!("{PREFIX}{}", ctx.command.workload));
    let Some(kept) = api::read(ctx, &key).await? else { return Ok(()) };
    let data = kept.pointer("/data").and_then(Value::as_object).cloned().unwrap_or_default();
    let wanted: Vec<_> = ordinals.map(|ordinal| (ordinal, ctx.command.epoch)).collect();
    raised(&key, &data, &wanted, ctx.command.generation).map(drop)
}

fn done(key: &Key, written: Written) -> Halted<()> {
    match written {
        Written::Done(_) => Ok(()),
        Written::Exists | Written::Changed => {
            Err(Halt::Again(format!("{key} was changed by somebody else meanwhile")))
        }
        Written::Missing => Err(Stop::conflict(format!(
            "{key} cannot be written: its namespace does not exist. Prepare this cluster first"
        ))
        .into()),
        Written::Unfit(message) => {
            Err(Stop::conflict(format!("The API server calls {key} invalid: {message}")).into())
        }
    }
}

/// The data with the wanted epochs in it; nothing if they are in it already.
fn raised(
    key: &Key,
    kept: &Map<String, Value>,
    wanted: &[(u32, u64)],
    generation: u64,
) -> Result<Option<Map<String, Value>>, Stop> {
    let mut data = kept.clone();
    let ordinals = wanted.iter().map(|(ordinal, epoch)| (ordinal.to_string(), *epoch));
    for (name, number) in ordinals.chain([(GENERATION.to_owned(), generation)]) {
        let found = match kept.get(&name) {
            None => None,
            Some(text) => Some(text.as_str().and_then(|text| text.parse::<u64>().ok()).ok_or_else(|| {
                Stop::conflict(format!(
                    "{key} holds {text} under {name}, which is no number. Restore what Ferry wrote"
                ))
            })?),
        };
        match found {
            Some(found) if found > number && name == GENERATION => {
                return Err(Stop::stale_epoch(format!(
                    "{key} keeps the ledger's generation {found}; the command is of generation {number}: it comes from \
                     a controller that was restored from an older backup"
                )));
            }
            Some(found) if found > number => {
                return Err(Stop::stale_epoch(format!(
                    "{key} keeps epoch {found} for ordinal {name}; the command is of epoch {number}, of the past"
                )));
            }
            Some(found) if found == number => {}
            _ => {
                data.insert(name, number.to_string().into());
            }
        }
    }
    Ok((data != *kept).then_some(data))
}

#[cfg(test)]
#[path = "epochs_tests.rs"]
mod tests;
