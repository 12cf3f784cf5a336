//! Reads what a plan needs: the checks K* that one cluster can see, and the workload's description. Writes nothing.

use ferry_proto::agent::v1::{InspectSource, InspectTarget};

use crate::{
    context::Context,
    outcome::{Ended, Stop},
};

/// Describes the command's workload and checks it as a source.
///
/// # Errors
/// What could not be read: see [`Stop`].
#[allow(clippy::unused_async, reason = "checks come next")]
pub async fn source(ctx: &Context, command: InspectSource) -> Ended {
    let _ = (ctx, command);
    Err(Stop::not_understood("this agent does not know that command"))
}

/// Checks this cluster as the target of a described workload.
///
/// # Errors
/// What could not be read: see [`Stop`].
#[allow(clippy::unused_async, reason = "checks come next")]
pub async fn target(ctx: &Context, command: InspectTarget) -> Ended {
    let _ = (ctx, command);
    Err(Stop::not_understood("this agent does not know that command"))
}
