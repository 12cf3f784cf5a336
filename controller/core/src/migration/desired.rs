//! Which command a cluster should be carrying out now: a function of the ledger alone.
//!
//! Nothing here remembers what was sent; the caller compares with the slot. Slices come from the ledger and are
//! computed anew at each handoff, so a command cannot carry an old world.
//! Epochs too: a command's epoch is the ordinal's, as the ledger has it at this moment.

use std::collections::BTreeMap;

use crate::command::CommandBody;
use crate::facts::OrdinalEpoch;
use crate::ids::{ClusterName, Epoch, Ordinal, VolumeId};
use crate::limits;
use crate::migration::display::Migration;
use crate::migration::stage::Stage;
use crate::migration::work::{Handoff, Work};
use crate::volume::WorkloadRecord;

/// A command to be: its fencing number and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Desired {
    pub(crate) epoch: Epoch,
    pub(crate) body: CommandBody,
}

/// What that cluster should be doing for the migration now, if anything.
pub(crate) fn desired(
    migration: &Migration,
    work: &Work,
    record: &WorkloadRecord,
    cluster: &ClusterName,
) -> Option<Desired> {
    let source = cluster == work.source(migration);
    match work.stage {
        Stage::PreparingSource if source => Some(prepare_source(work, record)),
        Stage::PreparingTarget if !source => prepare_target(work, record, cluster),
        Stage::Holding => hold(work, work.handoff.as_ref()?, source),
        Stage::Releasing if source => release(work, work.handoff.as_ref()?, cluster),
        Stage::Adopting if !source => adopt(migration, work, work.handoff.as_ref()?),
        Stage::Retiring if source => {
            let handoff = work.handoff.as_ref()?;
            let volumes = handoff.released.as_ref()?.volumes.clone();
            let body = CommandBody::Retire { ordinal: handoff.ordinal, volumes };
            Some(Desired { epoch: handoff.epoch, body })
        }
        Stage::Settling | Stage::Finishing if !work.settled.contains(cluster) => {
            Some(settle(work, record, source, *cluster == migration.to))
        }
        Stage::Fencing if !source => Some(fence(work, work.handoff.as_ref()?, cluster)),
        Stage::Reclaiming if source => Some(reclaim(work, work.handoff.as_ref()?)),
        Stage::Unpreparing if work.prepared.contains(cluster) && !work.settled.contains(cluster) => {
            Some(unprepare(work, record, *cluster == migration.to))
        }
        Stage::PreparingSource
        | Stage::PreparingTarget
        | Stage::Converging
        | Stage::Between
        | Stage::Releasing
        | Stage::Adopting
        | Stage::Gating
        | Stage::Resolving
        | Stage::Retiring
        | Stage::Settling
        | Stage::Finishing
        | Stage::Fencing
        | Stage::Reclaiming
        | Stage::Unpreparing
        | Stage::Completed
        | Stage::Refused
        | Stage::RolledBack => None,
    }
}

/// Time an agent has for that command, in milliseconds.
pub(crate) fn timeout_ms(body: &CommandBody) -> u64 {
    match body {
        CommandBody::InspectSource { .. } | CommandBody::InspectTarget { .. } => limits::INSPECT_TIMEOUT_MS,
        CommandBody::PrepareSource { .. } | CommandBody::PrepareTarget { .. } => limits::PREPARE_TIMEOUT_MS,
        CommandBody::Hold { .. } => limits::HOLD_TIMEOUT_MS,
        CommandBody::Release { .. } => limits::RELEASE_TIMEOUT_MS,
        CommandBody::Adopt { .. } => limits::ADOPT_TIMEOUT_MS,
        CommandBody::Retire { .. } => limits::RETIRE_TIMEOUT_MS,
        CommandBody::Settle { .. } => limits::SETTLE_TIMEOUT_MS,
        CommandBody::Fence { .. } => limits::FENCE_TIMEOUT_MS,
        CommandBody::Reclaim { .. } => limits::RECLAIM_TIMEOUT_MS,
        CommandBody::Unprepare { .. } => limits::UNPREPARE_TIMEOUT_MS,
        CommandBody::Finish { .. } => limits::FINISH_TIMEOUT_MS,
        CommandBody::Probe(_) => limits::PROBE_TIMEOUT_MS,
    }
}

fn highest(record: &WorkloadRecord) -> Epoch {
    record.ordinals.values().map(|ordinal| ordinal.epoch).max().unwrap_or_default()
}

/// The known ordinals that `belongs` admits, ascending, each with its epoch.
fn epochs(record: &WorkloadRecord, belongs: impl Fn(Ordinal) -> bool) -> Vec<OrdinalEpoch> {
    let known = record.ordinals.iter().filter(|(ordinal, _)| belongs(**ordinal));
    known.map(|(ordinal, known)| OrdinalEpoch { ordinal: *ordinal, epoch: known.epoch }).collect()
}

fn prepare_source(work: &Work, record: &WorkloadRecord) -> Desired {
    let body = CommandBody::PrepareSource {
        stateful_set_uid: work.source_uid.clone(),
        slice: work.source_slice,
        epochs: epochs(record, |ordinal| work.source_slice.contains(ordinal)),
    };
    Desired { epoch: highest(record), body }
}

fn prepare_target(work: &Work, record: &WorkloadRecord, target: &ClusterName) -> Option<Desired> {
    let body = CommandBody::PrepareTarget {
        description: work.description.clone()?,
        slice: work.target_slice,
        epochs: epochs(record, |ordinal| work.source_slice.contains(ordinal)),
        known_uids: record.known_in(target),
    };
    Some(Desired { epoch: highest(record), body })
}

fn hold(work: &Work, handoff: &Handoff, source: bool) -> Option<Desired> {
    let held = if source { &handoff.source_held } else { &handoff.target_held };
    // A second look at the source comes first, alone: its answer says whether the release had begun.
    if held.is_some() || (!source && handoff.recheck.is_some()) {
        return None;
    }
    let volumes: Vec<VolumeId> = match (source, work.volumes.get(&handoff.ordinal)) {
        (false, Some(volumes)) => volumes.iter().map(crate::facts::ClaimedVolume::id).collect(),
        (true, _) | (false, None) => Vec::new(),
    };
    let body = CommandBody::Hold {
        max_unavailable: 0,
        stateful_set_uid: if source { work.source_uid.clone() } else { work.target_uid.clone() },
        slice: if source { work.source_slice } else { work.target_slice },
        ordinal: handoff.ordinal,
        source,
        volumes,
    };
    Some(Desired { epoch: handoff.epoch, body })
}

fn release(work: &Work, handoff: &Handoff, cluster: &ClusterName) -> Option<Desired> {
    let held = &handoff.source_held.as_ref()?.held;
    let body = CommandBody::Release {
        ordinal: handoff.ordinal,
        stateful_set_uid: work.source_uid.clone(),
        from_slice: work.source_slice,
        to_slice: handoff.source_to,
        volumes: work.volumes.get(&handoff.ordinal).cloned().unwrap_or_default(),
        node: held.node.clone()?,
        pod_uid: held.pod_uid.clone(),
        attested: handoff.attested_in(cluster),
    };
    Some(Desired { epoch: handoff.epoch, body })
}

/// A disk that comes back finds the class it came from, if one class stands for each.
fn classes(migration: &Migration, work: &Work) -> BTreeMap<String, String> {
    let known = &migration.storage_classes;
    if !work.reversed {
        return known.clone();
    }
    known.iter().map(|(from, to)| (to.clone(), from.clone())).collect()
}

fn adopt(migration: &Migration, work: &Work, handoff: &Handoff) -> Option<Desired> {
    let storage_classes = classes(migration, work);
    let body = CommandBody::Adopt {
        ordinal: handoff.ordinal,
        stateful_set_uid: work.target_uid.clone(),
        from_slice: work.target_slice,
        to_slice: handoff.target_to,
        volumes: handoff.released.as_ref()?.volumes.clone(),
        storage_classes,
    };
    Some(Desired { epoch: handoff.epoch, body })
}

fn fence(work: &Work, handoff: &Handoff, cluster: &ClusterName) -> Desired {
    let body = CommandBody::Fence {
        ordinal: handoff.ordinal,
        stateful_set_uid: work.target_uid.clone(),
        from_slice: handoff.target_to,
        to_slice: handoff.target_from,
        volumes: work.granted().to_vec(),
        attested: handoff.attested_in(cluster),
    };
    Desired { epoch: handoff.epoch, body }
}

fn reclaim(work: &Work, handoff: &Handoff) -> Desired {
    let body = CommandBody::Reclaim {
        ordinal: handoff.ordinal,
        stateful_set_uid: work.source_uid.clone(),
        from_slice: handoff.source_to,
        to_slice: handoff.source_from,
        volumes: work.volumes.get(&handoff.ordinal).cloned().unwrap_or_default(),
    };
    Desired { epoch: handoff.epoch, body }
}

/// Roles have changed places only if something had moved; the StatefulSets go by the migration's clusters.
fn unprepare(work: &Work, record: &WorkloadRecord, target: bool) -> Desired {
    let of_source = target == work.reversed;
    let uid = if of_source { &work.source_uid } else { &work.target_uid };
    let body = CommandBody::Unprepare {
        target,
        stateful_set_uid: uid.clone(),
        originals: work.originals.clone(),
        epochs: epochs(record, |ordinal| work.volumes.contains_key(&ordinal)),
    };
    Desired { epoch: highest(record), body }
}

fn settle(work: &Work, record: &WorkloadRecord, source: bool, target: bool) -> Desired {
    // What stays in the source still needs the protection that preparation gave it.
    let last = work.stage == Stage::Finishing && work.source_slice.is_empty();
    let (of_source, of_target) = work.budgets();
    let body = CommandBody::Settle {
        max_unavailable: if source { of_source } else { of_target },
        last,
        target,
        originals: if last && target { work.originals.clone() } else { None },
        epochs: epochs(record, |_| true),
    };
    Desired { epoch: highest(record), body }
}
