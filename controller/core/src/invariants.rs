//! The invariants of handoff.md section 2, as far as the ledger can see them.
//!
//! What the world does is the referee's business; here it is whether the ledger could ever have told it to: an
//! ordinal with two owners, slices that overlap or leave a gap, a command that its ordinal's custody does not allow,
//! an epoch that is not the ordinal's. A broken one is a bug: the core panics, and the controller replays.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::{Command, CommandBody};
use crate::ids::{ClusterName, MigrationId, Ordinal, VolumeId, Workload};
use crate::limits;
use crate::migration::{Migration, Phase, Stage, Work};
use crate::state::State;
use crate::volume::{Custody, OrdinalRecord, WorkloadRecord};

type Broken = String;

fn holds(condition: bool, broken: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(broken()) }
}

impl State {
    /// Whether every invariant holds that the ledger can see.
    ///
    /// # Errors
    /// The first one that is broken, in words.
    pub fn check(&self) -> Result<(), Broken> {
        self.check_bounds()?;
        self.check_owners()?;
        let mut moving: BTreeSet<&Workload> = BTreeSet::new();
        for id in self.work.keys() {
            self.check_migration(id)?;
            let workload = self.migrations.get(id).map(|migration| &migration.workload);
            holds(workload.is_some_and(|of| moving.insert(of)), || {
                format!("{id}: two migrations of one workload")
            })?;
        }
        Ok(())
    }

    /// Whether they hold for one migration: what is looked at after each change, in production too.
    ///
    /// # Errors
    /// The first one that is broken, in words.
    pub fn check_migration(&self, id: &MigrationId) -> Result<(), Broken> {
        let Some(work) = self.work.get(id) else {
            return Ok(());
        };
        let migration = self.migrations.get(id).ok_or_else(|| format!("{id} runs and is not listed"))?;
        let record = self.ledger.workloads.get(&migration.workload);
        let record = record.ok_or_else(|| format!("{id} moves a workload that is not in the ledger"))?;
        holds(!migration.phase.is_over() && !work.stage.is_over(), || format!("{id} runs and is over"))?;
        check_slices(migration, work)?;
        check_custody(migration, work, record)?;
        for (cluster, slot) in &work.slots {
            if let Some(command) = &slot.pending {
                check_command(migration, work, record, (cluster, command))?;
            }
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), Broken> {
        let ended = self.migrations.values().filter(|migration| migration.phase.is_over()).count();
        holds(ended <= limits::ENDED_MIGRATIONS, || format!("{ended} ended migrations are kept"))?;
        holds(self.plans.len() <= limits::PLANS, || format!("{} plans are kept", self.plans.len()))?;
        for id in self.finishing.keys() {
            let completed = self.migrations.get(id).is_some_and(|of| of.phase == Phase::Completed);
            holds(completed, || format!("{id} is being finished and is not completed"))?;
        }
        for (id, migration) in &self.migrations {
            let runs = self.work.contains_key(id);
            holds(runs != migration.phase.is_over(), || format!("{id} is listed as running and does not"))?;
        }
        Ok(())
    }

    /// One owner for each volume: no two ordinals have one volume (I1), and only a running migration moves one.
    fn check_owners(&self) -> Result<(), Broken> {
        let mut owners: BTreeMap<&VolumeId, (&Workload, Ordinal)> = BTreeMap::new();
        for (workload, record) in &self.ledger.workloads {
            for (ordinal, known) in &record.ordinals {
                for volume in &known.volumes {
                    let before = owners.insert(volume, (workload, *ordinal));
                    holds(before.is_none(), || format!("I1: volume {volume} belongs to two ordinals"))?;
                }
                let owned = matches!(known.custody, Custody::Owned { .. });
                holds(owned || self.running(workload).is_some(), || {
                    format!("ordinal {ordinal} of {workload} is on its way, and no migration runs")
                })?;
            }
        }
        Ok(())
    }
}

/// I3: slices are disjoint, and with the ordinal in between they are what the migration moves.
fn check_slices(migration: &Migration, work: &Work) -> Result<(), Broken> {
    let id = &migration.id;
    let (source, target) = (work.source_slice, work.target_slice);
    holds(source.is_disjoint(target), || format!("I3: {id}: {source} and {target} overlap"))?;
    let mut run: BTreeSet<Ordinal> = source.ordinals().collect();
    run.extend(target.ordinals());
    if let Some(handoff) = &work.handoff {
        run.insert(handoff.ordinal);
        holds(handoff.source_to.is_disjoint(handoff.target_to), || {
            format!("I3: {id}: the handoff overlaps")
        })?;
    }
    let all: BTreeSet<Ordinal> = match work.span.is_empty() {
        true => migration.ordinals.iter().map(|of| of.ordinal).collect(),
        false => work.span.ordinals().collect(),
    };
    holds(run == all, || format!("I3: {id}: the slices hold {run:?}; expected {all:?}"))
}

/// Each ordinal belongs to whom the slices say, and at most one is in between (I2, I4).
fn check_custody(migration: &Migration, work: &Work, record: &WorkloadRecord) -> Result<(), Broken> {
    let id = &migration.id;
    let sides = (work.source(migration), work.target(migration));
    let of_migration = match work.reversed {
        false => (work.source_slice, work.target_slice),
        true => (work.target_slice, work.source_slice),
    };
    for (index, of) in migration.ordinals.iter().enumerate() {
        let ordinal = of.ordinal;
        let known = record.ordinals.get(&ordinal);
        let known = known.ok_or_else(|| format!("{id}: ordinal {ordinal} is not in the ledger"))?;
        let handoff = work.handoff.as_ref().filter(|handoff| handoff.ordinal == ordinal);
        let fits = match (&known.custody, handoff) {
            (Custody::Owned { cluster }, None) if *cluster == migration.to => {
                index < work.moved && of_migration.1.contains(ordinal)
            }
            (Custody::Owned { cluster }, None) if *cluster == migration.from => {
                index >= work.moved && of_migration.0.contains(ordinal)
            }
            (Custody::Releasing { from, to }, Some(handoff)) => {
                (from, to) == sides
                    && work.current() == Some(index)
                    && known.epoch == handoff.epoch
                    && handoff.released.is_none()
                    && work.source_slice.contains(ordinal)
                    && matches!(work.stage, Stage::Holding | Stage::Releasing | Stage::Fencing)
            }
            (Custody::Granted { from, to }, Some(handoff)) => {
                (from, to) == sides
                    && work.current() == Some(index)
                    && known.epoch == handoff.epoch
                    && handoff.released.as_ref().is_some_and(|released| released.detached)
                    && !work.source_slice.contains(ordinal)
                    && !matches!(work.stage, Stage::Holding | Stage::Releasing | Stage::Reclaiming)
            }
            (Custody::Reclaiming { from, to }, Some(handoff)) => {
                (from, to) == sides
                    && work.current() == Some(index)
                    && known.epoch == handoff.epoch
                    && !work.target_slice.contains(ordinal)
                    && work.stage == Stage::Reclaiming
            }
            (
                Custody::Owned { .. }
                | Custody::Releasing { .. }
                | Custody::Granted { .. }
                | Custody::Reclaiming { .. },
                _,
            ) => false,
        };
        holds(fits, || format!("I2: {id}: ordinal {ordinal} is {known:?} in stage {:?}", work.stage))?;
        holds(work.volumes.contains_key(&ordinal), || format!("{id}: no manifests of ordinal {ordinal}"))?;
    }
    Ok(())
}

/// A command that is out is one that the ledger allows now (I5, I6).
fn check_command(
    migration: &Migration,
    work: &Work,
    record: &WorkloadRecord,
    (cluster, command): (&ClusterName, &Command),
) -> Result<(), Broken> {
    let id = &command.id;
    let side = (cluster == work.source(migration), cluster == work.target(migration));
    let of = |ordinal: Ordinal| -> Result<&OrdinalRecord, Broken> {
        record.ordinals.get(&ordinal).ok_or_else(|| format!("{id}: ordinal {ordinal} is not in the ledger"))
    };
    let epochs_fit = |ordinal: Ordinal| -> Result<bool, Broken> { Ok(of(ordinal)?.epoch == command.epoch) };
    let fits = match &command.body {
        CommandBody::InspectSource { .. }
        | CommandBody::InspectTarget { .. }
        | CommandBody::Probe(_)
        | CommandBody::Finish { .. } => false,
        CommandBody::Fence { ordinal, .. } | CommandBody::Reclaim { ordinal, .. } => {
            epochs_fit(*ordinal)? && undo_fits(work, &of(*ordinal)?.custody, side, &command.body)
        }
        CommandBody::Unprepare { target, .. } => {
            *target == (*cluster == migration.to)
                && work.stage == Stage::Unpreparing
                && work.moved == 0
                && work.handoff.is_none()
        }
        CommandBody::PrepareSource { .. } => side.0 && work.stage == Stage::PreparingSource,
        CommandBody::PrepareTarget { .. } => side.1 && work.stage == Stage::PreparingTarget,
        CommandBody::Hold { ordinal, source, max_unavailable, slice, .. } => {
            let expected = if *source { work.source_slice } else { work.target_slice };
            *source == side.0
                && work.stage == Stage::Holding
                && epochs_fit(*ordinal)?
                && *max_unavailable == 0
                && *slice == expected
        }
        CommandBody::Release { ordinal, from_slice, to_slice, .. } => {
            side.0
                && epochs_fit(*ordinal)?
                && matches!(of(*ordinal)?.custody, Custody::Releasing { .. })
                && *from_slice == work.source_slice
                && from_slice.without(*ordinal) == Ok(*to_slice)
                && work.handoff.as_ref().is_some_and(|handoff| handoff.target_held.is_some())
        }
        CommandBody::Adopt { ordinal, from_slice, to_slice, volumes, .. } => {
            side.1
                && epochs_fit(*ordinal)?
                && matches!(of(*ordinal)?.custody, Custody::Granted { .. })
                && *from_slice == work.target_slice
                && from_slice.with(*ordinal) == Ok(*to_slice)
                && to_slice.is_disjoint(work.source_slice)
                && work.handoff.as_ref().and_then(|of| of.released.as_ref()).map(|of| &of.volumes)
                    == Some(volumes)
        }
        CommandBody::Retire { ordinal, .. } => {
            side.0
                && epochs_fit(*ordinal)?
                && matches!(of(*ordinal)?.custody, Custody::Granted { .. })
                && work.target_slice.contains(*ordinal)
                && work.handoff.as_ref().is_some_and(|handoff| handoff.resolvers_until.is_some())
        }
        CommandBody::Settle { max_unavailable, target, .. } => {
            let (of_source, of_target) = work.budgets();
            let expected = if side.1 { of_target } else { of_source };
            *target == (*cluster == migration.to) && work.handoff.is_none() && *max_unavailable == expected
        }
    };
    holds(fits, || {
        format!("{id} is out in {cluster} at stage {:?}, which the ledger does not allow", work.stage)
    })
}

/// Fence before taking back: the source takes nothing that the target may still take.
fn undo_fits(work: &Work, custody: &Custody, side: (bool, bool), body: &CommandBody) -> bool {
    match body {
        CommandBody::Fence { ordinal, to_slice, .. } => {
            side.1
                && work.stage == Stage::Fencing
                && matches!(custody, Custody::Granted { .. } | Custody::Releasing { .. })
                && !to_slice.contains(*ordinal)
        }
        CommandBody::Reclaim { ordinal, to_slice, .. } => {
            side.0
                && matches!(custody, Custody::Reclaiming { .. })
                && to_slice.contains(*ordinal)
                && to_slice.is_disjoint(work.target_slice)
        }
        _ => false,
    }
}
