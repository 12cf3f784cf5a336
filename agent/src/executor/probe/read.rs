//! The disk read in the target, as step 9 and 10 would use it; then everything of it away, the disk excepted.
//!
//! What was made is taken away whatever the reading found. Only objects go: `Retain` is read back before the claim and
//! before the PersistentVolume. If that cannot be told to have worked, the outcome is unknown or names what is left,
//! and the source keeps the disk.

use std::collections::HashMap;

use ferry_proto::agent::v1::Probed;
use serde_json::Value;

use super::{STEP, Scratch, body, pod};
use crate::{
    executor::{
        adopt::bind,
        api::{self, Halt, Halted, Key, VOLUME},
        object, travel,
        volumes::RECLAIM,
    },
    outcome::{Stop, bounded},
};

pub(super) async fn run(scratch: &Scratch<'_>) -> Halted<Probed> {
    let given = object::parse(scratch.command.volume.as_ref(), "the scratch disk")?;
    let (read, problem) = match attempt(scratch, &given).await {
        Ok(read) => (bounded(read), String::new()),
        Err(Halt::Stop(Stop::Refused { message, .. })) => (String::new(), bounded(message)),
        Err(halt) => return Err(halt),
    };
    clear(scratch).await?;
    scratch.ctx.progress.done(STEP, "the scratch disk is let go of");
    Ok(Probed { read, problem, left: scratch.left().await?, volume: None })
}

async fn attempt(scratch: &Scratch<'_>, given: &Value) -> Halted<String> {
    let ctx = scratch.ctx;
    scratch.may_end_pods().await?;
    let id = object::volume_id(given);
    let key = Key::of(ctx, VOLUME, object::name(given));
    ctx.progress.started(STEP, format!("reading the scratch disk {}", id.handle)).await;
    for volume in api::list(ctx, VOLUME, "").await? {
        if object::volume_id(&volume) == id && !scratch.owns(&volume) {
            return Err(Stop::conflict(format!(
                "PersistentVolume {} names the disk {} already, expected none: the handle means another disk here",
                object::name(&volume),
                id.handle
            ))
            .into());
        }
    }
    let classes = HashMap::from([(
        object::text(given, "/spec/storageClassName").to_owned(),
        scratch.command.storage_class.clone(),
    )]);
    let mut volume = travel::volume(given, &ctx.command.namespace, scratch.name(), &classes, 0);
    volume["metadata"]["labels"] = body::labels(scratch);
    bind::topology(ctx, &volume).await?.rewrite(&mut volume);
    forget_used(scratch).await?;
    scratch.create(&key, &volume).await?;
    scratch.create(&scratch.claim(), &body::claim(scratch, Some(&volume))).await?;
    scratch.create(&scratch.pod(), &body::pod(scratch, false)).await?;
    pod::ended(scratch, "read the disk").await
}

/// Removes the PersistentVolume of an earlier process that ended between the claim's end and the volume's: it is bound to
/// the uid of a claim that is gone, and takes no other.
async fn forget_used(scratch: &Scratch<'_>) -> Halted<()> {
    if scratch.ours(&scratch.claim()).await?.is_some() {
        return Ok(());
    }
    for volume in scratch.volumes().await? {
        if !object::text(&volume, "/spec/claimRef/uid").is_empty() {
            let now = retained(scratch, &volume).await?;
            scratch.delete(&Key::of(scratch.ctx, VOLUME, object::name(&now)), &now).await?;
        }
    }
    Ok(())
}

/// Pod, claim and PersistentVolume away, in that order, each proven gone before the next.
async fn clear(scratch: &Scratch<'_>) -> Halted<()> {
    let volume = scratch.volumes().await?.into_iter().next();
    scratch.let_go(volume.as_ref()).await?;
    if let Some(volume) = &volume {
        retained(scratch, volume).await?;
    }
    if let Some(claim) = scratch.ours(&scratch.claim()).await? {
        scratch.delete(&scratch.claim(), &claim).await?;
    }
    if let Some(volume) = &volume {
        let now = retained(scratch, volume).await?;
        scratch.delete(&Key::of(scratch.ctx, VOLUME, object::name(&now)), &now).await?;
    }
    Ok(())
}

async fn retained(scratch: &Scratch<'_>, volume: &Value) -> Halted<Value> {
    let key = Key::of(scratch.ctx, VOLUME, object::name(volume));
    match scratch.ours(&key).await? {
        Some(now) if object::text(&now, RECLAIM) == "Retain" && object::uid(&now) == object::uid(volume) => {
            Ok(now)
        }
        _ => {
            Err(Stop::conflict(format!("{key} is not as it was made: somebody changed it. Look at it"))
                .into())
        }
    }
}
