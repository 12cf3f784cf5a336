//! Carries out the commands that change the cluster, one file each.

use ferry_proto::agent::v1::command::Body;

use crate::{
    context::Context,
    outcome::{Ended, Stop},
};

/// Carries `body` out. Inspections never come here.
///
/// # Errors
/// A refusal or what is not known: see [`Stop`].
#[allow(clippy::unused_async, reason = "executors come next")]
pub async fn run(ctx: &Context, body: Body) -> Ended {
    let _ = (ctx, body);
    Err(Stop::not_understood("this agent does not know that command"))
}
