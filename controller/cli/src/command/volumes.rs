//! `ferry volumes`: the ledger.
//!
//! Every volume of every StatefulSet, by domain, driver and handle, with the cluster that owns it. Filtering is done by
//! the controller; a conflict is shown in red with both clusters and the controller's words. An empty list is said on
//! standard error, so that a script that reads lines reads none. All namespaces are shown unless `-n` narrows them: a
//! ledger that hides a part by default would be trusted for what it does not show.

use crate::{args::Volumes, error::Failure, run::Context, shape::List, table, terminal};

pub(crate) async fn run(context: &Context, args: Volumes) -> Result<(), Failure> {
    let namespace = context.global.namespace.clone().unwrap_or_default();
    let (workload, cluster) = (args.workload.unwrap_or_default(), args.cluster.unwrap_or_default());
    let volumes = context.admin().await?.volumes(namespace, workload, cluster).await?;
    if context.is_json() {
        return terminal::json(&List { items: volumes }, false);
    }
    if volumes.is_empty() {
        context.note("No volumes found.");
        return Ok(());
    }
    terminal::out(&table::volumes(&volumes, context.terminal.paint_out()))
}
