//! `Release` (handoff.md section 5, steps 5 to 8): the source lets go of one ordinal and proves it.
//!
//! Preconditions: the StatefulSet of that uid with the slice of before, or of after (then the patch is made already);
//! the volumes of the ledger; a node that ran the ordinal. `stop` takes the ordinal out of the slice and waits for the
//! pod's end, `detach` proves that no node holds the disks, `unclaim` puts tombstones in the claims' place.
//!
//! Each part finds its own work done. What a new process could not see in the cluster otherwise (which pod, which
//! node) stands in the command and, as it was at the patch, in the set's annotation `ferry.dev/handoff`.

use ferry_proto::agent::v1::{NodeIdentity, Release, Released};
use futures::future::{join, try_join};

use super::{api::Halted, epochs, slice_patch::Change, stateful_set, volumes::Recorded};
use crate::{context::Context, outcome::Stop};

pub(super) mod detach;
pub(super) mod stop;
pub(super) mod unclaim;

/// What the parts work with.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context,
    /// What changes of the slice.
    pub(super) change: Change,
    /// Who ran the ordinal, by the command's word.
    pub(super) held: Ran,
    /// The ordinal's volumes as the ledger recorded them.
    pub(super) volumes: Vec<Recorded>,
    /// Names of the claims.
    pub(super) claims: Vec<String>,
    /// The steps that the parts report.
    pub(super) steps: Steps,
    /// Whether any node may have had the disks, not only those that are known to have run the pod.
    pub(super) everywhere: bool,
    /// Nodes of which a person attested that nothing on them writes any more.
    pub(super) attested: &'a [String],
}

/// Numbers of the steps in handoff.md section 5 that the parts report: an undo has those of what it undoes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// The end of the pod.
    pub(super) pod: u32,
    /// The proof of detach.
    pub(super) detach: u32,
    /// Tombstones instead of claims.
    pub(super) claims: u32,
}

/// Who ran the ordinal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ran {
    /// UID of the pod that ended.
    pub(super) pod_uid: String,
    /// Every node that may have written: the one that was held and, if it is another, the one at the patch.
    pub(super) nodes: Vec<NodeIdentity>,
}

/// Releases the ordinal.
pub(super) async fn run(ctx: &Context, command: &Release) -> Halted<Released> {
    let volumes = Recorded::parse_all(&command.volumes)?;
    let claims = volumes.iter().map(|recorded| super::object::name(&recorded.claim).to_owned()).collect();
    if command.node.as_ref().is_none_or(|node| node.name.is_empty() || node.uid.is_empty()) {
        return Err(Stop::not_understood("The command does not say which node ran the ordinal").into());
    }
    let Release { ordinal, stateful_set_uid, from_slice, to_slice, .. } = command;
    let change = Change::of(*ordinal, stateful_set_uid, *from_slice, *to_slice)?;
    let held = Ran { pod_uid: command.pod_uid.clone(), nodes: command.node.clone().into_iter().collect() };
    let steps = Steps { pod: 5, detach: 6, claims: 7 };
    let work = Work {
        ctx,
        change,
        held,
        volumes,
        claims,
        steps,
        everywhere: false,
        attested: &command.attested_nodes,
    };
    let fence = [(command.ordinal, ctx.command.epoch)];
    let (kept, set) = join(epochs::keep(ctx, &fence), stateful_set::read(ctx, stateful_set_uid)).await;
    kept?;
    let ran = stop::run(&work, set?).await?;
    try_join(stop::unused(&work), detach::run(&work, &ran)).await?;
    // The proof took time: claims go only if the fence and the end of the pod still hold (H32).
    try_join(epochs::keep(ctx, &fence), stop::ended(&work, &ran)).await?;
    let volumes = unclaim::run(&work).await?;
    // Last: when a volume is Released, who attaches disks for pods knows no claim any more that leads to it.
    detach::still(&work).await?;
    ctx.progress.started(8, "gathering the evidence").await;
    let node = ran.nodes.into_iter().last();
    let epoch_kept = ctx.command.epoch;
    ctx.progress.done(8, format!("ordinal {} is released at epoch {epoch_kept}", command.ordinal));
    Ok(Released { pod_uid: ran.pod_uid, volumes, node, detached: true, epoch_kept })
}
