//! `Reclaim` (handoff.md section 5, undo of steps 5 to 8): the source takes back the ordinal that it had let go, or was
//! about to.
//!
//! Preconditions: the target has been fenced, or was never asked; the StatefulSet of that uid with the slice of after
//! Release, or of before it; the PersistentVolumes that the ledger recorded, `Retain`, not retired. The epoch is kept
//! first, then written to the set: from there on nothing that was decided for the release can take the ordinal out of
//! the slice. `rebind` gives every disk its claim back, from the recorded one; only then the slice is patched back and
//! the pod waited for, as a target does it: a pod never meets a claim that is missing, which would be an EMPTY disk.
//!
//! A claim that Release had not deleted stays the object it is; it only gets the epoch, so that no deletion of before
//! passes any more.

use ferry_proto::agent::v1::{Reclaim, Reclaimed};
use serde_json::json;

use super::{
    adopt::start,
    api::Halted,
    epochs,
    slice_patch::{self, Change},
    stateful_set,
    volumes::Recorded,
};
use crate::context::Context;

mod rebind;

/// Step 5, which the new slice takes back.
const START: u32 = 5;

/// Takes the ordinal back.
pub(super) async fn run(ctx: &Context, command: &Reclaim) -> Halted<Reclaimed> {
    let ctx = &ctx.undoing();
    let Reclaim { ordinal, stateful_set_uid, from_slice, to_slice, volumes } = command;
    let recorded = Recorded::parse_all(volumes)?;
    let change = Change::of(*ordinal, stateful_set_uid, *from_slice, *to_slice)?;
    let kept = [(*ordinal, ctx.command.epoch)];
    epochs::keep(ctx, &kept).await?;
    let set = stateful_set::read(ctx, stateful_set_uid).await?;
    slice_patch::side(&set, &change)?;
    if slice_patch::recorded(ctx, &set, *ordinal).is_none() {
        let handoff = json!({"ordinal": ordinal, "epoch": ctx.command.epoch});
        slice_patch::fence(ctx, &set, *ordinal, &handoff).await?;
    }
    let volumes = rebind::run(ctx, &recorded).await?;
    epochs::keep(ctx, &kept).await?;
    let handoff = start::handoff(ctx, &change).await?;
    let started = start::run(ctx, START, &change, &handoff).await?;
    Ok(Reclaimed {
        pod_uid: started.pod_uid,
        pod_address: started.pod_address,
        node: Some(started.node),
        volumes,
        epoch_kept: ctx.command.epoch,
    })
}
