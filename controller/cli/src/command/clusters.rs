//! `ferry clusters`: who is attached, and in which state.

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
