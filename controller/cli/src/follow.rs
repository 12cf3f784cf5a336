//! Following migrations: to the end of one, or all of them without end.
//!
//! The migration does not depend on being watched. So a lost controller is dialled again, with a pause that grows to
//! a bound, and the person is told that the migration goes on; Ctrl-C ends the watching, says the same, and is exit
//! code 130. The watch of one migration ends with it; a stream that ends before its migration did is a controller
//! that is being restarted, and is dialled again like one that was lost. A certificate that falls due for renewal
//! meanwhile is renewed by connecting afresh. How it is shown is [`crate::view`]'s business.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    admin::{Admin, Changes},
    error::Failure,
    limits,
    run::Context,
    shape::{Migration, Phase},
    terminal,
    view::{self, View},
};

/// Ctrl-C, from now on.
pub(crate) fn interrupt() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(|source| Failure::Signals { source })
}

/// Follows one migration to its end, or with no id every migration until interrupted. `first` is its state, if known.
pub(crate) async fn follow(
    context: &Context,
    id: Option<String>,
    first: Option<Migration>,
    interrupt: &mut Signal,
) -> Result<(), Failure> {
    let mut view = View::new(context, id.is_some());
    let outcome = tokio::select! {
        outcome = watch(context, id.as_deref(), first, &mut view) => outcome,
        _ = interrupt.recv() => Err(Failure::Interrupted { migration: id.clone() }),
    };
    view.leave(matches!(outcome, Err(Failure::Interrupted { .. })));
    match outcome {
        // Whoever read our lines has gone; the migration has not.
        Err(Failure::BrokenPipe) => Err(Failure::Interrupted { migration: id }),
        Ok(migration) => close(context, migration),
        Err(failure) => Err(failure),
    }
}

/// The closing summary, and the exit code.
fn close(context: &Context, migration: Migration) -> Result<(), Failure> {
    if !context.is_json() {
        terminal::out(&view::summary(&migration, context.terminal.paint_out()))?;
    }
    match migration.phase {
        Phase::Completed => Ok(()),
        _ => Err(Failure::Ended { migration: Box::new(migration) }),
    }
}

/// Connects again and again until the migration has ended.
async fn watch(
    context: &Context,
    id: Option<&str>,
    first: Option<Migration>,
    view: &mut View,
) -> Result<Migration, Failure> {
    if let Some(first) = first {
        view.see(first)?;
    }
    let mut loss = Loss { since: None, pause: limits::RETRY_FIRST };
    loop {
        let failure = match connect(context, id).await {
            Ok(mut changes) => {
                loss.over(view);
                match read(context, &mut changes, view).await {
                    Ok(Some(ended)) => return Ok(ended),
                    Ok(None) => None,
                    Err(failure) => Some(failure),
                }
            }
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failure {
            // Before anything was seen it is no loss: a wrong address should be said at once.
            if !failure.is_retryable() || !view.has_seen() {
                return Err(failure);
            }
            loss.again(failure, id, view)?;
        }
        view.redraw_for(loss.pause).await;
        loss.pause = (loss.pause * 2).min(limits::RETRY_LONGEST);
    }
}

/// How long the controller has been out of reach.
struct Loss {
    since: Option<Instant>,
    pause: Duration,
}

impl Loss {
    fn over(&mut self, view: &View) {
        if self.since.take().is_some() {
            view.notice("the controller is back");
        }
        self.pause = limits::RETRY_FIRST;
    }

    fn again(&mut self, failure: Failure, id: Option<&str>, view: &View) -> Result<(), Failure> {
        let since = *self.since.get_or_insert_with(|| {
            view.notice("controller unreachable, the migration goes on; retrying");
            Instant::now()
        });
        if since.elapsed() < limits::RETRY_GIVE_UP {
            return Ok(());
        }
        Err(Failure::LostController {
            after: limits::RETRY_GIVE_UP,
            migration: id.map(str::to_owned),
            source: Box::new(failure),
        })
    }
}

async fn connect(context: &Context, id: Option<&str>) -> Result<Changes, Failure> {
    let session = context.connect().await?;
    Admin::new(session, context.global.timeout.0).watch(id.unwrap_or_default().to_owned()).await
}

/// Reads until the migration ends, or until it is time to connect again.
async fn read(
    context: &Context,
    changes: &mut Changes,
    view: &mut View,
) -> Result<Option<Migration>, Failure> {
    let mut ticks = interval(limits::REDRAW_INTERVAL);
    let mut renewals = interval(limits::RENEWAL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    renewals.tick().await;
    loop {
        tokio::select! {
            change = changes.next() => {
                let Some(migration) = change? else { return Ok(None) };
                view.see(migration.clone())?;
                if view.one && migration.ended() {
                    return Ok(Some(migration));
                }
            }
            _ = ticks.tick() => view.redraw(),
            _ = renewals.tick() => {
                if context.store.load().is_ok_and(|credential| credential.renewal_due(Timestamp::now())) {
                    return Ok(None);
                }
            }
        }
    }
}
