//! `ferry describe`: everything about one migration.
//!
//! As in kubectl: the object, then what happened to it. The history of each step comes with the migration, who did what from
//! the audit log. With `-o json` both are one document. The text is made in [`crate::describe`].
//! What is shown is of one moment: for a film there is `ferry watch`.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    args::Describe,
    describe,
    error::Failure,
    limits::DESCRIBED_RECORDS,
    run::Context,
    shape::{AuditRecord, Migration},
    terminal,
};

#[derive(Serialize)]
struct Described {
    migration: Migration,
    audit: Vec<AuditRecord>,
}

pub(crate) async fn run(context: &Context, args: Describe) -> Result<(), Failure> {
    let id = match <[String; 2]>::try_from(args.id) {
        Ok([kind, id]) if matches!(kind.as_str(), "migration" | "migrations") => id,
        Ok([kind, _]) => return Err(Failure::NoSuchKind { found: kind }),
        Err(one) => one.into_iter().next().unwrap_or_default(),
    };
    let mut admin = context.admin().await?;
    let migration = admin.watch(id.clone()).await?.next().await?;
    let migration = migration
        .ok_or(Failure::NotUnderstood { what: "watch of one migration", found: "(nothing)".to_owned() })?;
    let audit = admin.audit(DESCRIBED_RECORDS, None, id).await?.items;
    if context.is_json() {
        return terminal::json(&Described { migration, audit }, false);
    }
    terminal::out(&describe::text(&migration, &audit, Timestamp::now(), context.terminal.paint_out()))
}
