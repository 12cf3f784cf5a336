//! `ferry clusters`: who is attached, and in which state.
//!
//! Shows every cluster whose agent was ever attached, because one that is missing from a list is not noticed: a detached
//! one stays, with the time of its last sign of life. What is wrong with a cluster is the controller's judgement; here it
//! is shown. An empty list says how the first cluster comes into it.

use jiff::Timestamp;

use crate::{error::Failure, run::Context, shape::List, table, terminal};

pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let clusters = context.admin().await?.clusters().await?;
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
    terminal::out(&table::clusters(&clusters, Timestamp::now(), context.terminal.paint_out()))
}
