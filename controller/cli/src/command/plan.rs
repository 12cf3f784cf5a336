//! `ferry plan`: what a move would do, and whether it may.
//!
//! It changes nothing in any cluster. The explanation is whole even when the plan is refused, with every refusal in it,
//! and the exit code tells the two apart, for scripts and for [`super::migrate`], which runs only what [`accepted`] lets
//! pass: a plan that has a hash and no refusal. Text is made in [`crate::explain_plan`].

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
        ordinals: args.choice.ordinals(),
        storage_classes: args.choice.classes(),
        deadlines: args.choice.deadlines(),
        on_failure: args.choice.on_failure,
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
