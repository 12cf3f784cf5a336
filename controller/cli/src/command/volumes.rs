//! `ferry volumes`: the ledger.
//!
//! Every volume of every StatefulSet, in the order of workloads and ordinals, with the cluster that owns it. Filtering is done by
//! the controller; a conflict is shown in red with both clusters and the controller's words. An empty list is said on
//! standard error, so that a script that reads lines reads none. All namespaces are shown unless `-n` narrows them: a
//! ledger that hides a part by default would be trusted for what it does not show.

use crate::{
    args::Volumes,
    error::Failure,
    run::Context,
    shape::{List, Volume},
    table, terminal,
};

pub(crate) async fn run(context: &Context, args: Volumes) -> Result<(), Failure> {
    let namespace = context.global.namespace.clone().unwrap_or_default();
    let (workload, cluster) = (args.workload.unwrap_or_default(), args.cluster.unwrap_or_default());
    let mut volumes = context.admin().await?.volumes(namespace, workload, cluster).await?;
    volumes.sort_by(|a, b| place(a).cmp(&place(b)));
    if context.is_json() {
        return terminal::json(&List { items: volumes }, false);
    }
    if volumes.is_empty() {
        context.note("No volumes found.");
        return Ok(());
    }
    terminal::out(&table::volumes(&volumes, context.terminal.paint_out()))
}

/// Where a person looks for it: the ledger's own order is by domain, driver and handle.
fn place(volume: &Volume) -> (&str, &str, u32, &str, &str) {
    (&volume.namespace, &volume.workload, volume.ordinal, &volume.claim, &volume.handle)
}
