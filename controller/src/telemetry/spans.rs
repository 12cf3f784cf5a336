//! The controller's spans: the migration, each handoff in it, the steps it takes itself, and each command.
//!
//! An agent that carries a command out hangs its own span and its steps under the command's, whose id follows from the
//! command's. Steps 2, 3, 5 to 10, 12 and 13 are agents'; those that the controller decides are sent from here. Times
//! are the ledger's, so a migration that outlives a restart is one span all the same.

use ferry_core::{CommandId, Migration, Millis, OrdinalProgress, StepTime, migration::step_name};
use ferry_telemetry::trace::{Span, Traces, at_ms, span_of, trace_of};

use super::{
    commands,
    commands::{Ending, UnderWay},
    metrics::phase_name,
};

/// Steps that the controller takes: it reserves, calls the hook, and watches endpoints converge.
const OWN_STEPS: [u32; 3] = [1, 4, 11];

/// Makes and sends the spans of one migration.
pub(super) struct Spans<'a> {
    pub(super) traces: &'a Traces,
    pub(super) trust_domain: &'a str,
    pub(super) migration: &'a Migration,
}

impl Spans<'_> {
    fn id(&self) -> &str {
        self.migration.id.as_str()
    }

    fn root(&self) -> [&str; 2] {
        ["migration", self.id()]
    }

    /// A span of this migration without a parent, with what all of them say.
    fn span(&self, words: &[&str], name: String, (started, ended): (Millis, Millis)) -> Span {
        Span {
            trace: trace_of(self.trust_domain, self.id()),
            id: span_of(words),
            parent: None,
            parent_elsewhere: false,
            name: name.into(),
            started: at_ms(started.0),
            ended: at_ms(ended.0),
            attributes: vec![
                ("ferry.migration", self.id().to_owned().into()),
                ("ferry.workload", self.migration.workload.to_string().into()),
            ],
            failed: None,
        }
    }

    /// The migration, which is over.
    pub(super) fn migration(&self, now: Millis) {
        let migration = self.migration;
        let times = (migration.started_at, migration.ended_at.unwrap_or(now));
        let mut span = self.span(&self.root(), format!("migrate {}", migration.workload), times);
        span.attributes.extend([
            ("ferry.from", migration.from.as_str().to_owned().into()),
            ("ferry.to", migration.to.as_str().to_owned().into()),
            ("ferry.phase", phase_name(migration.phase).into()),
        ]);
        span.failed = (migration.phase != ferry_core::Phase::Completed).then(|| migration.message.clone());
        self.traces.send(span);
    }

    /// A handoff, which is over.
    pub(super) fn handoff(&self, progress: &OrdinalProgress, started: Millis, ended: Millis) {
        let ordinal = progress.ordinal.to_string();
        let name = format!("hand over {}", self.migration.workload.pod(progress.ordinal));
        let mut span = self.span(&["handoff", self.id(), &ordinal], name, (started, ended));
        span.parent = Some(span_of(&self.root()));
        span.attributes.push(("ferry.ordinal", i64::from(progress.ordinal).into()));
        self.traces.send(span);
    }

    /// A step that ended, if it is the controller's.
    pub(super) fn step(&self, progress: &OrdinalProgress, step: &StepTime, ended: Millis) {
        if !OWN_STEPS.contains(&step.step) {
            return;
        }
        let (ordinal, number) = (progress.ordinal.to_string(), step.step.to_string());
        let begun = step.started_at.0.to_string();
        let name = format!("step {number} {}", step_name(step.step));
        let words = ["step", self.id(), &ordinal, &number, &begun];
        let mut span = self.span(&words, name, (step.started_at, ended));
        span.parent = Some(span_of(&["handoff", self.id(), &ordinal]));
        span.attributes.extend([
            ("ferry.ordinal", i64::from(progress.ordinal).into()),
            ("ferry.step", i64::from(step.step).into()),
            ("ferry.evidence", step.message.clone().into()),
        ]);
        self.traces.send(span);
    }

    /// A command that ended.
    pub(super) fn command(&self, id: &CommandId, under_way: &UnderWay, ending: &Ending, now: Millis) {
        let command = commands::name(id);
        let name = format!("{} in {}", command.verb, under_way.cluster);
        let mut span = self.span(&["command", id.as_str()], name, (under_way.since, now));
        span.parent = Some(match command.ordinal {
            Some(ordinal) => span_of(&["handoff", self.id(), &ordinal.to_string()]),
            None => span_of(&self.root()),
        });
        span.attributes.extend([
            ("ferry.command", id.as_str().to_owned().into()),
            ("ferry.cluster", under_way.cluster.as_str().to_owned().into()),
            ("ferry.epoch", i64::try_from(under_way.epoch.0).unwrap_or(i64::MAX).into()),
            ("ferry.outcome", ending.outcome.into()),
        ]);
        span.attributes.extend(command.ordinal.map(|ordinal| ("ferry.ordinal", i64::from(ordinal).into())));
        span.failed = (ending.outcome != "evidence").then(|| ending.message.clone());
        self.traces.send(span);
    }
}
