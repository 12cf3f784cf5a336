//! `Fence` (handoff.md section 5, undo of steps 9 and 10): the target will not take the ordinal any more, and holds
//! nothing of it.
//!
//! Preconditions: the StatefulSet of that uid with the slice of after Adopt, or of before it. The epoch is kept first,
//! then written to the set: from there on nothing that was decided for the adoption can start a pod. `leave` takes the
//! ordinal out of the slice and waits for its pod's end; the proof of detach is the release's own; `give_back` puts
//! tombstones in the claims' place and forgets the PersistentVolumes, `Retain` read back.
//!
//! Taken back is what bears the epoch of an adoption, one below the command's; anything else that names the disks stops
//! it. A PersistentVolume that a paused process of the adoption makes after all this is reserved for the name of
//! a claim under which a tombstone stands: it is never Bound, and the next hold forgets it.

use ferry_proto::agent::v1::{Fence, Fenced};

use super::{
    api::{self, ATTACHMENT, Halt, Halted, VOLUME},
    epochs, object,
    release::{Ran, Steps, Work, detach, stop},
    slice_patch::Change,
    stateful_set,
    volumes::Recorded,
};
use crate::{context::Context, outcome::Stop};

mod give_back;
mod leave;

/// Steps 9 and 10 are taken back: the pod and its disks' detach as 10, claims and volumes as 9.
const STEPS: Steps = Steps { pod: 10, detach: 10, claims: 9 };

/// Fences the ordinal.
pub(super) async fn run(ctx: &Context, command: &Fence) -> Halted<Fenced> {
    let ctx = &ctx.undoing();
    let Fence { ordinal, stateful_set_uid, from_slice, to_slice, volumes, attested_nodes } = command;
    let volumes = Recorded::parse_all(volumes)?;
    let claims = volumes.iter().map(|recorded| object::name(&recorded.claim).to_owned()).collect();
    let change = Change::of(*ordinal, stateful_set_uid, *from_slice, *to_slice)?;
    let held = Ran::default();
    let work =
        Work { ctx, change, held, volumes, claims, steps: STEPS, everywhere: true, attested: attested_nodes };
    let kept = [(*ordinal, ctx.command.epoch)];
    epochs::keep(ctx, &kept).await?;
    let left = leave::run(&work).await?;
    detach::run(&work, &left.ran).await?;
    // The proof took time: claims go only if the fence and the end of the pod still hold (H32).
    epochs::keep(ctx, &kept).await?;
    if leave::ended(&work, &left.ran).await? != left.ran {
        return Err(Halt::Again("the pod was on another node meanwhile".to_owned()));
    }
    stop::unused(&work).await?;
    let given = give_back::run(&work).await?;
    nothing_left(&work).await?;
    let set = stateful_set::read(ctx, stateful_set_uid).await?;
    Ok(Fenced {
        epoch_kept: ctx.command.epoch,
        slice: Some(object::slice(&set)),
        nodes: left.ran.nodes,
        pod_uid: left.ran.pod_uid,
        detached: true,
        nothing_found: !left.was_in_slice && !given.had_claims && given.pv_names.is_empty(),
        pv_names: given.pv_names,
    })
}

/// Reads once more what the evidence says.
async fn nothing_left(work: &Work<'_>) -> Halted<()> {
    if work.volumes.is_empty() {
        return Ok(());
    }
    for volume in api::list(work.ctx, VOLUME, "").await? {
        if work.volumes.iter().any(|recorded| recorded.id == object::volume_id(&volume)) {
            return Err(Halt::Again(format!(
                "PersistentVolume {} names a disk of the ordinal again",
                object::name(&volume)
            )));
        }
    }
    for attachment in api::list(work.ctx, ATTACHMENT, "").await? {
        let volume = object::text(&attachment, "/spec/source/persistentVolumeName");
        if work.volumes.iter().any(|recorded| object::name(&recorded.volume) == volume) {
            return Err(Stop::conflict(format!(
                "VolumeAttachment {} of volume {volume} was made anew by somebody else. Find out who attaches it",
                object::name(&attachment)
            ))
            .into());
        }
    }
    Ok(())
}
