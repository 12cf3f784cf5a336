//! `Adopt` (handoff.md section 5, steps 9 and 10): the target takes one ordinal with its disks.
//!
//! Preconditions: the StatefulSet of that uid with the slice of before, or of after (then the patch is made already);
//! for each claim a tombstone of no later epoch, or nothing, or what this command made; no PersistentVolume of the
//! disks but this command's. `bind` makes volumes and claims and waits until they are Bound to each other; only then
//! `start` patches the slice (H13) and waits for the pod.
//!
//! What this command made is recognised by its epoch and the disk's handle; everything else stops it (H12, H23).

use ferry_proto::agent::v1::{Adopt, Adopted};

use super::{api::Halted, epochs, volumes::Recorded};
use crate::context::Context;

mod bind;
mod start;

/// Adopts the ordinal.
pub(super) async fn run(ctx: &Context, command: &Adopt) -> Halted<Adopted> {
    let recorded = Recorded::parse_all(&command.volumes)?;
    let fence = [(command.ordinal, ctx.command.epoch)];
    epochs::keep(ctx, &fence).await?;
    let set = super::stateful_set::read(ctx, &command.stateful_set_uid).await?;
    super::slice_patch::side(&set, command.from_slice.as_ref(), command.to_slice.as_ref())?;
    let volumes = bind::run(ctx, command, &recorded).await?;
    epochs::keep(ctx, &fence).await?;
    let started = start::run(ctx, command).await?;
    Ok(Adopted {
        pod_uid: started.pod_uid,
        pod_address: started.pod_address,
        node: Some(started.node),
        volumes,
        epoch_kept: ctx.command.epoch,
    })
}
