//! One migration with everything that is known of it, as text: `ferry describe`.
//!
//! In the manner of `kubectl describe`: the object's own fields, its parts, then events, oldest first. Each step of each replica
//! stands with when it began, how long it took, and the last words of its cluster's agent about it: the evidence. A step that
//! nobody has begun is left out. Pure: from shapes and a time to text.

use std::fmt::{self, Write};

use jiff::Timestamp;

use crate::{
    certificate,
    duration::{age, between_ms, elapsed},
    shape::{AuditRecord, Control, Deadline, Migration, OnFailure, Order, Ordinal, Phase, Step, rfc3339},
    steps, table,
    terminal::{BAD, FAINT, GOOD, Paint, WARN},
};

/// The whole text.
pub(crate) fn text(migration: &Migration, audit: &[AuditRecord], now: Timestamp, paint: Paint) -> String {
    let mut text = String::new();
    let _ = write(&mut text, migration, audit, now, paint);
    text
}

fn write(
    text: &mut String,
    migration: &Migration,
    audit: &[AuditRecord],
    now: Timestamp,
    paint: Paint,
) -> fmt::Result {
    head(text, migration, now, paint)?;
    writeln!(text, "Replicas:")?;
    migration.ordinals.iter().try_for_each(|ordinal| replica(text, migration, ordinal, now, paint))?;
    if let Some(certificate) = &migration.certificate {
        writeln!(text, "Certificate:")?;
        let lines = certificate::text(migration, certificate, paint);
        lines.lines().try_for_each(|line| writeln!(text, "{}", format!("  {line}").trim_end()))?;
    }
    if audit.is_empty() {
        return writeln!(text, "Events:  <none>");
    }
    writeln!(text, "Events:")?;
    let oldest_first: Vec<AuditRecord> = audit.iter().rev().cloned().collect();
    table::events(&oldest_first, now, paint).lines().try_for_each(|line| writeln!(text, "  {line}"))
}

fn head(text: &mut String, migration: &Migration, now: Timestamp, paint: Paint) -> fmt::Result {
    let mut field = |name: &str, value: &str| writeln!(text, "{:<14}{value}", format!("{name}:"));
    let when = |at: Option<Timestamp>| {
        at.map_or_else(|| "<none>".to_owned(), |at| format!("{} ({} ago)", rfc3339(at), age(at, now)))
    };
    let style = match migration.phase {
        Phase::Completed => GOOD,
        Phase::Paused | Phase::RolledBack => WARN,
        Phase::Refused => BAD,
        Phase::Preparing | Phase::Running => FAINT,
    };
    field("Name", &migration.id)?;
    field("Namespace", &migration.namespace)?;
    field("StatefulSet", &migration.workload)?;
    field("From", &migration.from)?;
    field("To", &migration.to)?;
    field("Phase", &paint.text(style, &table::stands(migration)))?;
    if !migration.message.is_empty() {
        field("Message", &migration.message)?;
    }
    for unknown in &migration.unknown {
        field("Not known", &format!("in {}: {}", unknown.cluster, unknown.message))?;
    }
    field(
        "Order",
        match migration.order {
            Order::HighestFirst => "highest ordinal first",
            Order::LowestFirst => "lowest ordinal first",
        },
    )?;
    let by = if migration.started_by.is_empty() {
        String::new()
    } else {
        format!(", by {}", migration.started_by)
    };
    field("Started", &format!("{}{by}", when(migration.started_at)))?;
    field("Ended", &when(migration.ended_at))?;
    if let Some(control) = &migration.control {
        asked(control).into_iter().try_for_each(|line| field("Asked", &line))?;
    }
    field("Plan", &migration.plan_hash)?;
    if !migration.deadlines.is_empty() {
        field("Deadlines", &deadlines(&migration.deadlines))?;
    }
    if migration.on_failure == OnFailure::Rollback {
        field("Late", GIVEN_BACK)?;
    }
    Ok(())
}

/// What `--on-failure rollback` does, in words.
pub(crate) const GIVEN_BACK: &str =
    "a replica that the target does not run by the deadline of claim, start or converge goes back by itself";

/// Deadlines in one line: steps with the same one are named together.
pub(crate) fn deadlines(deadlines: &[Deadline]) -> String {
    let mut groups: Vec<(u64, Vec<&str>)> = Vec::new();
    for Deadline { name, deadline_ms, .. } in deadlines {
        match groups.iter_mut().find(|(ms, _)| ms == deadline_ms) {
            Some((_, names)) => names.push(name),
            None => groups.push((*deadline_ms, vec![name])),
        }
    }
    let time = |ms: u64| humantime::format_duration(std::time::Duration::from_millis(ms)).to_string();
    let groups: Vec<String> =
        groups.iter().map(|(ms, names)| format!("{} for {}", time(*ms), names.join(", "))).collect();
    groups.join("; ")
}

fn asked(control: &Control) -> Vec<String> {
    let mut lines = Vec::new();
    if !control.paused_by.is_empty() {
        let at = control.paused_at.map_or_else(String::new, |at| format!(" at {}", rfc3339(at)));
        let stopped = if control.stopped { "" } else { ", on its way to the next safe point" };
        lines.push(format!("to pause, by {}{at}{stopped}", control.paused_by));
    }
    match control.rollback.as_str() {
        "" => {}
        "all" => lines.push(format!("to give everything back, by {}", control.rollback_by)),
        _ => lines.push(format!("to give the replica in flight back, by {}", control.rollback_by)),
    }
    lines
}

fn replica(
    text: &mut String,
    migration: &Migration,
    ordinal: &Ordinal,
    now: Timestamp,
    paint: Paint,
) -> fmt::Result {
    let name = format!("{}-{}", migration.workload, ordinal.ordinal);
    let standing = match (ordinal.started_at, ordinal.ended_at, ordinal.step) {
        (Some(from), Some(to), _) => paint.text(GOOD, &format!("done in {}", elapsed(between_ms(from, to)))),
        (_, _, 0) => paint.text(FAINT, "waiting"),
        (_, _, step) => format!("{} ({step}/{})", ordinal.step_name, steps::LAST),
    };
    let message = if ordinal.message.is_empty() || ordinal.ended_at.is_some() {
        String::new()
    } else {
        format!(": {}", ordinal.message)
    };
    writeln!(text, "  {name}: {standing}{message}")?;
    if ordinal.steps.is_empty() {
        return Ok(());
    }
    let table = table::history(&ordinal.steps, now, |step: &Step| {
        if step.message.is_empty() && step.ended_at.is_none() {
            ordinal.message.clone()
        } else {
            step.message.clone()
        }
    });
    table.lines().try_for_each(|line| writeln!(text, "    {line}"))
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
