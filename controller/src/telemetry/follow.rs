//! Follows the committed entries: a log line, a count and a span for each thing that happened to a migration.
//!
//! It stands in the event loop, after the commit and before the effects, so that nothing is said that a crash could
//! take back; it reads and never decides. Every line about a migration carries `migration` and `workload`, and
//! `ordinal`, `step`, `command`, `cluster` where it has them: docs/observability.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ferry_core::{
    ClusterName, Command, CommandId, Entry, Input, Migration, MigrationId, Millis, Ordinal, State, StepTime,
    migration::Event,
};

use super::{
    Telemetry, commands,
    commands::Commands,
    metrics::{phase_name, seconds},
    spans::Spans,
};

/// A batch that was just made durable.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// Its entries.
    pub entries: &'a [Entry],
    /// The state after them.
    pub state: &'a State,
    /// How long it took to make them durable.
    pub took: Duration,
    /// Now.
    pub now: Millis,
}

/// What of a running migration has been told already.
#[derive(Debug, Default)]
struct Told {
    /// Steps that ended, by ordinal, step and beginning.
    steps: BTreeSet<(Ordinal, u32, Millis)>,
    /// Handoffs that ended, by ordinal and beginning.
    handoffs: BTreeSet<(Ordinal, Millis)>,
}

/// Follows one event loop.
#[derive(Debug)]
pub struct Follower {
    telemetry: Arc<Telemetry>,
    commands: Commands,
    running: BTreeMap<MigrationId, Told>,
}

impl Follower {
    /// Goes on from a state that was recovered: what it holds was told by whoever made it.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, state: &State, now: Millis) -> Self {
        let running = state.work.keys().filter_map(|id| state.migrations.get(id));
        let running = running.map(|migration| (migration.id.clone(), Told::all_of(migration))).collect();
        Self { telemetry, commands: Commands::recovered(state, now), running }
    }

    /// An input is about to be decided on.
    pub fn heard(&mut self, input: &Input) {
        self.telemetry.metrics.inputs.inc();
        self.commands.hear(input);
    }

    /// A batch is durable.
    pub fn committed(&mut self, commit: Commit<'_>) {
        let metrics = &self.telemetry.metrics;
        metrics.entries.inc_by(commit.entries.len() as u64);
        metrics.commits.observe(commit.took.as_secs_f64());
        let mut touched = BTreeSet::new();
        for entry in commit.entries {
            if let Some(migration) = entry.migration().and_then(|id| commit.state.migrations.get(id)) {
                touched.insert(&migration.id);
                self.tell(entry, migration, commit.now);
            }
        }
        for id in touched {
            if let Some(migration) = commit.state.migrations.get(id) {
                self.tell_progress(migration, commit.now);
            }
        }
        self.commands.batch_over();
    }

    fn tell(&mut self, entry: &Entry, migration: &Migration, now: Millis) {
        let (id, workload) = (&migration.id, &migration.workload);
        match entry {
            Entry::MigrationStarted { .. } => {
                self.telemetry.metrics.started.inc();
                self.running.entry(id.clone()).or_default();
                tracing::info!(migration = %id, %workload, from = %migration.from, to = %migration.to,
                    by = migration.started_by, "a migration starts");
            }
            Entry::CommandIssued { cluster, command, .. } => self.issued(migration, cluster, command, now),
            Entry::CommandAnswered { command_id, .. } => self.answered(migration, command_id, now),
            Entry::SetBack { cluster, setback, .. } => {
                tracing::info!(migration = %id, %workload, %cluster, attempts = setback.attempts,
                    paused = setback.paused, why = setback.message, "an attempt led to nothing");
            }
            Entry::Moved { event, .. } => tell_event(migration, event),
            Entry::StepReported { ordinal, step, state, message, .. } => {
                tracing::debug!(migration = %id, %workload, ordinal, step, ?state, said = message, "an agent reports");
            }
            Entry::Said { message, .. } if !message.is_empty() => {
                tracing::info!(migration = %id, %workload, why = message, "the migration waits");
            }
            _ => {}
        }
    }

    fn issued(&mut self, migration: &Migration, cluster: &ClusterName, command: &Command, now: Millis) {
        self.commands.issued(command.id.clone(), cluster.clone(), command.epoch, now);
        let name = commands::name(&command.id);
        tracing::info!(migration = %migration.id, workload = %migration.workload, ordinal = name.ordinal,
            command = %command.id, %cluster, epoch = command.epoch.0, verb = name.verb, "a command is sent");
    }

    fn answered(&mut self, migration: &Migration, command: &CommandId, now: Millis) {
        let Some((under_way, ending)) = self.commands.ended(command) else { return };
        let name = commands::name(command);
        let metrics = &self.telemetry.metrics;
        metrics.commands.of([name.verb, ending.outcome]).inc();
        metrics.command_times.of([name.verb]).observe(seconds(now.since(under_way.since)));
        tracing::info!(migration = %migration.id, workload = %migration.workload, ordinal = name.ordinal,
            command = %command, cluster = %under_way.cluster, verb = name.verb, outcome = ending.outcome,
            why = ending.message, "a command ended");
        self.spans(migration).command(command, &under_way, &ending, now);
    }

    /// What ended of a migration since it was looked at last.
    fn tell_progress(&mut self, migration: &Migration, now: Millis) {
        let mut told = self.running.remove(&migration.id).unwrap_or_else(|| Told::all_of(migration));
        let spans = self.spans(migration);
        let metrics = &self.telemetry.metrics;
        for progress in &migration.ordinals {
            for step in &progress.steps {
                let Some(ended) = step.ended_at else { continue };
                if told.steps.insert((progress.ordinal, step.step, step.started_at)) {
                    let name = ferry_core::migration::step_name(step.step);
                    metrics.steps.of([name]).observe(seconds(ended.since(step.started_at)));
                    tell_step(migration, progress.ordinal, step);
                    spans.step(progress, step, ended);
                }
            }
            if let (Some(started), Some(ended)) = (progress.started_at, progress.ended_at)
                && told.handoffs.insert((progress.ordinal, started))
            {
                metrics.handoffs.observe(seconds(ended.since(started)));
                tracing::info!(migration = %migration.id, workload = %migration.workload,
                    ordinal = progress.ordinal, took_ms = ended.since(started), "a handoff ended");
                spans.handoff(progress, started, ended);
            }
        }
        if migration.phase.is_over() {
            let phase = phase_name(migration.phase);
            metrics.ended.of([phase]).inc();
            tracing::info!(migration = %migration.id, workload = %migration.workload, phase,
                why = migration.message, "a migration ended");
            spans.migration(now);
        } else {
            self.running.insert(migration.id.clone(), told);
        }
    }

    fn spans<'a>(&'a self, migration: &'a Migration) -> Spans<'a> {
        Spans { traces: &self.telemetry.traces, trust_domain: &self.telemetry.trust_domain, migration }
    }
}

impl Told {
    fn all_of(migration: &Migration) -> Self {
        let mut told = Self::default();
        for progress in &migration.ordinals {
            let ended = progress.steps.iter().filter(|step| step.ended_at.is_some());
            told.steps.extend(ended.map(|step| (progress.ordinal, step.step, step.started_at)));
            if let (Some(started), Some(_)) = (progress.started_at, progress.ended_at) {
                told.handoffs.insert((progress.ordinal, started));
            }
        }
        told
    }
}

fn tell_step(migration: &Migration, ordinal: Ordinal, step: &StepTime) {
    let took_ms = step.ended_at.map(|ended| ended.since(step.started_at));
    tracing::info!(migration = %migration.id, workload = %migration.workload, ordinal, step = step.step,
        name = ferry_core::migration::step_name(step.step), took_ms, evidence = step.message, "a step ended");
}

fn tell_event(migration: &Migration, event: &Event) {
    let (id, workload, what) = (&migration.id, &migration.workload, event.name());
    let in_flight = migration.ordinals.iter().find(|of| of.started_at.is_some() && of.ended_at.is_none());
    let (ordinal, step) = (in_flight.map(|of| of.ordinal), in_flight.map(|of| of.step));
    let cluster = match event {
        Event::SideHeld { cluster, .. } | Event::HoldLapsed { cluster } | Event::SideSettled { cluster } => {
            Some(cluster.as_str())
        }
        _ => None,
    };
    tracing::info!(migration = %id, %workload, ordinal, step, cluster, event = what, "the migration moves");
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
