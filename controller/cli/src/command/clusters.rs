//! `ferry clusters`: who is attached, and in which state.
//!
//! Shows every cluster whose agent was ever attached, because one that is missing from a list is not noticed: a detached
//! one stays, with the time of its last sign of life. What is wrong with a cluster is the controller's judgement; here it
//! is shown. An agent of another version than the controller's works as long as both speak the same wire, and is marked. An empty list says how the first cluster comes into it.

use jiff::Timestamp;

use crate::{error::Failure, run::Context, shape::List, table, terminal};

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let mut admin = context.admin().await?;
    let clusters = admin.clusters().await?;
    if context.is_json() {
        return terminal::json(&List { items: clusters }, false);
    }
    if clusters.is_empty() {
        context.note(&format!(
            "No cluster was ever attached. Make a token for an agent: {} token create cluster NAME",
            context.program
        ));
        return Ok(());
    }
    // Without it the table lacks a hint, and nothing else.
    let version = admin.version().await.ok().map(|server| server.version);
    terminal::out(&table::clusters(
        &clusters,
        version.as_deref(),
        Timestamp::now(),
        context.terminal.paint_out(),
    ))
}
