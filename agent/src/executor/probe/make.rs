//! The disk made in the source: provisioned, written, detached, `Retain`, without a claim.
//!
//! `Retain` is written and read back before anything is let go of, so that the disk is there when the target reads it.
//! A PersistentVolume of the probe without a claim says that an earlier process had done all of it.
//! What fails here is taken away by the part `remove`, which the controller asks for next.

use ferry_proto::agent::v1::Probed;
use serde_json::Value;

use super::{STEP, Scratch, body, pod};
use crate::{
    executor::{
        api::{self, CLASS, Halt, Halted, Key, VOLUME},
        object,
    },
    outcome::Stop,
};

pub(super) async fn run(scratch: &Scratch<'_>) -> Halted<Probed> {
    let ctx = scratch.ctx;
    let made = scratch.volumes().await?;
    let claim = scratch.ours(&scratch.claim()).await?;
    if let (Some(volume), None) = (made.first(), &claim) {
        return finish(scratch, volume).await;
    }
    let volume = match made.into_iter().next() {
        Some(volume) => volume,
        None => write(scratch).await?,
    };
    let volume = scratch.amended(&volume, "Retain").await?;
    scratch.let_go(Some(&volume)).await?;
    let volume = scratch.amended(&volume_now(scratch, &volume).await?, "Retain").await?;
    if let Some(claim) = scratch.ours(&scratch.claim()).await? {
        scratch.delete(&scratch.claim(), &claim).await?;
    }
    ctx.progress.done(STEP, "the scratch disk is written and detached");
    finish(scratch, &volume).await
}

/// The volume, written.
async fn write(scratch: &Scratch<'_>) -> Halted<Value> {
    let ctx = scratch.ctx;
    scratch.may_end_pods().await?;
    let class = Key::of(ctx, CLASS, scratch.command.storage_class.clone());
    if api::read(ctx, &class).await?.is_none() {
        return Err(Stop::conflict(format!(
            "{class} does not exist in {}; expected the class of the disks that are to move",
            ctx.cluster
        ))
        .into());
    }
    free(scratch).await?;
    ctx.progress.started(STEP, format!("making a scratch disk of {class}")).await;
    scratch.create(&scratch.claim(), &body::claim(scratch, None)).await?;
    scratch.create(&scratch.pod(), &body::pod(scratch, true)).await?;
    let said = pod::ended(scratch, "write the disk").await?;
    if said != scratch.command.nonce {
        return Err(Stop::conflict(format!(
            "the disk holds {said:?} right after {:?} was written to it; see to the driver",
            scratch.command.nonce
        ))
        .into());
    }
    let claim = scratch.ours(&scratch.claim()).await?.unwrap_or_default();
    let key = Key::of(ctx, VOLUME, object::text(&claim, "/spec/volumeName"));
    let Some(volume) = api::read(ctx, &key).await? else {
        return Err(Halt::Again(format!("{key} was deleted meanwhile")));
    };
    if object::text(&volume, "/spec/claimRef/uid") != object::uid(&claim) {
        return Err(Stop::conflict(format!("{key} is not the claim's; see to the binder")).into());
    }
    if !provisioned(&volume, &claim) {
        return Err(Stop::conflict(format!(
            "{key} was there before the probe, expected one that the class provisions for it; nothing of it is changed"
        ))
        .into());
    }
    let id = object::volume_id(&volume);
    if id.driver.is_empty() || id.handle.is_empty() {
        return Err(Stop::conflict(format!(
            "{key} is no CSI volume, expected one: only those can be used by another cluster (K5)"
        ))
        .into());
    }
    Ok(volume)
}

/// No volume of the class waits for a claim: the binder would give it to the probe's, and it is somebody's disk.
async fn free(scratch: &Scratch<'_>) -> Halted<()> {
    if scratch.ours(&scratch.claim()).await?.is_some() {
        return Ok(());
    }
    let class = &scratch.command.storage_class;
    let waits = |volume: &&Value| {
        object::text(volume, "/spec/storageClassName") == class
            && object::text(volume, "/status/phase") == "Available"
    };
    match api::list(scratch.ctx, VOLUME, "").await?.iter().find(waits) {
        None => Ok(()),
        Some(volume) => Err(Stop::conflict(format!(
            "PersistentVolume {} of class {class} waits for a claim, expected none: the probe's would be bound to it. \
             Reserve it (spec.claimRef) or give it another class, then probe again",
            object::name(volume)
        ))
        .into()),
    }
}

/// Whether a provisioner made the volume for this claim: external-provisioner names it after the claim's uid.
pub(super) fn provisioned(volume: &Value, claim: &Value) -> bool {
    object::annotation(volume, "pv.kubernetes.io/provisioned-by").is_some()
        && object::name(volume).ends_with(object::uid(claim))
        && object::text(volume, "/spec/claimRef/uid") == object::uid(claim)
}

async fn volume_now(scratch: &Scratch<'_>, volume: &Value) -> Halted<Value> {
    let key = Key::of(scratch.ctx, VOLUME, object::name(volume));
    let now = api::read(scratch.ctx, &key).await?;
    let same = now.filter(|now| object::uid(now) == object::uid(volume));
    same.ok_or_else(|| Halt::Again(format!("{key} was deleted meanwhile")))
}

async fn finish(scratch: &Scratch<'_>, volume: &Value) -> Halted<Probed> {
    let volume = scratch.amended(&volume_now(scratch, volume).await?, "Retain").await?;
    let left = scratch.left().await?;
    Ok(Probed { volume: Some(object::manifest(&volume)), left, ..Probed::default() })
}
