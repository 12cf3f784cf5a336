//! `ferry audit`: who did what.
//!
//! A page at a time, newest first, as the controller keeps it; the log itself is there and only read here. Where older
//! records follow, the command that shows them is said on standard error, so that a script's data stays data.
//! Nothing is filtered here but by what the controller can filter by.

use jiff::Timestamp;

use crate::{args::Audit, error::Failure, run::Context, table, terminal};

pub(crate) async fn run(context: &Context, args: Audit) -> Result<(), Failure> {
    let migration = args.migration.clone().unwrap_or_default();
    let page = context.admin().await?.audit(args.limit, args.before, migration).await?;
    if context.is_json() {
        return terminal::json(&page, false);
    }
    if page.items.is_empty() {
        context.note("No records found.");
        return Ok(());
    }
    terminal::out(&table::audit(&page.items, Timestamp::now(), context.terminal.paint_out()))?;
    if let Some(before) = page.next_before {
        let only = args.migration.map_or_else(String::new, |id| format!(" --migration {id}"));
        let limit = if args.limit == 100 { String::new() } else { format!(" --limit {}", args.limit) };
        context.note(&format!("Older ones: {} audit{only}{limit} --before {before}", context.program));
    }
    Ok(())
}
