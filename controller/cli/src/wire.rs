//! From the wire to what is shown.
//!
//! The one place that reads generated messages field by field. Strings that come from a cluster pass through
//! [`clean`] here, once: an object's name or an error text must not be able to move the cursor of the terminal it is
//! shown on. An enum value that this version does not know is refused, never guessed (H33 of the handoff protocol):
//! a newer controller may mean something by it that changes what a person should do.

mod control;

use ferry_proto::admin::v1 as pb;
use jiff::Timestamp;

pub(crate) use control::{audit, storage_domain, storage_map, storage_map_of, storage_probe};

use crate::{error::Failure, shape, steps};

/// Text without control characters: each becomes the replacement character, a line break becomes a space.
pub(crate) fn clean(text: &str) -> String {
    text.trim_end()
        .chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Unix milliseconds; zero means none.
fn at(unix_ms: i64) -> Option<Timestamp> {
    if unix_ms == 0 { None } else { Timestamp::from_millisecond(unix_ms).ok() }
}

fn not_understood(what: &'static str, found: impl ToString) -> Failure {
    Failure::NotUnderstood { what, found: clean(&found.to_string()) }
}

fn order(value: i32) -> Result<shape::Order, Failure> {
    match pb::Order::try_from(value) {
        Ok(pb::Order::Unspecified | pb::Order::HighestFirst) => Ok(shape::Order::HighestFirst),
        Ok(pb::Order::LowestFirst) => Ok(shape::Order::LowestFirst),
        Err(_) => Err(not_understood("order", value)),
    }
}

/// A policy on its way to the controller.
pub(crate) fn on_failure_of(policy: shape::OnFailure) -> pb::OnFailure {
    match policy {
        shape::OnFailure::Pause => pb::OnFailure::Pause,
        shape::OnFailure::Rollback => pb::OnFailure::Rollback,
    }
}

/// An order on its way to the controller.
pub(crate) fn order_of(order: shape::Order) -> pb::Order {
    match order {
        shape::Order::HighestFirst => pb::Order::HighestFirst,
        shape::Order::LowestFirst => pb::Order::LowestFirst,
    }
}

fn on_failure(value: i32) -> Result<shape::OnFailure, Failure> {
    match pb::OnFailure::try_from(value) {
        Ok(pb::OnFailure::Unspecified | pb::OnFailure::Pause) => Ok(shape::OnFailure::Pause),
        Ok(pb::OnFailure::Rollback) => Ok(shape::OnFailure::Rollback),
        Err(_) => Err(not_understood("policy on failure", value)),
    }
}

fn phase(value: i32) -> Result<shape::Phase, Failure> {
    match pb::Phase::try_from(value) {
        Ok(pb::Phase::Preparing) => Ok(shape::Phase::Preparing),
        Ok(pb::Phase::Running) => Ok(shape::Phase::Running),
        Ok(pb::Phase::Completed) => Ok(shape::Phase::Completed),
        Ok(pb::Phase::Paused) => Ok(shape::Phase::Paused),
        Ok(pb::Phase::Refused) => Ok(shape::Phase::Refused),
        Ok(pb::Phase::RolledBack) => Ok(shape::Phase::RolledBack),
        Ok(pb::Phase::Unspecified) | Err(_) => Err(not_understood("phase of a migration", value)),
    }
}

fn severity(value: &str) -> Result<shape::Severity, Failure> {
    match value {
        "refuse" => Ok(shape::Severity::Refuse),
        "warn" => Ok(shape::Severity::Warn),
        "note" => Ok(shape::Severity::Note),
        other => Err(not_understood("severity of a finding", other)),
    }
}

/// A cluster.
pub(crate) fn cluster(from: pb::Cluster) -> shape::Cluster {
    shape::Cluster {
        name: clean(&from.name),
        uid: clean(&from.uid),
        attached: from.attached,
        api_server_ok: from.api_server_ok,
        kubernetes_version: clean(&from.kubernetes_version),
        agent_version: clean(&from.agent_version),
        nodes: from.nodes,
        nodes_ready: from.nodes_ready,
        workloads: from.workloads,
        volumes: from.volumes,
        watch_lag_ms: from.watch_lag_ms,
        last_seen_at: at(from.last_seen_unix_ms),
        message: clean(&from.message),
    }
}

/// A volume.
pub(crate) fn volume(from: pb::Volume) -> shape::Volume {
    shape::Volume {
        domain: clean(&from.domain),
        driver: clean(&from.driver),
        handle: clean(&from.handle),
        cluster: clean(&from.cluster),
        pv: clean(&from.pv_name),
        claim: clean(&from.claim_name),
        namespace: clean(&from.namespace),
        workload: clean(&from.workload),
        ordinal: from.ordinal,
        epoch: from.epoch,
        state: clean(&from.state),
        message: clean(&from.message),
    }
}

fn finding(from: pb::Finding) -> Result<shape::Finding, Failure> {
    Ok(shape::Finding {
        severity: severity(&from.severity)?,
        check: clean(&from.check),
        code: clean(&from.code),
        cluster: clean(&from.cluster),
        subject: clean(&from.subject),
        found: clean(&from.found),
        expected: clean(&from.expected),
        remedy: clean(&from.remedy),
    })
}

/// A plan; findings are put in order, refusals first, whatever order they came in.
pub(crate) fn plan(from: pb::Plan) -> Result<shape::Plan, Failure> {
    let mut findings = from.findings.into_iter().map(finding).collect::<Result<Vec<_>, _>>()?;
    findings.sort_by_key(|finding| finding.severity);
    let hash = Some(clean(&from.hash)).filter(|hash| !hash.is_empty());
    Ok(shape::Plan {
        expires_at: at(from.expires_unix_ms).filter(|_| hash.is_some()),
        hash,
        namespace: clean(&from.namespace),
        workload: clean(&from.workload),
        from: clean(&from.from),
        to: clean(&from.to),
        order: order(from.order)?,
        ordinals: from.ordinals,
        findings,
        budget: from.budget,
        volumes: from.volumes.into_iter().map(planned_volume).collect(),
        writes: from.writes.into_iter().map(planned_write).collect(),
        storage_classes: classes(from.storage_classes),
        deadlines: from.deadlines.into_iter().map(deadline).collect(),
        on_failure: on_failure(from.on_failure)?,
    })
}

fn classes(from: std::collections::HashMap<String, String>) -> std::collections::BTreeMap<String, String> {
    from.into_iter().map(|(source, target)| (clean(&source), clean(&target))).collect()
}

fn planned_volume(from: pb::PlannedVolume) -> shape::PlannedVolume {
    shape::PlannedVolume {
        ordinal: from.ordinal,
        claim: clean(&from.claim),
        pv: clean(&from.pv_name),
        driver: clean(&from.driver),
        handle: clean(&from.handle),
    }
}

fn planned_write(from: pb::PlannedWrite) -> shape::PlannedWrite {
    shape::PlannedWrite { cluster: clean(&from.cluster), write: clean(&from.write) }
}

/// A migration.
pub(crate) fn migration(from: pb::Migration) -> Result<shape::Migration, Failure> {
    Ok(shape::Migration {
        id: clean(&from.id),
        namespace: clean(&from.namespace),
        workload: clean(&from.workload),
        from: clean(&from.from),
        to: clean(&from.to),
        order: order(from.order)?,
        phase: phase(from.phase)?,
        message: clean(&from.message),
        plan_hash: clean(&from.plan_hash),
        started_at: at(from.started_unix_ms),
        ended_at: at(from.ended_unix_ms),
        ordinals: from.ordinals.into_iter().map(ordinal).collect(),
        started_by: clean(&from.started_by),
        control: from.control.map(control::control),
        certificate: from.certificate.map(control::certificate),
        deadlines: from.deadlines.into_iter().map(deadline).collect(),
        on_failure: on_failure(from.on_failure)?,
        unknown: from.unknown.into_iter().map(unknown).collect(),
    })
}

fn unknown(from: pb::UnknownOutcome) -> shape::Unknown {
    shape::Unknown {
        cluster: clean(&from.cluster),
        message: clean(&from.message),
        unproven_nodes: from.unproven_nodes.iter().map(|node| clean(node)).collect(),
    }
}

fn ordinal(from: pb::OrdinalProgress) -> shape::Ordinal {
    let mut step_name = clean(&from.step_name);
    if step_name.is_empty() {
        step_name = steps::name(from.step).to_owned();
    }
    shape::Ordinal {
        ordinal: from.ordinal,
        step: from.step,
        step_name,
        message: clean(&from.message),
        started_at: at(from.started_unix_ms),
        ended_at: at(from.ended_unix_ms),
        steps: from.steps.into_iter().map(step).collect(),
    }
}

fn step(from: pb::StepTime) -> shape::Step {
    shape::Step {
        step: from.step,
        name: steps::name(from.step).to_owned(),
        started_at: at(from.started_unix_ms),
        ended_at: at(from.ended_unix_ms),
        message: clean(&from.message),
    }
}

fn deadline(from: pb::StepDeadline) -> shape::Deadline {
    let said = clean(&from.step_name);
    let name = if said.is_empty() { steps::name(from.step).to_owned() } else { said };
    shape::Deadline { step: from.step, name, deadline_ms: from.deadline_ms }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
