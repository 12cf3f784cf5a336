//! `ferry plan`: what a move would do, and whether it may.

use jiff::Timestamp;

use crate::{
    admin::Move,
    args::Plan,
    error::Failure,
    explain_plan,
    run::Context,
    shape::{self},
    terminal,
};

/// Where a StatefulSet is looked for when nobody says.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

pub(crate) async fn run(context: &Context, args: Plan) -> Result<(), Failure> {
    let what = Move {
        namespace: context.global.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        workload: args.workload,
        from: args.from.unwrap_or_default(),
        to: args.to,
        order: args.order,
    };
    let plan = context.admin().await?.plan(what).await?;
    if context.is_json() {
        terminal::json(&plan, false)?;
    } else {
        let text =
            explain_plan::whole(&plan, Timestamp::now(), context.program, context.terminal.paint_out());
        terminal::out(&text)?;
    }
    accepted(&plan).map(|_| ())
}

/// The hash of a plan that may run.
pub(crate) fn accepted(plan: &shape::Plan) -> Result<&str, Failure> {
    match (&plan.hash, plan.refusals()) {
        (Some(hash), 0) => Ok(hash),
        (_, refusals) => Err(Failure::PlanRefused { refusals }),
    }
}
