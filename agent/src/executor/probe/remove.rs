//! The disk removed where it was made: by its provisioner, which is told so by the policy `Delete`.
//!
//! Asked for only once nothing of it is in the target, or it never got there. Pod first, then the proof of detach, then
//! the claim; a PersistentVolume that is Released with the policy `Delete` its provisioner deletes, disk and object.
//! What the provisioner does not delete in time is named, and stays.

use ferry_proto::agent::v1::Probed;
use serde_json::Value;
use tokio::time::Instant;

use super::{STEP, Scratch, make::provisioned};
use crate::{
    executor::{
        api::{self, Halted, Key, VOLUME},
        object,
        wait::Wait,
    },
    outcome::Stop,
};

pub(super) async fn run(scratch: &Scratch<'_>) -> Halted<Probed> {
    let ctx = scratch.ctx;
    ctx.progress.started(STEP, "removing the scratch disk").await;
    let volume = match scratch.volumes().await?.into_iter().next() {
        Some(volume) => Some(volume),
        None => bound(scratch).await?,
    };
    scratch.let_go(volume.as_ref()).await?;
    let volume = match volume {
        Some(volume) => Some(scratch.amended(&volume, "Delete").await?),
        None => None,
    };
    if let Some(claim) = scratch.ours(&scratch.claim()).await? {
        scratch.delete(&scratch.claim(), &claim).await?;
    }
    if let Some(volume) = volume {
        deleted(scratch, &volume).await?;
    }
    ctx.progress.done(STEP, "the scratch disk is deleted");
    Ok(Probed { left: scratch.left().await?, ..Probed::default() })
}

/// The volume of our claim, where the making did not come as far as to label it.
async fn bound(scratch: &Scratch<'_>) -> Halted<Option<Value>> {
    let Some(claim) = scratch.ours(&scratch.claim()).await? else { return Ok(None) };
    let name = object::text(&claim, "/spec/volumeName");
    if name.is_empty() {
        return Ok(None);
    }
    let found = api::read(scratch.ctx, &Key::of(scratch.ctx, VOLUME, name)).await?;
    Ok(found.filter(|found| provisioned(found, &claim)))
}

/// Waits for the provisioner.
async fn deleted(scratch: &Scratch<'_>, volume: &Value) -> Halted<()> {
    let key = Key::of(scratch.ctx, VOLUME, object::name(volume));
    let until = Instant::now() + scratch.patience;
    let mut wait = Wait::new(scratch.ctx, STEP);
    wait.watch(&key);
    while let Some(now) = scratch.ours(&key).await? {
        let phase = object::text(&now, "/status/phase");
        if phase == "Failed" || Instant::now() >= until {
            return Err(Stop::conflict(format!(
                "{key} is {phase}, its policy is Delete, and its provisioner has not deleted it: {}. See to the \
                 provisioner of {}",
                object::text(&now, "/status/message"),
                object::volume_id(&now).driver
            ))
            .into());
        }
        wait.pause(format!("the provisioner to delete {key}; it is {phase}")).await?;
    }
    Ok(())
}
