//! `ferry runbook`: a script that ends a migration with kubectl alone.
//!
//! The script goes to standard output, whole; what to do with it to standard error. It is made in [`crate::runbook`] from the
//! migration as it is now. With `-o json` it is one string in a document, for who archives it with other things.
//! Nothing is run by this command, and no cluster is asked.

use crate::{args::Runbook, error::Failure, run::Context, runbook, terminal};

pub(crate) async fn run(context: &Context, args: Runbook) -> Result<(), Failure> {
    let migration = context.admin().await?.watch(args.id.clone()).await?.next().await?;
    let migration = migration
        .ok_or(Failure::NotUnderstood { what: "watch of one migration", found: "(nothing)".to_owned() })?;
    let script = runbook::text(&migration);
    if context.is_json() {
        return terminal::json(&serde_json::json!({ "migration": migration.id, "script": script }), false);
    }
    terminal::out(&script)?;
    context.note(&format!(
        "Keep it with your backups. It is for the day on which the controller is gone for good: until then use \
         `{0} pause`, `{0} resume` and `{0} rollback`.",
        context.program
    ));
    Ok(())
}
