//! `Settle` (handoff.md section 5, step 13, and "Ending"): the budget goes back; at the end the target's protection is
//! what the source's was.
//!
//! Preconditions: the generation, no later command of the migration, and no ordinal of a later epoch than the command
//! says: what is given back late would be taken from under a later handoff (I5). That is looked at again after what is
//! to be changed was read, and before it is. A workload without a PodDisruptionBudget has nothing to give back. Between
//! ordinals the budget gets this cluster's share. With `last` on the target, what the source recorded is restored: reclaim
//! policies of the disks that are here, the retention policy, the budget; and the guard goes, if the whole workload is
//! here. The record travels in the command, so an
//! interrupted settlement is repeated whole. On the source nothing is restored: `Delete` would be a trap there.

use ferry_proto::agent::v1::{Settle, Settled};
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _, future::try_join, stream};
use serde_json::{Value, json};

use super::{
    api::{self, CLAIM, Halted, Key, VOLUME},
    budget,
    epochs::{self, Kept},
    object::{self, EPOCH},
    originals::{self, Originals},
    stateful_set::{self, ORIGINALS},
    tombstone, volumes,
    wait::Wait,
};
use crate::{context::Context, guard, limits, outcome::Stop};

const STEP: u32 = 13;
const RETENTION: &str = "/spec/persistentVolumeClaimRetentionPolicy";

/// Gives back.
pub(super) async fn run(ctx: &Context, command: &Settle) -> Halted<Settled> {
    ctx.progress.started(STEP, "giving the PodDisruptionBudget back").await;
    let key = stateful_set::key(ctx);
    let known = epochs::pairs(&command.epochs);
    if known.is_empty() {
        return Err(Stop::not_understood(
            "The command names no ordinal's epoch: a late one could not be told",
        )
        .into());
    }
    let set = api::read(ctx, &key).err_into();
    let (kept, set) = try_join(epochs::keep_command_of(ctx, &known), set).await?;
    let Some(set) = set else {
        if command.last && !command.target {
            ctx.progress.done(STEP, format!("{key} is gone: there is nothing to give back here"));
            return Ok(Settled {});
        }
        return Err(Stop::conflict(format!("{key} does not exist any more")).into());
    };
    if command.last && command.target {
        restore(ctx, command, (&set, &kept), &known).await?;
    } else if let Some(found) = budget::noted(ctx, &set, &kept).await? {
        budget::limit(ctx, &found, command.max_unavailable, &known).await?;
    }
    ctx.progress
        .done(STEP, if command.last { "the migration is over here" } else { "the budget is shared anew" });
    Ok(Settled {})
}

async fn restore(
    ctx: &Context,
    command: &Settle,
    (set, kept): (&Value, &Kept),
    known: &[(u32, u64)],
) -> Halted<()> {
    let source = object::parse(command.originals.as_ref(), "the source's StatefulSet")?;
    let Some(originals) = Originals::of(&source)? else {
        return Err(Stop::not_understood(
            "The source's StatefulSet carries no originals: there is nothing to restore from",
        )
        .into());
    };
    let ordinals = stateful_set::ordinals(object::slice(set));
    let names = ordinals.flat_map(|ordinal| stateful_set::claim_names(set, ordinal));
    let reads = names.map(|name| disk(ctx, name));
    let disks: Vec<_> = stream::iter(reads).buffered(limits::READS_AT_ONCE).try_collect().await?;
    epochs::latest(ctx, known).await?;
    for volume in &disks {
        if let Some(policy) = originals.reclaim.get(&originals::disk(&object::volume_id(volume))) {
            volumes::set_policy(ctx, volume, policy, object::epoch(volume)).await?;
        }
    }
    epochs::latest(ctx, known).await?;
    restore_retention(ctx, &originals, set).await?;
    observed(ctx).await?;
    if let Some(found) = budget::noted(ctx, set, kept).await? {
        budget::restore(ctx, &found, known).await?;
    }
    // A workload of which a part runs elsewhere must not be scaled here either.
    let slice = object::slice(set);
    if known.iter().all(|(ordinal, _)| stateful_set::ordinals(slice).any(|here| here == *ordinal)) {
        guard::remove(ctx).await?;
    }
    Ok(())
}

/// The PersistentVolume of a claim.
async fn disk(ctx: &Context, claim: String) -> Result<Value, Stop> {
    let key = Key::of(ctx, CLAIM, claim);
    let Some(found) = api::read(ctx, &key).await?.filter(|claim| !tombstone::is(claim)) else {
        return Err(Stop::not_ready(format!("{key} is not there, and its ordinal is in the slice")));
    };
    let volume = Key::of(ctx, VOLUME, object::text(&found, "/spec/volumeName"));
    let found = api::read(ctx, &volume).await?;
    found.ok_or_else(|| Stop::conflict(format!("{volume} does not exist, and {key} is bound to it")))
}

/// Waits until the set's controller has seen what was restored: the next plan refuses a set that is not settled (K2).
async fn observed(ctx: &Context) -> Halted<()> {
    let key = stateful_set::key(ctx);
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(&key);
    while api::read(ctx, &key).await?.is_some_and(|set| !object::is_observed(&set)) {
        wait.pause(format!("the StatefulSet controller to take up what was restored of {key}")).await?;
    }
    Ok(())
}

/// The retention policy back and, in the same patch, the set's own record of an earlier time as a source off.
async fn restore_retention(ctx: &Context, originals: &Originals, set: &Value) -> Halted<()> {
    let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    let wanted = if originals.retention.is_null() { retain } else { originals.retention.clone() };
    let has_record = object::annotation(set, ORIGINALS).is_some();
    if set.pointer(RETENTION) == Some(&wanted) && !has_record {
        return Ok(());
    }
    let epoch = object::epoch(set).max(ctx.command.epoch).to_string();
    let mut changes = object::annotate(set, &[(EPOCH, &epoch)]);
    changes.push(json!({"op": "add", "path": RETENTION, "value": wanted}));
    if has_record {
        changes.push(json!({"op": "remove", "path": object::annotation_path(ORIGINALS)}));
    }
    api::amend(ctx, &stateful_set::key(ctx), set, changes).await?;
    Ok(())
}
