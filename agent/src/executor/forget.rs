//! How a cluster forgets a disk: the PersistentVolume object goes, the disk stays (I7).
//!
//! What is deleted is exactly what was read as `Retain`: by uid and resourceVersion, while no VolumeAttachment exists
//! and no claim uses it. Finalizers that their owners take off by themselves are waited for, others are named and never
//! taken off (H9).

use futures::future::try_join;
use serde_json::Value;

use super::{
    api::{self, ATTACHMENT, Halt, Halted, Key, Written},
    object,
    tombstone::held_by,
    volumes::{self, Recorded},
    wait::Wait,
};
use crate::{context::Context, outcome::Stop};

/// Finalizers that controllers take off when the volume is free.
const KNOWN: [&str; 2] =
    ["kubernetes.io/pv-protection", "external-provisioner.volume.kubernetes.io/finalizer"];
/// Prefix of the attacher's finalizer; the driver's name, spelt in its own way, follows.
const ATTACHER: &str = "external-attacher/";

/// The recorded PersistentVolume is gone when this returns.
///
/// # Errors
/// A conflict if it is in another phase than those of `phases`, is not the recorded one, not `Retain`, attached, or
/// held by a finalizer of somebody else.
pub(crate) async fn volume(ctx: &Context, step: u32, disk: &Recorded, phases: &[&str]) -> Halted<()> {
    let key = disk.key(ctx);
    let uid = object::uid(&disk.volume);
    let ((), volume) = try_join(detached(ctx, disk), volumes::retained(ctx, disk)).await?;
    let phase = object::text(&volume, "/status/phase");
    if !phases.contains(&phase) {
        return Err(Stop::conflict(format!(
            "{key} is {phase}, expected {}: a claim uses it. Look at that claim",
            phases.join(" or ")
        ))
        .into());
    }
    stuck(step, &key, &volume)?;
    if !object::is_ending(&volume) {
        match api::delete(ctx, &key, uid, Some(object::version(&volume))).await? {
            Written::Done(_) | Written::Missing => {}
            _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }
    let mut wait = Wait::new(ctx, step);
    wait.watch_end(&key);
    while let Some(now) = api::read(ctx, &key).await? {
        if object::uid(&now) != uid {
            return Err(
                Stop::conflict(format!("{key} was made anew by somebody else; it is not touched")).into()
            );
        }
        stuck(step, &key, &now)?;
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

fn stuck(step: u32, key: &Key, volume: &Value) -> Result<(), Stop> {
    let mut finalizers = object::finalizers_beyond(volume, &KNOWN);
    finalizers.retain(|finalizer| !finalizer.starts_with(ATTACHER));
    if finalizers.is_empty() {
        return Ok(());
    }
    Err(Stop::conflict(format!(
        "{key} has the finalizers {}; whoever set them has to take them off before it can be deleted",
        finalizers.join(", ")
    ))
    .at(step))
}
