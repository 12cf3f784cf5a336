//! What a command is doing, on its way to the controller.
//!
//! Progress is for people and for the display of a migration; nothing is decided by it. So it must never hold an
//! executor up: [`Queue`] is bounded, drops its oldest message when the controller is away for long, and folds a
//! `waiting` that follows another of the same step into one. What must not be lost travels in the outcome.
//!
//! Executors say `started(step, ..)` at each step's beginning: that is also where a test may hold them (`hold`,
//! behind the cargo feature `hold-points`).

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use ferry_proto::agent::v1::{Progress, StepState};
use tokio::sync::Notify;

use crate::{limits, outcome::bounded, telemetry::Watch};

pub mod hold;

/// Progress of all commands, in order, until the session takes it.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    messages: Mutex<VecDeque<Progress>>,
    arrived: Notify,
}

impl Queue {
    /// The oldest message; waits for one. To be called by one task at a time; cancel-safe.
    pub async fn next(&self) -> Progress {
        loop {
            if let Some(message) = self.lock().pop_front() {
                return message;
            }
            self.0.arrived.notified().await;
        }
    }

    /// A reporter for one command.
    pub fn reporter(&self, command_id: &str) -> Reporter {
        Reporter {
            command_id: command_id.into(),
            queue: self.clone(),
            step: Arc::default(),
            undoes: false,
            watch: None,
        }
    }

    fn push(&self, message: Progress) {
        {
            let mut messages = self.lock();
            let waiting = i32::from(StepState::Waiting);
            match messages.back_mut() {
                Some(last)
                    if last.command_id == message.command_id
                        && last.step == message.step
                        && last.state == waiting
                        && message.state == waiting =>
                {
                    *last = message;
                }
                _ => {
                    if messages.len() == limits::PROGRESS_QUEUE {
                        messages.pop_front();
                    }
                    messages.push_back(message);
                }
            }
        }
        self.0.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Progress>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what one command is doing.
#[derive(Clone)]
pub struct Reporter {
    command_id: Arc<str>,
    queue: Queue,
    step: Arc<AtomicU32>,
    undoes: bool,
    watch: Option<Watch>,
}

impl Reporter {
    /// The same, whose steps are watched too.
    #[must_use]
    pub fn watched_by(self, watch: &Watch) -> Self {
        Self { watch: Some(watch.clone()), ..self }
    }

    /// The same for a command that takes steps back: it reports the numbers of those steps, and tests hold it at points
    /// of its own.
    #[must_use]
    pub fn undoing(&self) -> Self {
        Self { undoes: true, ..self.clone() }
    }

    /// Step `step` (handoff.md section 5; 0 for preparation) begins. Waits only where a test holds it.
    pub async fn started(&self, step: u32, message: impl Into<String>) {
        self.step.store(step, Ordering::Relaxed);
        self.say(step, StepState::Started, message.into());
        if self.undoes {
            hold::at_undo(step).await;
        } else {
            hold::at_step(step).await;
        }
    }

    /// The step waits for what `message` says.
    pub fn waiting(&self, step: u32, message: impl Into<String>) {
        self.say(step, StepState::Waiting, message.into());
    }

    /// The step is done.
    pub fn done(&self, step: u32, message: impl Into<String>) {
        self.say(step, StepState::Done, message.into());
    }

    /// The step begun last; 0 before the first.
    pub fn step(&self) -> u32 {
        self.step.load(Ordering::Relaxed)
    }

    fn say(&self, step: u32, state: StepState, message: String) {
        match state {
            StepState::Started | StepState::Done => tracing::info!(step, ?state, "{message}"),
            _ => tracing::debug!(step, ?state, "{message}"),
        }
        if let Some(watch) = &self.watch {
            watch.said(step, state, &message);
        }
        let command_id = self.command_id.to_string();
        self.queue.push(Progress { command_id, step, state: state.into(), message: bounded(message) });
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
