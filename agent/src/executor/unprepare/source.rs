//! The source as it was: what preparation recorded comes back, and its marks go.
//!
//! The order protects the disks: first the claims lose their epoch (they are other versions then, so that no deletion
//! of before passes), then the PersistentVolumes get their reclaim policies, then the PodDisruptionBudget, and last, in
//! one patch, the set its retention policy, its `ordinals` and its annotations. The record goes in that last patch, so
//! an interrupted command finds it again; a repetition uses the copy that travelled.
//!
//! The slice is never changed: a record of more than what runs here is an earlier migration's, and is left alone.

use std::collections::BTreeSet;

use ferry_proto::agent::v1::Unprepare;
use serde_json::{Value, json};

use super::STEP;
use crate::{
    context::Context,
    executor::{
        api::{self, CLAIM, Halted, Key, VOLUME},
        budget, epochs,
        object::{self, EPOCH},
        originals::{self, Originals},
        stateful_set::{self, HANDOFF, ORIGINALS},
        tombstone::{self, Standing},
        volumes::RECLAIM,
        wait::Wait,
    },
    outcome::Stop,
};

const RETENTION: &str = "/spec/persistentVolumeClaimRetentionPolicy";
const ORDINALS: &str = "/spec/ordinals";

/// Restores; what is left, one line each.
pub(super) async fn run(ctx: &Context, command: &Unprepare) -> Halted<Vec<String>> {
    let set = stateful_set::read(ctx, &command.stateful_set_uid).await?;
    let slice = object::slice(&set);
    let missing =
        command.epochs.iter().find(|kept| !stateful_set::ordinals(slice).any(|k| k == kept.ordinal));
    if let Some(missing) = missing {
        return Err(Stop::conflict(format!(
            "{} runs {}, expected every ordinal of the migration: {} is not here. Take it back first",
            stateful_set::key(ctx),
            object::slice_text(&slice),
            missing.ordinal
        ))
        .into());
    }
    let mut left = Vec::new();
    let Some(originals) = originals(command, &set)? else {
        return Ok(vec![format!(
            "{}: no originals were recorded, so nothing of it was changed",
            stateful_set::key(ctx)
        )]);
    };
    if is_part(ctx, &originals, &set).await? {
        return Ok(vec![format!(
            "{}: an earlier migration moved a part of it; slice, policies and PodDisruptionBudget stay as that left them, \
             and the originals recorded, until the rest has moved or the part is back",
            stateful_set::key(ctx)
        )]);
    }
    for ordinal in stateful_set::ordinals(slice) {
        let kept = command.epochs.iter().find(|kept| kept.ordinal == ordinal).map(|kept| kept.epoch);
        for name in stateful_set::claim_names(&set, ordinal) {
            left.extend(disk(ctx, &originals, &name, kept.unwrap_or(ctx.command.epoch)).await?);
        }
    }
    if let Some(found) = budget::find(ctx, &set).await? {
        budget::withdraw(ctx, &found, &epochs::pairs(&command.epochs)).await?;
    }
    workload(ctx, &originals, &set).await?;
    observed(ctx, command).await?;
    Ok(left)
}

/// Whether the record is of a larger workload than runs here. What it says would then take in ordinals that another
/// cluster owns: another start moves the slice over them, and the policies of the whole are not those of a part.
async fn is_part(ctx: &Context, originals: &Originals, set: &Value) -> Result<bool, Stop> {
    let slice = object::slice(set);
    if object::number(&originals.ordinals, "/start") != u64::from(slice.start) {
        return Ok(true);
    }
    let mut elsewhere: BTreeSet<&str> = originals.reclaim.keys().map(String::as_str).collect();
    let ordinals = stateful_set::ordinals(slice);
    let claims: BTreeSet<_> = ordinals.flat_map(|ordinal| stateful_set::claim_names(set, ordinal)).collect();
    for volume in api::list(ctx, VOLUME, "").await? {
        let is_ours = object::text(&volume, "/spec/claimRef/namespace") == ctx.command.namespace;
        if is_ours && claims.contains(object::text(&volume, "/spec/claimRef/name")) {
            elsewhere.remove(originals::disk(&object::volume_id(&volume)).as_str());
        }
    }
    Ok(!elsewhere.is_empty())
}

/// The set's own record, or the copy that travelled; nothing if preparation never changed anything.
fn originals(command: &Unprepare, set: &Value) -> Result<Option<Originals>, Stop> {
    if let Some(kept) = Originals::of(set)? {
        return Ok(Some(kept));
    }
    if command.originals.is_none() {
        return Ok(None);
    }
    Originals::of(&object::parse(command.originals.as_ref(), "the source's StatefulSet")?)
}

/// One claim and its volume without Ferry's marks, the volume with its policy; what is left of them, in words.
async fn disk(ctx: &Context, originals: &Originals, name: &str, epoch: u64) -> Halted<Option<String>> {
    let key = Key::of(ctx, CLAIM, name);
    let Standing::Real(claim) = tombstone::standing(ctx, name).await? else {
        return Err(Stop::conflict(format!(
            "{key} is no claim of a disk although its ordinal is here: the ordinal did not come back whole. Roll the \
             migration back first"
        ))
        .into());
    };
    fresh(&key, &claim, epoch)?;
    let marks = object::unannotate(&claim, &[EPOCH]);
    if !marks.is_empty() {
        api::amend(ctx, &key, &claim, marks).await?;
    }
    let key = Key::of(ctx, VOLUME, object::text(&claim, "/spec/volumeName"));
    let Some(volume) = api::read(ctx, &key).await? else {
        return Ok(Some(format!("{key}: it does not exist, and claim {name} is bound to it")));
    };
    fresh(&key, &volume, epoch)?;
    let mut changes = object::unannotate(&volume, &[EPOCH]);
    let policy = originals.reclaim.get(&originals::disk(&object::volume_id(&volume)));
    if let Some(policy) = policy.filter(|policy| object::text(&volume, RECLAIM) != policy.as_str()) {
        changes.push(json!({"op": "add", "path": RECLAIM, "value": policy}));
    }
    if !changes.is_empty() {
        api::amend(ctx, &key, &volume, changes).await?;
    }
    Ok(policy.is_none().then(|| format!("{key}: its reclaim policy was not recorded and stays as it is")))
}

/// The object is of no later epoch than the ledger's for its ordinal.
fn fresh(key: &Key, object: &Value, epoch: u64) -> Result<(), Stop> {
    if object::epoch(object) <= epoch {
        return Ok(());
    }
    Err(Stop::stale_epoch(format!(
        "{key} is of epoch {}; the command keeps epoch {epoch} for its ordinal, of the past",
        object::epoch(object)
    )))
}

/// The set's policies, ordinals and annotations, in one patch. The slice stays: a start that is not the recorded one
/// makes the set a part ([`is_part`]), and [`api::amend`] tests the version that was judged.
async fn workload(ctx: &Context, originals: &Originals, set: &Value) -> Halted<()> {
    let mut changes = object::unannotate(set, &[ORIGINALS, HANDOFF, EPOCH]);
    for (path, wanted) in [(RETENTION, &originals.retention), (ORDINALS, &originals.ordinals)] {
        match set.pointer(path) {
            Some(_) if wanted.is_null() && path == ORDINALS => {
                changes.push(json!({"op": "remove", "path": path}));
            }
            // A retention policy that was absent is what the API server writes by default.
            Some(_) if wanted.is_null() => {}
            found if found == Some(wanted) || wanted.is_null() => {}
            _ => changes.push(json!({"op": "add", "path": path, "value": wanted})),
        }
    }
    if !changes.is_empty() {
        api::amend(ctx, &stateful_set::key(ctx), set, changes).await?;
    }
    Ok(())
}

/// Waits until the set's controller has seen what was restored: the next plan refuses a set that is not settled (K2).
async fn observed(ctx: &Context, command: &Unprepare) -> Result<(), Stop> {
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(&stateful_set::key(ctx));
    while !object::is_observed(&stateful_set::read(ctx, &command.stateful_set_uid).await?) {
        wait.pause("the StatefulSet controller to take up what was restored").await?;
    }
    Ok(())
}
