//! One command as it is watched: its log fields, its count and time, its span and those of its steps, its events.
//!
//! A [`Watch`] lives as long as the command's task. Steps are told to it by the command's reporter, in order; a step
//! ends when it is done, when the next one begins, or with the command. The span's parent is the controller's, whose
//! id follows from the command's: nothing of traces is on the wire.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use ferry_proto::agent::v1::{StepState, command::Body};
use ferry_telemetry::trace::{Span, span_of, trace_of};
use tokio::time::Instant;

use super::{Telemetry, evidence};
use crate::{
    context::Facts,
    events,
    outcome::{Evidence, bounded},
};

/// What a command's id says besides its migration: `<migration>/<ordinal or ->/<verb>/<n>`.
pub fn parts(id: &str) -> (Option<u32>, &str) {
    let mut parts = id.rsplit('/').skip(1);
    let verb = parts.next().unwrap_or_default();
    (parts.next().and_then(|ordinal| ordinal.parse().ok()), verb)
}

/// A command that is watched. Clones share it.
#[derive(Clone)]
pub struct Watch(Arc<Watched>);

struct Watched {
    telemetry: Telemetry,
    facts: Facts,
    cluster: String,
    subject: Option<events::Subject>,
    begun: (SystemTime, Instant),
    step: Mutex<Option<Step>>,
}

struct Step {
    number: u32,
    begun: (SystemTime, Instant),
    said: String,
}

fn now() -> (SystemTime, Instant) {
    (SystemTime::now(), Instant::now())
}

impl Watch {
    /// The command begins.
    pub fn begin(telemetry: &Telemetry, facts: &Facts, cluster: &str, body: Option<&Body>) -> Self {
        telemetry.metrics().running.inc();
        let subject = events::Subject::of(facts, body);
        if let (Some(events), Some(subject)) = (telemetry.events(), &subject) {
            events.begins(subject);
        }
        Self(Arc::new(Watched {
            telemetry: telemetry.clone(),
            facts: facts.clone(),
            cluster: cluster.to_owned(),
            subject,
            begun: now(),
            step: Mutex::default(),
        }))
    }

    /// The fields that every line of the command carries. A command of a lower level than `info` has them too.
    pub fn log_span(&self) -> tracing::Span {
        let facts = &self.0.facts;
        let (ordinal, verb) = parts(&facts.id);
        tracing::error_span!(
            "command",
            cluster = self.0.cluster,
            migration = facts.migration,
            workload = %format_args!("{}/{}", facts.namespace, facts.workload),
            ordinal,
            verb,
            command = facts.id,
            epoch = facts.epoch,
        )
    }

    /// A step stands there.
    pub fn said(&self, number: u32, state: StepState, message: &str) {
        match state {
            StepState::Started => {
                self.end_step(None);
                *self.lock() = Some(Step { number, begun: now(), said: message.to_owned() });
            }
            StepState::Waiting => {
                if let Some(step) = &mut *self.lock() {
                    message.clone_into(&mut step.said);
                }
            }
            StepState::Done => {
                if let Some(step) = &mut *self.lock() {
                    message.clone_into(&mut step.said);
                }
                self.end_step(None);
            }
            StepState::Unspecified => {}
        }
    }

    /// The command ends.
    pub fn end(&self, evidence: &Evidence) {
        let Watched { telemetry, facts, begun, subject, .. } = &*self.0;
        let (outcome, why) = match evidence {
            Evidence::Refusal(refusal) => ("refusal", Some(refusal.message.clone())),
            Evidence::Unknown(unknown) => ("unknown", Some(unknown.message.clone())),
            _ => ("evidence", None),
        };
        self.end_step(why.as_ref());
        let (ordinal, verb) = parts(&facts.id);
        let metrics = telemetry.metrics();
        metrics.running.dec();
        metrics.commands.of([verb, outcome]).inc();
        metrics.command_times.of([verb]).observe(begun.1.elapsed().as_secs_f64());
        match &why {
            Some(why) => tracing::info!(step = self.last_step(evidence), outcome, why, "a command ends"),
            None => tracing::info!(outcome, took_ms = ms(begun.1), "a command ends"),
        }
        if let (Some(events), Some(subject)) = (telemetry.events(), subject) {
            events.ended(subject, evidence);
        }
        let command = [self.words().as_slice(), &[facts.id.as_str()]].concat();
        if let Some(mut span) = self.span(&command, format!("{verb} carried out"), begun.0) {
            span.parent = Some(span_of(&["command", &facts.id]));
            span.parent_elsewhere = true;
            span.attributes.extend([
                ("ferry.epoch", i64::try_from(facts.epoch).unwrap_or(i64::MAX).into()),
                ("ferry.outcome", outcome.into()),
            ]);
            span.attributes.extend(ordinal.map(|ordinal| ("ferry.ordinal", i64::from(ordinal).into())));
            span.attributes.extend(evidence::attributes(evidence));
            span.failed = why;
            self.send(span);
        }
    }

    fn end_step(&self, why: Option<&String>) {
        let Some(step) = self.lock().take() else { return };
        let Watched { telemetry, facts, .. } = &*self.0;
        let number = step.number.to_string();
        telemetry.metrics().steps.of([&number]).observe(step.begun.1.elapsed().as_secs_f64());
        let began =
            step.begun.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        let words = [self.words().as_slice(), &["step", &facts.id, &number, &began]].concat();
        if let Some(mut span) = self.span(&words, format!("step {number}"), step.begun.0) {
            let command = [self.words().as_slice(), &[facts.id.as_str()]].concat();
            span.parent = Some(span_of(&command));
            span.attributes.extend([
                ("ferry.step", i64::from(step.number).into()),
                ("ferry.evidence", bounded(step.said).into()),
            ]);
            span.attributes
                .extend(parts(&facts.id).0.map(|ordinal| ("ferry.ordinal", i64::from(ordinal).into())));
            span.failed = why.cloned();
            self.send(span);
        }
    }

    /// What names spans of this cluster's agent apart from the controller's of the same command.
    fn words(&self) -> [&str; 2] {
        ["agent", &self.0.cluster]
    }

    fn last_step(&self, evidence: &Evidence) -> Option<u32> {
        match evidence {
            Evidence::Refusal(refusal) => Some(refusal.step),
            Evidence::Unknown(unknown) => Some(unknown.step),
            _ => None,
        }
    }

    /// A span from then to now; none if nobody wants it. Inspections belong to no migration and have none.
    fn span(&self, words: &[&str], name: String, started: SystemTime) -> Option<Span> {
        let facts = &self.0.facts;
        let (_, trust_domain) = self.0.telemetry.spans()?;
        (!facts.migration.is_empty()).then(|| Span {
            trace: trace_of(trust_domain, &facts.migration),
            id: span_of(words),
            parent: None,
            parent_elsewhere: false,
            name: name.into(),
            started,
            ended: SystemTime::now(),
            attributes: vec![
                ("ferry.migration", facts.migration.clone().into()),
                ("ferry.workload", format!("{}/{}", facts.namespace, facts.workload).into()),
                ("ferry.cluster", self.0.cluster.clone().into()),
                ("ferry.command", facts.id.clone().into()),
            ],
            failed: None,
        })
    }

    fn send(&self, span: Span) {
        if let Some((traces, _)) = self.0.telemetry.spans() {
            traces.send(span);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Step>> {
        self.0.step.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ms(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
