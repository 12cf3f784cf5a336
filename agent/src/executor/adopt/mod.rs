//! `Adopt` (handoff.md section 5, steps 9 and 10): the target takes one ordinal with its disks.
//!
//! Preconditions: the StatefulSet of that uid with the slice of before, or of after (then the patch is made already);
//! for each claim a tombstone of no later epoch, or nothing, or what this command made; no PersistentVolume of the
//! disks but this command's. `bind` makes volumes and claims and waits until they are Bound to each other; only then
//! `start` patches the slice (H13) and waits for the pod.
//!
//! What this command made is recognised by its epoch and the disk's handle; everything else stops it (H12, H23).

use ferry_proto::agent::v1::{Adopt, Adopted};
use futures::future::{join, try_join3};

use super::{
    api::{CLAIM, Halted, Key, POD},
    epochs, object,
    slice_patch::{self, Change},
    volumes::Recorded,
    watches::foresee,
};
use crate::context::Context;

pub(super) mod bind;
pub(super) mod start;

/// Step 10, as it is reported.
const START: u32 = 10;

/// Adopts the ordinal.
pub(super) async fn run(ctx: &Context, command: &Adopt) -> Halted<Adopted> {
    let recorded = Recorded::parse_all(&command.volumes)?;
    let fence = [(command.ordinal, ctx.command.epoch)];
    let Adopt { ordinal, stateful_set_uid, from_slice, to_slice, .. } = command;
    let change = Change::of(*ordinal, stateful_set_uid, *from_slice, *to_slice)?;
    let pod = super::stateful_set::pod_name(&ctx.command.workload, *ordinal);
    let claims = recorded.iter().map(|disk| Key::of(ctx, CLAIM, object::name(&disk.claim)));
    foresee(ctx, claims.chain(recorded.iter().map(|disk| disk.key(ctx))));
    foresee(ctx, [Key::of(ctx, POD, pod), super::stateful_set::key(ctx)]);
    let set = super::stateful_set::read(ctx, stateful_set_uid);
    let looks = try_join3(set, start::handoff(ctx, &change), bind::look(ctx, &recorded));
    let (kept, looks) = join(epochs::keep(ctx, &fence), looks).await;
    kept?;
    let (set, handoff, found) = looks?;
    slice_patch::side(&set, &change)?;
    let volumes = bind::run(ctx, command, &recorded, found).await?;
    epochs::keep(ctx, &fence).await?;
    let started = start::run(ctx, START, &change, &handoff).await?;
    Ok(Adopted {
        pod_uid: started.pod_uid,
        pod_address: started.pod_address,
        node: Some(started.node),
        volumes,
        epoch_kept: ctx.command.epoch,
    })
}
