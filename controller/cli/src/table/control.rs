//! Tables of control: steps with their evidence, the audit log, storage.
//!
//! As in [`super`]: aligned, without borders, colour over whole lines. Identities are shown by their last two parts
//! (`operator/alice`): the trust domain is the same for all, and `-o json` has it. Times of the audit log are absolute, since
//! they are compared with other logs; those of a history are spans, since they are compared with each other.

use jiff::Timestamp;

use super::{joined, lines, or_none};
use crate::{
    duration::{age, between_ms, elapsed},
    shape::{AuditRecord, Step, StorageDomain, StorageMap},
    terminal::{Paint, WARN},
};

/// The steps of one replica that began, with the words that `evidence` has for them.
pub(crate) fn history(steps: &[Step], now: Timestamp, evidence: impl Fn(&Step) -> String) -> String {
    let rows = steps.iter().map(|step| {
        let began = step.started_at.map_or_else(String::new, |at| format!("{}", at.strftime("%H:%M:%S%.3f")));
        let took = match (step.started_at, step.ended_at) {
            (Some(from), Some(to)) => elapsed(between_ms(from, to)),
            (Some(from), None) => format!("{} so far", elapsed(between_ms(from, now))),
            (None, _) => String::new(),
        };
        [format!("{:>2} {}", step.step, step.name), began, took, evidence(step)]
    });
    joined(lines(["STEP", "BEGAN (UTC)", "TOOK", "EVIDENCE"], rows))
}

/// Who somebody is, without the trust domain.
fn short(identity: &str) -> String {
    let path = identity.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
    path.map_or(identity, |path| path.strip_prefix("role/").unwrap_or(path)).to_owned()
}

/// `ferry audit`.
pub(crate) fn audit(records: &[AuditRecord], _now: Timestamp, paint: Paint) -> String {
    let rows = records.iter().map(|record| {
        [
            record.number.to_string(),
            format!("{:.0}", record.at),
            short(&record.by),
            record.action.clone(),
            or_none(&record.subject),
            record.result.clone(),
            record.message.clone(),
        ]
    });
    let header = ["NUMBER", "TIME", "BY", "ACTION", "SUBJECT", "RESULT", "MESSAGE"];
    coloured(lines(header, rows), records, paint)
}

/// What happened to one migration, as kubectl shows events.
pub(crate) fn events(records: &[AuditRecord], now: Timestamp, paint: Paint) -> String {
    let rows = records.iter().map(|record| {
        let message = if record.message.is_empty() { record.subject.clone() } else { record.message.clone() };
        let about =
            if record.action == "owner-changed" { format!("{}: {message}", record.subject) } else { message };
        [age(record.at, now), short(&record.by), record.action.clone(), record.result.clone(), about]
    });
    coloured(lines(["AGE", "FROM", "REASON", "RESULT", "MESSAGE"], rows), records, paint)
}

fn coloured(mut lines: impl Iterator<Item = String>, records: &[AuditRecord], paint: Paint) -> String {
    let head = lines.next().into_iter();
    joined(head.chain(
        lines.zip(records).map(
            |(line, record)| {
                if record.result == "done" { line } else { paint.text(WARN, &line) }
            },
        ),
    ))
}

/// `ferry storage domain list`.
pub(crate) fn storage_domains(domains: &[StorageDomain]) -> String {
    let rows = domains.iter().map(|of| [of.cluster.clone(), of.driver.clone(), of.domain.clone()]);
    joined(lines(["CLUSTER", "DRIVER", "DOMAIN"], rows))
}

/// `ferry storage map list`.
pub(crate) fn storage_maps(maps: &[StorageMap]) -> String {
    let rows = maps.iter().map(|map| {
        let namespace = if map.namespace.is_empty() { "<all>".to_owned() } else { map.namespace.clone() };
        [map.from.clone(), map.to.clone(), namespace, map.from_class.clone(), map.to_class.clone()]
    });
    joined(lines(["FROM", "TO", "NAMESPACE", "STORAGECLASS", "TARGET STORAGECLASS"], rows))
}
