//! The fencing numbers that a cluster keeps (handoff.md section 6): one ConfigMap for each workload.
//!
//! `data` maps each ordinal to the highest epoch that this cluster has accepted for it, and `generation` to the
//! ledger's restore generation (H18); `command` names the latest command that set what has no epoch of its own (the
//! PodDisruptionBudget): commands of one migration are numbered; `past` names the migrations that others have followed
//! here, whose epochs may be as high as theirs; `budget` notes which PodDisruptionBudget the last hold of the migration
//! found. The object is changed by compare-and-swap only: a PUT with the resourceVersion that was read.
//! A command of a lower epoch or generation is of the past and is refused for good (I5). Every executor that writes
//! keeps its epoch here first; the writes themselves carry the epoch, so a process that was paused after this check
//! still fails at the API server.

use ferry_proto::agent::v1::OrdinalEpoch;
use serde_json::{Map, Value, json};

use super::{
    api::{self, CONFIG_MAP, Halt, Halted, Key, Written},
    object::{self, FERRY, MANAGED_BY},
};
use crate::{
    context::{Context, Facts},
    limits,
    outcome::Stop,
};

/// Prefix of the ConfigMap's name; the workload's name follows.
pub const PREFIX: &str = "ferry-epochs-";
/// Key of the restore generation in its data.
pub const GENERATION: &str = "generation";
/// Key of the latest numbered command in its data: `<generation> <migration> <number>`.
pub const COMMAND: &str = "command";
/// Key of the ids of earlier migrations in its data, the last ones, with a space between.
pub const PAST: &str = "past";
/// Key of the name of the PodDisruptionBudget that the last hold found; empty if there was none.
pub const BUDGET: &str = "budget";

/// What the cluster keeps after a command was let in.
#[derive(Debug)]
pub(crate) struct Kept(Map<String, Value>);

impl Kept {
    /// Name of the PodDisruptionBudget that the last hold found: empty if there was none, nothing if none was noted.
    pub(crate) fn budget(&self) -> Option<&str> {
        self.0.get(BUDGET).and_then(Value::as_str)
    }
}

/// Keeps each (ordinal, epoch) in the cluster, unless a higher one is kept.
///
/// # Errors
/// `STALE_EPOCH` if a higher epoch or generation is kept.
pub(crate) async fn keep(ctx: &Context, wanted: &[(u32, u64)]) -> Halted<()> {
    write(ctx, Change { raised: wanted, ..Change::default() }).await.map(drop)
}

/// [`keep_command`] that forgets which PodDisruptionBudget an earlier migration found.
///
/// # Errors
/// As [`keep_command`].
pub(crate) async fn begin(ctx: &Context, wanted: &[(u32, u64)]) -> Halted<()> {
    let change = Change { raised: wanted, is_numbered: true, budget: Budget::Forgotten, ..Change::default() };
    write(ctx, change).await.map(drop)
}

/// [`keep`], and the command's number: one of the same migration that was decided earlier fails from now on, even at
/// the same epoch.
///
/// # Errors
/// `STALE_EPOCH` if a later command, a higher epoch or a higher generation is kept.
pub(crate) async fn keep_command(ctx: &Context, wanted: &[(u32, u64)]) -> Halted<Kept> {
    write(ctx, Change { raised: wanted, is_numbered: true, ..Change::default() }).await
}

/// Keeps the command's number, unless one of these ordinals has gone on from its epoch. Looked at and written in one
/// compare-and-swap: a number of the past would take the place of a later migration's, which fences by it.
///
/// # Errors
/// `STALE_EPOCH` if a later command, a higher generation, or a higher epoch of one of them is kept.
pub(crate) async fn keep_command_of(ctx: &Context, known: &[(u32, u64)]) -> Halted<Kept> {
    write(ctx, Change { known, is_numbered: true, ..Change::default() }).await
}

/// Notes which PodDisruptionBudget the command found, unless that is noted: who gives it back need not look for it.
///
/// # Errors
/// As [`keep_command_of`].
pub(crate) async fn note_budget(ctx: &Context, kept: &Kept, known: &[(u32, u64)], name: &str) -> Halted<()> {
    if kept.budget() == Some(name) {
        return Ok(());
    }
    write(ctx, Change { known, is_numbered: true, budget: Budget::Found(name), ..Change::default() })
        .await
        .map(drop)
}

/// Ordinals and epochs as a command lists them.
pub(crate) fn pairs(listed: &[OrdinalEpoch]) -> Vec<(u32, u64)> {
    listed.iter().map(|of| (of.ordinal, of.epoch)).collect()
}

/// What a command changes of what is kept.
#[derive(Clone, Copy, Default)]
struct Change<'a> {
    /// Ordinals whose epochs rise to these.
    raised: &'a [(u32, u64)],
    /// Ordinals that must not be of a higher epoch than these.
    known: &'a [(u32, u64)],
    /// Whether the command's number is kept.
    is_numbered: bool,
    /// What is noted of the PodDisruptionBudget.
    budget: Budget<'a>,
}

#[derive(Clone, Copy, Default)]
enum Budget<'a> {
    #[default]
    AsItIs,
    Forgotten,
    Found(&'a str),
}

impl Change<'_> {
    fn apply(&self, ctx: &Context, key: &Key, kept: &Map<String, Value>) -> Result<Map<String, Value>, Stop> {
        let generation = ctx.command.generation;
        overtaken(key, kept, &ctx.command)?;
        raised(key, kept, self.known, generation)?;
        let mut data = raised(key, kept, self.raised, generation)?.unwrap_or_else(|| kept.clone());
        if self.is_numbered {
            number(ctx, &mut data);
        }
        match self.budget {
            Budget::AsItIs => {}
            Budget::Forgotten => drop(data.remove(BUDGET)),
            Budget::Found(name) => drop(data.insert(BUDGET.into(), name.into())),
        }
        Ok(data)
    }
}

async fn write(ctx: &Context, change: Change<'_>) -> Halted<Kept> {
    let key = Key::of(ctx, CONFIG_MAP, format!("{PREFIX}{}", ctx.command.workload));
    let Some(mut body) = api::read(ctx, &key).await? else {
        let data = change.apply(ctx, &key, &Map::new())?;
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": key.name, "namespace": key.namespace, "labels": {MANAGED_BY: FERRY}},
            "data": data,
        });
        done(&key, api::create(ctx, &key, &body).await?)?;
        return Ok(Kept(data));
    };
    let kept = body.pointer("/data").and_then(Value::as_object).cloned().unwrap_or_default();
    let data = change.apply(ctx, &key, &kept)?;
    if data == kept {
        return Ok(Kept(data));
    }
    if let Some(fields) = body.as_object_mut() {
        fields.insert("data".into(), Value::Object(data.clone()));
    }
    done(&key, api::replace(ctx, &key, &body).await?)?;
    Ok(Kept(data))
}

/// The object is of no later epoch than the command.
///
/// # Errors
/// `STALE_EPOCH` if it is.
pub(crate) fn not_later(ctx: &Context, key: &Key, object: &Value) -> Result<(), Stop> {
    let (found, epoch) = (object::epoch(object), ctx.command.epoch);
    if found <= epoch {
        return Ok(());
    }
    Err(Stop::stale_epoch(format!("{key} is of epoch {found}; the command is of epoch {epoch}, of the past")))
}

/// No later command is kept, and none of these ordinals at a higher epoch; keeps nothing.
///
/// # Errors
/// `STALE_EPOCH` if one is.
pub(crate) async fn latest(ctx: &Context, known: &[(u32, u64)]) -> Result<(), Stop> {
    let key = Key::of(ctx, CONFIG_MAP, format!("{PREFIX}{}", ctx.command.workload));
    let Some(kept) = api::read(ctx, &key).await? else { return Ok(()) };
    let data = kept.pointer("/data").and_then(Value::as_object).cloned().unwrap_or_default();
    overtaken(&key, &data, &ctx.command)?;
    raised(&key, &data, known, ctx.command.generation).map(drop)
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

/// Puts the command's number into the data, if it has one.
fn number(ctx: &Context, data: &mut Map<String, Value>) {
    let Facts { id, generation, migration, .. } = &ctx.command;
    if let Some(number) = number_of(id).filter(|_| !migration.is_empty()) {
        follow(data, migration);
        data.insert(COMMAND.into(), format!("{generation} {migration} {number}").into());
    }
}

/// Notes the migration that this one follows, if it is another: a process of it that was paused looks again when its
/// write has failed, and would find no later number of its own.
fn follow(data: &mut Map<String, Value>, migration: &str) {
    let words = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default().split(' ');
    let Some(before) = words(COMMAND).nth(1).filter(|before| *before != migration) else { return };
    let mut past: Vec<_> = words(PAST).filter(|known| !known.is_empty() && *known != before).collect();
    past.push(before);
    let first = past.len().saturating_sub(limits::MIGRATIONS_PAST);
    let past = past[first..].join(" ");
    data.insert(PAST.into(), past.into());
}

/// The number at the end of a command's id.
fn number_of(id: &str) -> Option<u64> {
    id.rsplit_once('/')?.1.parse().ok()
}

/// Whether another migration has followed, or a later command of the same migration and generation is kept; others do
/// not compare.
fn overtaken(key: &Key, kept: &Map<String, Value>, command: &Facts) -> Result<(), Stop> {
    let mut past = kept.get(PAST).and_then(Value::as_str).unwrap_or_default().split(' ');
    if !command.migration.is_empty() && past.any(|migration| migration == command.migration) {
        return Err(Stop::stale_epoch(format!(
            "{key} keeps that another migration has followed {}; this is a command of it, of the past",
            command.migration
        )));
    }
    let mut kept = kept.get(COMMAND).and_then(Value::as_str).unwrap_or_default().split(' ');
    let (generation, migration, latest) = (kept.next(), kept.next(), kept.next());
    let is_same = generation.and_then(|text| text.parse().ok()) == Some(command.generation)
        && migration == Some(command.migration.as_str());
    let latest = latest.and_then(|text| text.parse::<u64>().ok()).filter(|_| is_same);
    match (latest, number_of(&command.id)) {
        (Some(latest), Some(number)) if latest > number => Err(Stop::stale_epoch(format!(
            "{key} keeps command {latest} of the migration {}; this is command {number}, of the past",
            command.migration
        ))),
        _ => Ok(()),
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
