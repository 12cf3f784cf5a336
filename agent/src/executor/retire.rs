//! `Retire` (handoff.md section 5, step 12): the source forgets the disks that the target has.
//!
//! Preconditions for each PersistentVolume: the recorded uid and disk, Released, `Retain` (I7), no VolumeAttachment, no
//! finalizer but those that their owners take off by themselves (H9). It is deleted by uid and resourceVersion: the
//! object that was read as `Retain` is the object that is deleted. Absent ones are done. From here on the way back is
//! a reverse handoff.

use ferry_proto::agent::v1::{Retire, Retired};
use futures::{
    TryFutureExt as _,
    future::{try_join, try_join_all},
};

use super::{
    api::{self, Halted, Key},
    epochs, forget, object,
    volumes::Recorded,
    watches::foresee,
};
use crate::context::Context;

const STEP: u32 = 12;

/// Deletes the Released PersistentVolumes.
pub(super) async fn run(ctx: &Context, command: &Retire) -> Halted<Retired> {
    ctx.progress
        .started(STEP, format!("deleting {} Released PersistentVolumes", command.volumes.len()))
        .await;
    let recorded = Recorded::parse_all(&command.volumes)?;
    let fence = [(command.ordinal, ctx.command.epoch)];
    let keys: Vec<Key> = recorded.iter().map(|disk| disk.key(ctx)).collect();
    foresee(ctx, keys.iter().cloned());
    let there = try_join_all(keys.iter().map(|key| api::read(ctx, key).err_into()));
    let ((), there) = try_join(epochs::keep(ctx, &fence), there).await?;
    let mut pv_names = Vec::new();
    for (disk, found) in recorded.iter().zip(there) {
        if found.is_some() {
            forget::volume(ctx, STEP, disk, &["Released"]).await?;
        }
        pv_names.push(object::name(&disk.volume).to_owned());
    }
    ctx.progress.done(STEP, format!("gone: {}", pv_names.join(", ")));
    Ok(Retired { pv_names })
}
