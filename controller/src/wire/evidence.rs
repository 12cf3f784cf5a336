//! Progress and outcomes of commands: evidence as the agent sent it, refused where it is not understood.
//!
//! A result of a kind that this version does not know is an error and not an unknown outcome: `unknown` says that the
//! agent cannot tell, which is something else than that we cannot read. Lists are bounded, words for people lose
//! control characters. Whether the evidence fits the ledger is for the core to judge.

use ferry_core::{
    CommandId, Epoch,
    facts::{
        Adopted, Fenced, Finished, Held, Outcome, OutcomeResult, Probed, Progress, Reclaimed, Refusal,
        RefusalCode, Released, Retired, SourcePrepared, SourceReport, StepState, TargetPrepared,
        TargetReport, Unknown, Unprepared,
    },
};
use ferry_proto::agent::v1::{self as wire, outcome::Result as Wire};

use super::{
    check::{self, Error, each, identifier, message, need, some_identifier},
    objects,
};
use crate::limits;

/// A step began, ended or waits.
pub fn progress(from: wire::Progress) -> Result<Progress, Error> {
    let state = match wire::StepState::try_from(from.state) {
        Ok(wire::StepState::Started) => StepState::Started,
        Ok(wire::StepState::Waiting) => StepState::Waiting,
        Ok(wire::StepState::Done) => StepState::Done,
        Ok(wire::StepState::Unspecified) | Err(_) => {
            return Err(Error::Enum { field: "progress.state", found: from.state });
        }
    };
    Ok(Progress {
        command_id: CommandId(some_identifier("progress.command_id", from.command_id)?),
        step: check::step(from.step)?,
        state,
        message: message("progress.message", from.message)?,
    })
}

/// A command ended.
#[expect(clippy::too_many_lines, reason = "exhaustive: one short arm for each kind of evidence")]
pub fn outcome(from: wire::Outcome) -> Result<Outcome, Error> {
    let result = match need("outcome.result", from.result)? {
        Wire::SourceReport(from) => OutcomeResult::SourceReport(Box::new(SourceReport {
            description: from.description.map(objects::description).transpose()?,
            findings: objects::findings(from.findings)?,
        })),
        Wire::TargetReport(from) => OutcomeResult::TargetReport(TargetReport {
            findings: objects::findings(from.findings)?,
            stateful_set_uid: identifier("target_report.stateful_set_uid", from.stateful_set_uid)?,
            slice: from.slice.map(|slice| check::slice("target_report.slice", Some(slice))).transpose()?,
            planned_writes: objects::writes(from.planned_writes)?,
        }),
        Wire::SourcePrepared(from) => OutcomeResult::SourcePrepared(SourcePrepared {
            ordinals: objects::ordinals(from.ordinals)?,
            stateful_set: objects::manifest(from.stateful_set)?,
        }),
        Wire::TargetPrepared(from) => OutcomeResult::TargetPrepared(TargetPrepared {
            stateful_set_uid: some_identifier("target_prepared.stateful_set_uid", from.stateful_set_uid)?,
            slice: check::slice("target_prepared.slice", from.slice)?,
        }),
        Wire::Held(from) => OutcomeResult::Held(Held {
            node: objects::optional_node(from.node)?,
            pod_uid: identifier("held.pod_uid", from.pod_uid)?,
            available: from.available,
            template_digest: some_identifier("held.template_digest", from.template_digest)?,
        }),
        Wire::Released(from) => OutcomeResult::Released(Released {
            pod_uid: identifier("released.pod_uid", from.pod_uid)?,
            volumes: objects::claimed_list(from.volumes)?,
            node: objects::optional_node(from.node)?,
            detached: from.detached,
            epoch_kept: Epoch(from.epoch_kept),
        }),
        Wire::Adopted(from) => OutcomeResult::Adopted(Adopted {
            pod_uid: identifier("adopted.pod_uid", from.pod_uid)?,
            pod_address: identifier("adopted.pod_address", from.pod_address)?,
            node: objects::optional_node(from.node)?,
            volumes: objects::claimed_list(from.volumes)?,
            epoch_kept: Epoch(from.epoch_kept),
        }),
        Wire::Retired(from) => OutcomeResult::Retired(Retired {
            pv_names: each("retired.pv_names", limits::MAX_LIST, from.pv_names, |name| {
                check::name("retired.pv_names", name)
            })?,
        }),
        Wire::Settled(wire::Settled {}) => OutcomeResult::Settled,
        Wire::Fenced(from) => OutcomeResult::Fenced(Fenced {
            epoch_kept: Epoch(from.epoch_kept),
            slice: check::slice("fenced.slice", from.slice)?,
            nodes: each("fenced.nodes", limits::MAX_LIST, from.nodes, objects::node)?,
            pod_uid: identifier("fenced.pod_uid", from.pod_uid)?,
            detached: from.detached,
            pv_names: each("fenced.pv_names", limits::MAX_LIST, from.pv_names, |name| {
                check::name("fenced.pv_names", name)
            })?,
            nothing_found: from.nothing_found,
        }),
        Wire::Reclaimed(from) => OutcomeResult::Reclaimed(Reclaimed {
            pod_uid: identifier("reclaimed.pod_uid", from.pod_uid)?,
            pod_address: identifier("reclaimed.pod_address", from.pod_address)?,
            node: objects::optional_node(from.node)?,
            volumes: objects::claimed_list(from.volumes)?,
            epoch_kept: Epoch(from.epoch_kept),
        }),
        Wire::Unprepared(from) => {
            OutcomeResult::Unprepared(Unprepared { left: lines("unprepared.left", from.left)? })
        }
        Wire::Finished(from) => OutcomeResult::Finished(finished(from)?),
        Wire::Probed(from) => OutcomeResult::Probed(Box::new(Probed {
            volume: objects::manifest(from.volume)?,
            read: message("probed.read", from.read)?,
            problem: message("probed.problem", from.problem)?,
            left: lines("probed.left", from.left)?,
        })),
        Wire::Refusal(from) => OutcomeResult::Refusal(Refusal {
            code: refusal_code(from.code)?,
            message: message("refusal.message", from.message)?,
            step: check::step(from.step)?,
        }),
        Wire::Unknown(from) => OutcomeResult::Unknown(Unknown {
            unproven: lines("unknown.unproven_nodes", from.unproven_nodes)?,
            message: message("unknown.message", from.message)?,
            step: check::step(from.step)?,
        }),
    };
    Ok(Outcome { command_id: CommandId(some_identifier("outcome.command_id", from.command_id)?), result })
}

fn lines(field: &'static str, from: Vec<String>) -> Result<Vec<String>, Error> {
    each(field, limits::MAX_LIST, from, |line| message(field, line))
}

fn finished(from: wire::Finished) -> Result<Finished, Error> {
    Ok(Finished {
        stateful_set_gone: from.stateful_set_gone,
        recreated_by: message("finished.recreated_by", from.recreated_by)?,
        pods: lines("finished.pods", from.pods)?,
        claims: lines("finished.claims", from.claims)?,
        pvs: lines("finished.pvs", from.pvs)?,
        attachments: lines("finished.attachments", from.attachments)?,
        tombstones: lines("finished.tombstones", from.tombstones)?,
        accepted: from.accepted,
        by_hand: lines("finished.by_hand", from.by_hand)?,
    })
}

fn refusal_code(from: i32) -> Result<RefusalCode, Error> {
    match wire::RefusalCode::try_from(from) {
        Ok(wire::RefusalCode::NotUnderstood) => Ok(RefusalCode::NotUnderstood),
        Ok(wire::RefusalCode::StaleEpoch) => Ok(RefusalCode::StaleEpoch),
        Ok(wire::RefusalCode::NotReady) => Ok(RefusalCode::NotReady),
        Ok(wire::RefusalCode::Conflict) => Ok(RefusalCode::Conflict),
        Ok(wire::RefusalCode::Denied) => Ok(RefusalCode::Denied),
        Ok(wire::RefusalCode::Unspecified) | Err(_) => {
            Err(Error::Enum { field: "refusal.code", found: from })
        }
    }
}
