//! `ferry migrate`: approval, start, and following it to the end.
//!
//! What runs is always a hash: one given with `--plan`, or that of the plan made here and approved by `--yes` or by
//! an answer on the terminal. Starting is repeated when the connection breaks before the answer, which is safe: the
//! controller knows the hash again and answers with the migration that already runs. The signal handler is set up
//! before the start, so that no Ctrl-C after it can end the command without the word that the migration goes on.

use std::io::BufRead;

use jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    admin::{Admin, Move},
    args::Migrate,
    command::plan::{DEFAULT_NAMESPACE, accepted},
    error::Failure,
    explain_plan, follow, limits,
    run::Context,
    shape::{Migration, Plan},
    terminal,
};

pub(crate) async fn run(context: &Context, args: Migrate) -> Result<(), Failure> {
    let mut admin = context.admin().await?;
    let hash = match (&args.plan, &args.workload, &args.to) {
        (Some(hash), _, _) => hash.clone(),
        (None, Some(workload), Some(to)) => {
            if !args.yes && !context.terminal.can_ask {
                return Err(Failure::NeedsApproval);
            }
            let what = Move {
                namespace: context.global.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
                workload: workload.clone(),
                from: args.from.clone().unwrap_or_default(),
                to: to.clone(),
                order: args.order,
                ordinals: args.choice.ordinals(),
                storage_classes: args.choice.classes(),
                deadlines: args.choice.deadlines(),
                on_failure: args.choice.on_failure,
            };
            approve(context, &admin.plan(what).await?, args.yes)?
        }
        _ => return Err(Failure::NothingNamed),
    };
    let mut interrupt = follow::interrupt()?;
    let migration = tokio::select! {
        started = start(context, admin, &hash) => started?,
        _ = interrupt.recv() => return Err(Failure::Interrupted { migration: None }),
    };
    mismatch(context, &args, &migration);
    if args.detach {
        return started(context, &migration);
    }
    follow::follow(context, Some(migration.id.clone()), Some(migration), &mut interrupt).await
}

/// Shows the plan and asks, unless the answer was given beforehand.
fn approve(context: &Context, plan: &Plan, yes: bool) -> Result<String, Failure> {
    let paint = context.terminal.paint_err();
    terminal::say(&explain_plan::summary(plan, paint));
    let hash = accepted(plan);
    if hash.is_err() && context.is_json() {
        terminal::json(plan, true)?;
    }
    let hash = hash?;
    if yes {
        return Ok(hash.to_owned());
    }
    terminal::say("\nStart it? [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(hash.to_owned())
    } else {
        Err(Failure::Declined)
    }
}

async fn start(context: &Context, mut admin: Admin, hash: &str) -> Result<Migration, Failure> {
    let mut pause = limits::RETRY_FIRST;
    let mut attempt = 1;
    loop {
        let failure = match admin.start(hash.to_owned()).await {
            Err(failure) if failure.is_retryable() && attempt < limits::START_ATTEMPTS => failure,
            answered => return answered,
        };
        context.warn(&format!(
            "{}; whether it started is not known: asking again, which is safe",
            crate::error::chain(&failure)
        ));
        sleep(pause).await;
        (attempt, pause) = (attempt + 1, (pause * 2).min(limits::RETRY_LONGEST));
        if let Ok(fresh) = context.admin().await {
            admin = fresh;
        }
    }
}

/// A hash stands for itself; if it is not what the rest of the line says, somebody pasted the wrong one.
fn mismatch(context: &Context, args: &Migrate, migration: &Migration) {
    let differs = |said: &Option<String>, is: &str| said.as_ref().is_some_and(|said| said != is);
    if differs(&args.workload, &migration.workload)
        || differs(&args.to, &migration.to)
        || differs(&args.from, &migration.from)
        || differs(&context.global.namespace, &migration.namespace)
    {
        context.warn(&format!(
            "that plan is of {}/{} from {} to {}, which differs from what the command line says; the plan runs",
            migration.namespace, migration.workload, migration.from, migration.to
        ));
    }
}

fn started(context: &Context, migration: &Migration) -> Result<(), Failure> {
    if context.is_json() {
        terminal::json(migration, true)?;
    } else {
        let since = migration.started_at.unwrap_or_else(Timestamp::now);
        terminal::out(&format!("migration {} started at {}\n", migration.id, crate::shape::rfc3339(since)))?;
    }
    context.note(&format!("Watch it: {} watch {}", context.program, migration.id));
    Ok(())
}
