//! `Retire` (handoff.md section 5, step 12): the source forgets the disks that the target has.
//!
//! Preconditions for each PersistentVolume: the recorded uid and disk, Released, `Retain` (I7), no VolumeAttachment, no
//! finalizer but those that their owners take off by themselves (H9). It is deleted by uid and resourceVersion: the
//! object that was read as `Retain` is the object that is deleted. Absent ones are done. From here on the way back is
//! a reverse handoff.

use ferry_proto::agent::v1::{Retire, Retired};
use serde_json::Value;

use super::{
    api::{self, ATTACHMENT, Halt, Halted, Key, Written},
    epochs, object,
    tombstone::held_by,
    volumes::{self, Recorded},
    wait::Wait,
};
use crate::{context::Context, outcome::Stop};

const STEP: u32 = 12;
/// Finalizers that controllers take off when the volume is free.
const KNOWN: [&str; 2] =
    ["kubernetes.io/pv-protection", "external-provisioner.volume.kubernetes.io/finalizer"];
/// Prefix of the attacher's finalizer; the driver's name, spelt in its own way, follows.
const ATTACHER: &str = "external-attacher/";

/// Deletes the Released PersistentVolumes.
pub(super) async fn run(ctx: &Context, command: &Retire) -> Halted<Retired> {
    ctx.progress
        .started(STEP, format!("deleting {} Released PersistentVolumes", command.volumes.len()))
        .await;
    let recorded = Recorded::parse_all(&command.volumes)?;
    epochs::keep(ctx, &[(command.ordinal, ctx.command.epoch)]).await?;
    let mut pv_names = Vec::new();
    for disk in &recorded {
        if api::read(ctx, &disk.key(ctx)).await?.is_some() {
            delete(ctx, disk).await?;
        }
        pv_names.push(object::name(&disk.volume).to_owned());
    }
    ctx.progress.done(STEP, format!("gone: {}", pv_names.join(", ")));
    Ok(Retired { pv_names })
}

async fn delete(ctx: &Context, disk: &Recorded) -> Halted<()> {
    let key = disk.key(ctx);
    let uid = object::uid(&disk.volume);
    detached(ctx, disk).await?;
    let volume = volumes::retained(ctx, disk).await?;
    let phase = object::text(&volume, "/status/phase");
    if phase != "Released" {
        return Err(Stop::conflict(format!(
            "{key} is {phase}, expected Released: a claim uses it. Look at that claim"
        ))
        .into());
    }
    stuck(&key, &volume)?;
    if !object::is_ending(&volume) {
        match api::delete(ctx, &key, uid, Some(object::version(&volume))).await? {
            Written::Done(_) | Written::Missing => {}
            _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }
    let mut wait = Wait::new(ctx, STEP);
    wait.watch(&key);
    while let Some(now) = api::read(ctx, &key).await? {
        if object::uid(&now) != uid {
            return Err(
                Stop::conflict(format!("{key} was made anew by somebody else; it is not touched")).into()
            );
        }
        stuck(&key, &now)?;
        wait.pause(format!("the deletion of {key}{}", held_by(&now))).await?;
    }
    Ok(())
}

async fn detached(ctx: &Context, disk: &Recorded) -> Result<(), Stop> {
    let mut attachments = api::list(ctx, ATTACHMENT, "").await?;
    attachments.retain(|attachment| {
        object::text(attachment, "/spec/source/persistentVolumeName") == object::name(&disk.volume)
    });
    let Some(attachment) = attachments.first() else { return Ok(()) };
    Err(Stop::conflict(format!(
        "{} is attached to {} here although the disk has moved: VolumeAttachment {}. Find out who attached it",
        disk.key(ctx),
        object::text(attachment, "/spec/nodeName"),
        object::name(attachment)
    )))
}

fn stuck(key: &Key, volume: &Value) -> Result<(), Stop> {
    let mut finalizers = object::finalizers_beyond(volume, &KNOWN);
    finalizers.retain(|finalizer| !finalizer.starts_with(ATTACHER));
    if finalizers.is_empty() {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} has the finalizers {}; whoever set them has to take them off before it can be deleted",
        finalizers.join(", ")
    ))
    .at(STEP))
}
