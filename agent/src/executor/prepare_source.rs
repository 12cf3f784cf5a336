//! `PrepareSource` (handoff.md section 4, S): nothing that happens later can delete a claim or a disk.
//!
//! Preconditions: the StatefulSet of the plan, with the slice of the plan (no rollout is judged here, the plan did);
//! every claim of the slice Bound to a CSI volume; no owner of a claim but the set and its pods.
//!
//! Order: epochs kept; the guard, enforced; then ONE patch of the set that records the originals and makes retention Retain/Retain and
//! `ordinals.start` explicit; then, when the set's controller has seen it, every PersistentVolume `Retain` and the
//! owner references off the claims (H3, H4, H5); then all of it read back. Whether the command is of the past is asked
//! before each: a process that was paused makes at most one object `Retain` after preparation was taken back. A repetition finds its work done and only
//! reads. Undo: `Settle` with `last`, on whichever cluster has the workload then.

use ferry_proto::agent::v1::{OrdinalVolumes, PrepareSource, SourcePrepared};
use serde_json::{Value, json};

use super::{
    api::{self, CLAIM, Halt, Halted, Key, VOLUME},
    budget, epochs,
    object::{self, EPOCH},
    originals::Originals,
    stateful_set::{self, ORIGINALS},
    tombstone,
    volumes::{self, RECLAIM},
    wait::Wait,
};
use crate::{
    context::Context,
    guard::{self, Contents},
    outcome::Stop,
};

const STEP: u32 = 0;
const RETENTION: &str = "/spec/persistentVolumeClaimRetentionPolicy";

/// A claim of the slice, with its volume.
struct Bound {
    ordinal: u32,
    claim: Value,
    volume: Value,
}

/// Prepares the source.
pub(super) async fn run(ctx: &Context, command: &PrepareSource) -> Halted<SourcePrepared> {
    ctx.progress.started(STEP, format!("preparing {} as the source", stateful_set::key(ctx))).await;
    let set = checked(ctx, command).await?;
    let kept = epochs::pairs(&command.epochs);
    epochs::begin(ctx, &kept).await?;
    let epoch = kept.iter().map(|(_, epoch)| *epoch).max().unwrap_or(ctx.command.epoch);
    let bound = claims(ctx, &set).await?;
    guard(ctx, &set, &bound).await?;
    protect_set(ctx, &set, &bound, epoch).await?;
    observed(ctx, command).await?;
    for Bound { ordinal, claim, volume } in &bound {
        let epoch = kept.iter().find(|(k, _)| k == ordinal).map_or(epoch, |(_, epoch)| *epoch);
        epochs::latest(ctx, &kept).await?;
        volumes::set_policy(ctx, volume, "Retain", epoch).await?;
        epochs::latest(ctx, &kept).await?;
        disown(ctx, claim, object::uid(&set), epoch).await?;
    }
    let prepared = read_back(ctx, command).await?;
    epochs::latest(ctx, &kept).await?;
    ctx.progress.done(STEP, format!("{} claims and their disks are Retain, read back", bound.len()));
    Ok(prepared)
}

async fn checked(ctx: &Context, command: &PrepareSource) -> Result<Value, Stop> {
    let set = stateful_set::read(ctx, &command.stateful_set_uid).await?;
    let Some(expected) = &command.slice else {
        return Err(Stop::not_understood("The command lacks the slice that the plan saw"));
    };
    let found = object::slice(&set);
    if found != *expected {
        return Err(Stop::conflict(format!(
            "{} runs {}, the plan saw {}. Plan again",
            stateful_set::key(ctx),
            object::slice_text(&found),
            object::slice_text(expected)
        )));
    }
    Ok(set)
}

/// Every claim of the slice and its volume, as they are now.
async fn claims(ctx: &Context, set: &Value) -> Result<Vec<Bound>, Stop> {
    let mut bound = Vec::new();
    for ordinal in stateful_set::ordinals(object::slice(set)) {
        for name in stateful_set::claim_names(set, ordinal) {
            let key = Key::of(ctx, CLAIM, name);
            let Some(claim) = api::read(ctx, &key).await? else {
                return Err(Stop::not_ready(format!("{key} does not exist; every ordinal needs its claims")));
            };
            let (phase, volume_name) =
                (object::text(&claim, "/status/phase"), object::text(&claim, "/spec/volumeName"));
            if tombstone::is(&claim) || phase != "Bound" || object::is_ending(&claim) {
                return Err(Stop::not_ready(format!(
                    "{key} is {phase}, expected Bound to a disk and not being deleted"
                )));
            }
            let volume = Key::of(ctx, VOLUME, volume_name);
            let Some(volume) = api::read(ctx, &volume).await? else {
                return Err(Stop::conflict(format!(
                    "{volume} does not exist, and {key} is bound to it: the claim is lost"
                )));
            };
            if object::volume_id(&volume).handle.is_empty() {
                return Err(Stop::conflict(format!(
                    "{key} is bound to a volume that is not CSI; it cannot move (K5)"
                )));
            }
            bound.push(Bound { ordinal, claim, volume });
        }
    }
    Ok(bound)
}

/// Nobody else changes the workload from here on.
async fn guard(ctx: &Context, set: &Value, bound: &[Bound]) -> Halted<()> {
    let mut contents = Contents::default();
    for Bound { ordinal, claim, volume } in bound {
        contents.pods.insert(stateful_set::pod_name(&ctx.command.workload, *ordinal));
        contents.claims.insert(object::name(claim).to_owned());
        contents.volumes.insert(object::name(volume).to_owned());
        contents.add_disk(&object::volume_id(volume));
    }
    contents.budgets.extend(budget::find(ctx, set).await?.iter().map(|found| object::name(found).to_owned()));
    guard::stand(ctx, STEP, contents).await?;
    Ok(())
}

/// One patch: the originals, and what they make safe to change.
async fn protect_set(ctx: &Context, set: &Value, bound: &[Bound], epoch: u64) -> Halted<()> {
    let budget = budget::find(ctx, set).await?.as_ref().map(budget::original).unwrap_or_default();
    let originals = Originals::complete(set, bound.iter().map(|bound| &bound.volume), budget)?;
    let text = serde_json::to_string(&originals)
        .map_err(|error| Stop::conflict(format!("The originals cannot be written down: {error}")))?;
    let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    let start = set.pointer("/spec/ordinals/start");
    let is_done = set.pointer(RETENTION) == Some(&retain)
        && start.is_some()
        && object::epoch(set) >= epoch
        && Originals::of(set)?.as_ref() == Some(&originals);
    if is_done {
        return Ok(());
    }
    let highest = object::epoch(set).max(epoch).to_string();
    let mut changes = object::annotate(set, &[(ORIGINALS, &text), (EPOCH, &highest)]);
    changes.push(json!({"op": "add", "path": RETENTION, "value": retain}));
    if start.is_none() {
        changes.push(json!({"op": "add", "path": "/spec/ordinals", "value": {"start": 0}}));
    }
    api::amend(ctx, &stateful_set::key(ctx), set, changes).await?;
    Ok(())
}

/// Waits until the set's controller has seen the retention policy: it writes owner references by it.
async fn observed(ctx: &Context, command: &PrepareSource) -> Result<(), Stop> {
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(&stateful_set::key(ctx));
    while !object::is_observed(&checked(ctx, command).await?) {
        wait.pause("the StatefulSet controller to take up the retention policy").await?;
    }
    Ok(())
}

/// Takes the references to the set and to its pods off the claim.
async fn disown(ctx: &Context, claim: &Value, set_uid: &str, epoch: u64) -> Halted<()> {
    let key = Key::of(ctx, CLAIM, object::name(claim));
    let owners = object::items(claim, "/metadata/ownerReferences");
    for owner in owners {
        let (kind, uid) = (object::text(owner, "/kind"), object::text(owner, "/uid"));
        if uid != set_uid && kind != "Pod" {
            return Err(Stop::conflict(format!(
                "{key} is owned by {kind} {} too; its deletion would delete the claim (K10). Remove that reference",
                object::text(owner, "/name")
            ))
            .into());
        }
    }
    if owners.is_empty() {
        return Ok(());
    }
    // Read again: the controller may have changed the references since.
    let Some(now) = api::read(ctx, &key).await? else {
        return Err(Halt::Again(format!("{key} is gone")));
    };
    let highest = object::epoch(&now).max(epoch).to_string();
    let mut changes = object::annotate(&now, &[(EPOCH, &highest)]);
    let found = now.pointer("/metadata/ownerReferences");
    if found.is_some() && found != claim.pointer("/metadata/ownerReferences") {
        return Err(Halt::Again(format!("the owners of {key} changed meanwhile")));
    }
    if found.is_some() {
        changes.push(json!({"op": "remove", "path": "/metadata/ownerReferences"}));
    }
    api::amend(ctx, &key, &now, changes).await?;
    Ok(())
}

/// Reads everything again and checks it: what the evidence says was seen in the API server.
async fn read_back(ctx: &Context, command: &PrepareSource) -> Halted<SourcePrepared> {
    let set = checked(ctx, command).await?;
    let mut ordinals: Vec<OrdinalVolumes> = stateful_set::ordinals(object::slice(&set))
        .map(|ordinal| OrdinalVolumes { ordinal, volumes: Vec::new() })
        .collect();
    for Bound { ordinal, claim, volume } in claims(ctx, &set).await? {
        let policy = object::text(&volume, RECLAIM);
        if policy != "Retain" || !object::items(&claim, "/metadata/ownerReferences").is_empty() {
            return Err(Halt::Again(format!(
                "claim {} has owners again, or its volume the policy {policy}: somebody else writes them",
                object::name(&claim)
            )));
        }
        if let Some(entry) = ordinals.iter_mut().find(|entry| entry.ordinal == ordinal) {
            entry.volumes.push(volumes::claimed(&claim, &volume));
        }
    }
    Ok(SourcePrepared { ordinals, stateful_set: Some(object::manifest(&set)) })
}
