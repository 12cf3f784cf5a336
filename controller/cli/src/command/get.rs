//! `ferry get`: migrations as a table, or one of them with its replicas.
//!
//! One migration is read through the watch, whose first message is its state now: a list is bounded and may not reach
//! back to it. `migrations` and `migration` are taken as the words they are for users of kubectl (no id is one). What is
//! shown is a state, not a film: that is `ferry watch`.

use jiff::Timestamp;

use crate::{
    args::Get,
    error::Failure,
    run::Context,
    shape::{List, Migration},
    table, terminal,
};

pub(crate) async fn run(context: &Context, args: Get) -> Result<(), Failure> {
    let mut admin = context.admin().await?;
    let paint = context.terminal.paint_out();
    if let Some(id) = args.id.filter(|word| !matches!(word.as_str(), "migrations" | "migration")) {
        let mut changes = admin.watch(id.clone()).await?;
        let migration = changes.next().await?.ok_or(Failure::NotUnderstood {
            what: "watch of one migration",
            found: "(nothing)".to_owned(),
        })?;
        return one(context, &migration);
    }
    let namespace = context.global.namespace.clone().unwrap_or_default();
    let migrations = admin.migrations(namespace, String::new()).await?;
    if context.is_json() {
        return terminal::json(&List { items: migrations }, false);
    }
    if migrations.is_empty() {
        context.note("No migrations found.");
        return Ok(());
    }
    terminal::out(&table::migrations(&migrations, Timestamp::now(), paint))
}

fn one(context: &Context, migration: &Migration) -> Result<(), Failure> {
    if context.is_json() {
        return terminal::json(migration, false);
    }
    let (now, paint) = (Timestamp::now(), context.terminal.paint_out());
    let mut text = table::migrations(std::slice::from_ref(migration), now, paint);
    text.push('\n');
    text.push_str(&table::ordinals(migration, now, paint));
    if !migration.message.is_empty() {
        text.push_str(&format!("\n{}\n", migration.message));
    }
    terminal::out(&text)
}
