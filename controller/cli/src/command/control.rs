//! `ferry pause`, `resume`, `rollback`, `attest`, `finish`: what a person asks of a migration.
//!
//! Each asks once and says what the controller answered; what follows from it is followed with `ferry watch`. With `-o json`
//! the migration is printed as the controller sees it right after, by `finish` its certificate alone. Where there is something
//! sensible to do next, it is said on standard error.

use crate::{
    args::{AttestVerb, Finish, Pause, Resume, Rollback},
    certificate,
    error::Failure,
    run::Context,
    shape::Migration,
    terminal,
};

pub(crate) async fn pause(context: &Context, args: Pause) -> Result<(), Failure> {
    let mut migration = context.admin().await?.pause(args.id.clone()).await?;
    if args.wait && !stopped(&migration) {
        if !context.is_json() {
            context.note(&said(&migration, "pauses"));
        }
        let mut changes = context.admin().await?.watch(args.id).await?;
        while let Some(change) = changes.next().await? {
            migration = change;
            if stopped(&migration) {
                break;
            }
        }
    }
    show(context, &migration, if stopped(&migration) { "paused" } else { "pauses" })?;
    if !migration.ended() {
        context.note(&format!("Let it go on: {} resume {}", context.program, migration.id));
    }
    Ok(())
}

/// Whether it has come to its safe point, or to its end before that.
fn stopped(migration: &Migration) -> bool {
    migration.ended() || migration.control.as_ref().is_some_and(|control| control.stopped)
}

pub(crate) async fn resume(context: &Context, args: Resume) -> Result<(), Failure> {
    let migration = context.admin().await?.resume(args.id).await?;
    show(context, &migration, "resumed")?;
    watch(context, &migration)
}

pub(crate) async fn rollback(context: &Context, args: Rollback) -> Result<(), Failure> {
    let migration = context.admin().await?.rollback(args.id, args.all).await?;
    show(context, &migration, "rolling back")?;
    watch(context, &migration)
}

pub(crate) async fn attest(context: &Context, verb: AttestVerb) -> Result<(), Failure> {
    let AttestVerb::Fenced(args) = verb;
    let migrations = context.admin().await?.attest(args.node, args.reason).await?;
    if context.is_json() {
        return terminal::json(&migrations, false);
    }
    for migration in &migrations {
        show(context, migration, "goes on")?;
        watch(context, migration)?;
    }
    Ok(())
}

pub(crate) async fn finish(context: &Context, args: Finish) -> Result<(), Failure> {
    let migration = context.admin().await?.finish(args.id, args.accept).await?;
    let Some(certificate) = &migration.certificate else {
        return Err(Failure::NotUnderstood { what: "certificate", found: "(nothing)".to_owned() });
    };
    if context.is_json() {
        terminal::json(certificate, false)?;
    } else {
        terminal::out(&certificate::text(&migration, certificate, context.terminal.paint_out()))?;
    }
    if certificate.is_clean() && !certificate.accepted && !certificate.tombstones.is_empty() {
        context.note(&format!(
            "Nothing will make the StatefulSet anew in {}? Then: {} finish {} --accept",
            certificate.cluster, context.program, migration.id
        ));
    }
    Ok(())
}

fn watch(context: &Context, migration: &Migration) -> Result<(), Failure> {
    if !migration.ended() {
        context.note(&format!("Watch it: {} watch {}", context.program, migration.id));
    }
    Ok(())
}

fn show(context: &Context, migration: &Migration, what: &str) -> Result<(), Failure> {
    if context.is_json() {
        return terminal::json(migration, false);
    }
    terminal::out(&format!("{}\n", said(migration, what)))
}

fn said(migration: &Migration, what: &str) -> String {
    let (id, message) = (&migration.id, &migration.message);
    if message.starts_with(what) {
        return format!("migration {id} {message}");
    }
    let colon = if message.is_empty() { "" } else { ": " };
    format!("migration {id} {what}{colon}{message}")
}
