//! `Release` (handoff.md section 5, steps 5 to 8): the source lets go of one ordinal and proves it.
//!
//! Preconditions: the StatefulSet of that uid with the slice of before, or of after (then the patch is made already);
//! the volumes of the ledger; a node that ran the ordinal. `stop` takes the ordinal out of the slice and waits for the
//! pod's end, `detach` proves that no node holds the disks, `unclaim` puts tombstones in the claims' place.
//!
//! Each part finds its own work done. What a new process could not see in the cluster otherwise (which pod, which
//! node) stands in the command and, as it was at the patch, in the set's annotation `ferry.dev/handoff`.

use ferry_proto::agent::v1::{NodeIdentity, Release, Released};

use super::{api::Halted, epochs, volumes::Recorded};
use crate::{context::Context, outcome::Stop};

mod detach;
mod stop;
mod unclaim;

/// What the parts work with.
struct Work<'a> {
    ctx: &'a Context,
    command: &'a Release,
    /// The ordinal's volumes as the ledger recorded them.
    volumes: Vec<Recorded>,
    /// Names of the claims.
    claims: Vec<String>,
}

/// Who ran the ordinal.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ran {
    /// UID of the pod that ended.
    pod_uid: String,
    /// Every node that may have written: the one that was held and, if it is another, the one at the patch.
    nodes: Vec<NodeIdentity>,
}

/// Releases the ordinal.
pub(super) async fn run(ctx: &Context, command: &Release) -> Halted<Released> {
    let volumes = Recorded::parse_all(&command.volumes)?;
    let claims = volumes.iter().map(|recorded| super::object::name(&recorded.claim).to_owned()).collect();
    if command.node.as_ref().is_none_or(|node| node.name.is_empty() || node.uid.is_empty()) {
        return Err(Stop::not_understood("The command does not say which node ran the ordinal").into());
    }
    let work = Work { ctx, command, volumes, claims };
    epochs::keep(ctx, &[(command.ordinal, ctx.command.epoch)]).await?;
    let ran = stop::run(&work).await?;
    detach::run(&work, &ran).await?;
    // The proof took time: claims go only if the fence and the end of the pod still hold (H32).
    epochs::keep(ctx, &[(command.ordinal, ctx.command.epoch)]).await?;
    stop::ended(&work, &ran).await?;
    let volumes = unclaim::run(&work).await?;
    ctx.progress.started(8, "gathering the evidence").await;
    let node = ran.nodes.into_iter().last();
    let epoch_kept = ctx.command.epoch;
    ctx.progress.done(8, format!("ordinal {} is released at epoch {epoch_kept}", command.ordinal));
    Ok(Released { pod_uid: ran.pod_uid, volumes, node, detached: true, epoch_kept })
}
