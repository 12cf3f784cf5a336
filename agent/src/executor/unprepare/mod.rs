//! `Unprepare` (handoff.md section 4, undone): both clusters as they were before the migration.
//!
//! Preconditions: every ordinal of the migration is in the source, none in the target. The epochs are kept first, with
//! the command's number, so that no command of this migration that comes late passes any more; the ConfigMap with the
//! epochs stays in both clusters, for fences have to outlive what they fence.
//!
//! On the source ([`source`]) the recorded originals come back and Ferry's annotations go. On the target ([`target`])
//! goes what bears the mark of this migration, and only while nobody else has changed or uses it. Never a
//! PersistentVolume, in neither. Last goes the guard, unless it stood for an earlier migration. What is left is said, with the reason.

use ferry_proto::agent::v1::{Unprepare, Unprepared};

use super::{api::Halted, dependencies, epochs};
use crate::{context::Context, guard};

mod source;
mod target;

const STEP: u32 = 0;

/// Takes preparation back.
pub(super) async fn run(ctx: &Context, command: &Unprepare) -> Halted<Unprepared> {
    let ctx = &ctx.undoing();
    let side = if command.target { "target" } else { "source" };
    ctx.progress.started(STEP, format!("taking the preparation as the {side} back")).await;
    if command.target {
        // An interrupted preparation may not have made it, and the epochs that fence it need a place.
        dependencies::namespace(ctx).await?;
    }
    epochs::keep_command(ctx, &epochs::pairs(&command.epochs)).await?;
    let mut left =
        if command.target { target::run(ctx, command).await? } else { source::run(ctx, command).await? };
    guard::take_back(ctx).await?;
    left.push(format!(
        "ConfigMap/{}{}: it keeps the epochs, which fence commands of the past",
        epochs::PREFIX,
        ctx.command.workload
    ));
    ctx.progress.done(STEP, format!("what was prepared as the {side} is taken back"));
    Ok(Unprepared { left })
}
