//! From events to durable state: the only code that moves an ordinal from one owner to the next.
//!
//! Everything here is deterministic and asserts what must have been checked before: an event that the table forbids,
//! an epoch that does not rise, a slice that does not fit are bugs, and crash.
//! What is sent next is not decided here: `desired` reads it off the result. Taking back is in `undo`.

use crate::facts::{Adopted, ClaimedVolume, Held, OrdinalEpoch, Released};
use crate::ids::{ClusterName, Epoch, MigrationId, Ordinal, VolumeId};
use crate::limits;
use crate::migration::display::{Migration, OrdinalProgress};
use crate::migration::event::Event;
use crate::migration::stage::Stage;
use crate::migration::work::{Handoff, HeldAt, Work};
use crate::slice::Slice;
use crate::state::State;
use crate::storage::Storage;
use crate::time::Millis;
use crate::volume::{Custody, Ledger, OrdinalRecord, Sighting};

/// What starts: the parts of its entry.
pub(crate) struct Started<'a> {
    pub(crate) migration: &'a Migration,
    pub(crate) work: &'a Work,
    pub(crate) epochs: &'a [OrdinalEpoch],
}

/// Takes a new migration in: its ordinals are the source's, under the epochs it says.
pub(crate) fn start(state: &mut State, started: &Started<'_>) {
    let Started { migration, work, epochs } = started;
    let disk = |of: &ClaimedVolume| state.storage.volume(&migration.from, &of.driver, &of.handle);
    state.ledger.take_over(work.volumes.values().flatten().map(disk));
    let record = state.ledger.workloads.entry(migration.workload.clone()).or_default();
    record.migrations += 1;
    record.known_uids.entry(migration.from.clone()).or_default().insert(work.source_uid.clone());
    for known in *epochs {
        let volumes = work.volumes.get(&known.ordinal).into_iter().flatten().map(disk);
        let ordinal = OrdinalRecord {
            custody: Custody::Owned { cluster: migration.from.clone() },
            epoch: known.epoch,
            volumes: volumes.collect(),
        };
        let before = record.ordinals.insert(known.ordinal, ordinal);
        let lowered = before.is_some_and(|before| before.epoch > known.epoch);
        assert!(!lowered, "{}: the epoch of ordinal {} would fall", migration.id, known.ordinal);
    }
    state.migrations_started = migration.number;
    state.migrations.insert(migration.id.clone(), (*migration).clone());
    state.work.insert(migration.id.clone(), (*work).clone());
    drop_oldest_ended(state);
}

fn drop_oldest_ended(state: &mut State) {
    let mut ended: Vec<(u64, MigrationId)> = state
        .migrations
        .values()
        .filter(|migration| migration.phase.is_over())
        .map(|migration| (migration.number, migration.id.clone()))
        .collect();
    ended.sort();
    let excess = ended.len().saturating_sub(limits::ENDED_MIGRATIONS);
    for (_, id) in ended.into_iter().take(excess) {
        state.migrations.remove(&id);
        state.finishing.remove(&id);
    }
}

/// What an event changes, lent out of the state for as long as it takes.
pub(super) struct Scene<'a> {
    pub(super) migration: &'a mut Migration,
    pub(super) work: &'a mut Work,
    pub(super) ledger: &'a mut Ledger,
    storage: &'a Storage,
    pub(super) at: Millis,
}

/// Applies one event to its migration and to the ledger.
pub(crate) fn apply_event(state: &mut State, id: &MigrationId, event: &Event, at: Millis) {
    let (Some(migration), Some(work)) = (state.migrations.get_mut(id), state.work.get_mut(id)) else {
        panic!("{id} does not run, but an entry moves it");
    };
    let stage = match work.stage.after(event) {
        Ok(stage) => stage,
        Err(illegal) => panic!("{id}: {illegal}"),
    };
    work.stage = stage;
    let mut scene = Scene { migration, work, ledger: &mut state.ledger, storage: &state.storage, at };
    scene.apply(event);
    work.note_step(migration, at);
    if stage.is_over() {
        migration.ended_at = Some(at);
        migration.control.paused = None;
        migration.control.stopped = false;
        migration.unknown.clear();
        migration.commands = work.commands;
        migration.phase = work.phase(&migration.control);
        match stage {
            Stage::Completed => migration.message.clear(),
            Stage::RolledBack => migration.message = left_behind(&work.left),
            _ => {}
        }
        state.work.remove(id);
        drop_oldest_ended(state);
    }
}

/// What a rollback could not give back, for whoever reads of it later.
fn left_behind(left: &[String]) -> String {
    if left.is_empty() {
        return String::new();
    }
    limits::cut(&format!("rolled back; what stays: {}", left.join("; ")))
}

impl Scene<'_> {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::SourcePrepared { evidence } => {
                self.work.originals = Some(evidence.stateful_set.clone());
                self.work.volumes =
                    evidence.ordinals.iter().map(|of| (of.ordinal, of.volumes.clone())).collect();
                self.forget_setbacks();
            }
            Event::TargetPrepared { uid, slice } => self.target_prepared(uid, *slice),
            Event::Converged => {}
            Event::ResolversWaited => {
                let address = self.handoff().pod_address.clone();
                self.ends(
                    11,
                    &format!("every cluster resolves it to {address} alone; resolvers had their time"),
                );
                self.begins(12);
            }
            Event::HandoffBegan { ordinal, epoch } => self.began(*ordinal, *epoch),
            Event::SideHeld { cluster, held } => self.side_held(cluster, held),
            Event::HoldLapsed { cluster } => self.hold_lapsed(cluster),
            Event::Held { old_addresses } => self.held(old_addresses),
            Event::ReleaseDeclined => {
                let handoff = self.handoff();
                handoff.recheck = handoff.source_held.take();
                handoff.declines = handoff.declines.saturating_add(1);
            }
            Event::RecheckDeclined => {
                let handoff = self.handoff();
                handoff.source_held = handoff.recheck.take();
                handoff.began = true;
            }
            Event::Released { evidence } => self.released(evidence),
            Event::Adopted { evidence } => self.adopted(evidence),
            Event::GatePassed { resolvers_until } => self.handoff().resolvers_until = Some(*resolvers_until),
            Event::Retired { .. } => self.retired(),
            Event::SideSettled { cluster } => {
                self.work.settled.insert(cluster.clone());
                self.work.slots.remove(cluster);
            }
            Event::Settled => self.work.settled.clear(),
            Event::Withdrawn => self.withdrawn(),
            Event::FenceBegan { epoch } => self.undo_began(*epoch, false),
            Event::ReclaimBegan { epoch } => self.undo_began(*epoch, true),
            Event::Fenced { .. } => self.fenced(),
            Event::Reclaimed { evidence } => self.reclaimed(evidence),
            Event::EpochRaised { epoch } => self.overtaken(*epoch),
            Event::Turned => self.turned(),
            Event::UnprepareBegan => self.unprepare_began(),
            Event::SideUnprepared { cluster, left } => self.side_unprepared(cluster, left),
            Event::Unprepared => self.unprepared(),
            Event::GivenUp { message } => self.migration.message.clone_from(message),
        }
    }

    pub(super) fn handoff(&mut self) -> &mut Handoff {
        match self.work.handoff.as_mut() {
            Some(handoff) => handoff,
            None => panic!("{}: no ordinal is in between", self.migration.id),
        }
    }

    pub(super) fn forget_setbacks(&mut self) {
        self.work.waits_for.clear();
        for slot in self.work.slots.values_mut() {
            slot.setback = None;
        }
    }

    pub(super) fn sides(&self) -> (ClusterName, ClusterName) {
        (self.work.source(self.migration).clone(), self.work.target(self.migration).clone())
    }

    /// The disk as the ledger knows it: both sides reach the same array.
    pub(super) fn disk(&self, of: &ClaimedVolume) -> VolumeId {
        self.storage.volume(&self.migration.from, &of.driver, &of.handle)
    }

    pub(super) fn custody(&mut self, ordinal: Ordinal) -> &mut OrdinalRecord {
        let record = self
            .ledger
            .workloads
            .get_mut(&self.migration.workload)
            .and_then(|record| record.ordinals.get_mut(&ordinal));
        match record {
            Some(record) => record,
            None => panic!("{}: ordinal {ordinal} is not in the ledger", self.migration.id),
        }
    }

    fn target_prepared(&mut self, uid: &str, slice: Slice) {
        self.forget_setbacks();
        self.work.description = None;
        uid.clone_into(&mut self.work.target_uid);
        self.work.target_slice = slice;
        let record = self.ledger.workloads.entry(self.migration.workload.clone()).or_default();
        record.known_uids.entry(self.migration.to.clone()).or_default().insert(uid.to_owned());
    }

    fn began(&mut self, ordinal: Ordinal, epoch: Epoch) {
        let (from, to) = self.sides();
        let id = self.migration.id.clone();
        self.forget_steps();
        let record = self.custody(ordinal);
        assert_eq!(
            record.custody,
            Custody::Owned { cluster: from.clone() },
            "{id}: {ordinal} is not the source's"
        );
        assert!(epoch > record.epoch, "{id}: the epoch of {ordinal} must rise");
        let words = format!("owned by {from} before; releasing to {to} under epoch {epoch}");
        record.custody = Custody::Releasing { from, to };
        record.epoch = epoch;
        let (source_to, target_to) =
            match (self.work.source_slice.without(ordinal), self.work.target_slice.with(ordinal)) {
                (Ok(source), Ok(target)) => (source, target),
                (Err(error), _) | (_, Err(error)) => panic!("{id}: {error}"),
            };
        self.work.handoff = Some(Handoff {
            ordinal,
            epoch,
            source_to,
            target_to,
            source_held: None,
            target_held: None,
            recheck: None,
            began: false,
            attested: std::collections::BTreeSet::new(),
            lapses: 0,
            declines: 0,
            old_addresses: Vec::new(),
            released: None,
            pod_uid: String::new(),
            pod_address: String::new(),
            resolvers_until: None,
            source_from: self.work.source_slice,
            target_from: self.work.target_slice,
            release_sent: false,
            adopt_sent: false,
            adopted: Vec::new(),
        });
        self.work.reconverge = false;
        self.progress(|progress, at| progress.started_at = Some(at));
        self.begins(1);
        self.ends(1, &words);
        self.begins(2);
        self.begins(3);
    }

    fn side_held(&mut self, cluster: &ClusterName, held: &Held) {
        let held = HeldAt { held: held.clone(), at: self.at };
        let source = cluster == self.work.source(self.migration);
        // Why a release was declined stays said until the release is done.
        let declined = source && self.handoff().declines > 0;
        if let Some(slot) = self.work.slots.get_mut(cluster)
            && !declined
        {
            slot.setback = None;
        }
        let handoff = self.handoff();
        if source {
            handoff.source_held = Some(held);
            // The source is as it was before its release was asked for: both sides begin anew.
            if handoff.recheck.take().is_some() {
                handoff.target_held = None;
                handoff.began = false;
            }
        } else {
            handoff.target_held = Some(held);
        }
    }

    fn hold_lapsed(&mut self, cluster: &ClusterName) {
        let source = cluster == self.work.source(self.migration);
        let handoff = self.handoff();
        handoff.lapses = handoff.lapses.saturating_add(1);
        if source {
            handoff.source_held = None;
        } else {
            handoff.target_held = None;
        }
    }

    fn held(&mut self, old_addresses: &[String]) {
        if self.handoff().declines == 0 {
            self.forget_setbacks();
        }
        old_addresses.clone_into(&mut self.handoff().old_addresses);
        let both = |held: &Option<HeldAt>| held.as_ref().map_or(0, |of| of.held.available);
        let handoff = self.handoff();
        let available = both(&handoff.source_held) + both(&handoff.target_held);
        self.ends(2, "both PodDisruptionBudgets hold");
        self.ends(
            3,
            &format!("{available} replicas Available, templates equal, slices as the ledger has them"),
        );
        self.progress(|progress, _| {
            progress.step = 5;
            progress.message.clear();
        });
    }

    fn released(&mut self, evidence: &Released) {
        self.forget_setbacks();
        let (from, to) = self.sides();
        let handoff = self.handoff();
        handoff.released = Some(Box::new(evidence.clone()));
        let (ordinal, source_to, epoch) = (handoff.ordinal, handoff.source_to, handoff.epoch);
        self.work.source_slice = source_to;
        self.work.volumes.insert(ordinal, evidence.volumes.clone());
        self.custody(ordinal).custody = Custody::Granted { from: from.clone(), to: to.clone() };
        for volume in &evidence.volumes {
            let disk = self.disk(volume);
            if let Some(record) = self.ledger.volumes.get_mut(&disk)
                && let Some(sighting) = record.sightings.get_mut(&from)
            {
                // The proof says so; the inventory follows when its watch does.
                sighting.usable = false;
                "Released".clone_into(&mut sighting.pv_phase);
            }
        }
        for step in 5..=8 {
            self.ends(step, "");
        }
        self.begins(8);
        self.ends(8, &format!("{from} proved that it let go; granted to {to} under epoch {epoch}"));
        self.progress(|progress, _| {
            progress.step = 9;
            progress.message.clear();
        });
    }

    fn adopted(&mut self, evidence: &Adopted) {
        self.forget_setbacks();
        let handoff = self.handoff();
        handoff.pod_uid.clone_from(&evidence.pod_uid);
        handoff.pod_address.clone_from(&evidence.pod_address);
        handoff.adopted.clone_from(&evidence.volumes);
        let target_to = handoff.target_to;
        self.work.target_slice = target_to;
        let (_, to) = self.sides();
        self.bound_in(&to, &evidence.volumes);
        self.ends(9, "");
        self.ends(10, "");
        self.begins(11);
    }

    fn retired(&mut self) {
        self.forget_setbacks();
        let Some(handoff) = self.work.handoff.take() else {
            panic!("{}: no ordinal is in between", self.migration.id);
        };
        let ((from, to), at) = (self.sides(), self.at);
        let words = format!("owned by {to} under epoch {}", handoff.epoch);
        self.custody(handoff.ordinal).custody = Custody::Owned { cluster: to };
        let before = self.work.volumes.insert(handoff.ordinal, handoff.adopted);
        for volume in before.into_iter().flatten() {
            let disk = self.disk(&volume);
            self.ledger.forget_sighting(&from, &disk, at);
        }
        self.ends(12, "");
        self.begins(13);
        self.ends(13, &words);
        if self.work.reversed {
            self.came_back(&words);
            return;
        }
        self.progress(|progress, at| {
            progress.step = 14;
            progress.message.clear();
            progress.ended_at = Some(at);
        });
        self.work.moved += 1;
    }

    /// That cluster shows these disks Bound: its agent's word comes before its inventory.
    pub(super) fn bound_in(&mut self, cluster: &ClusterName, volumes: &[ClaimedVolume]) {
        for volume in volumes {
            let sighting = Sighting {
                pv_name: volume.volume.name.clone(),
                pv_uid: volume.volume.uid.clone(),
                pv_phase: "Bound".to_owned(),
                claim_name: volume.claim.name.clone(),
                usable: true,
            };
            let disk = self.disk(volume);
            if let Some(record) = self.ledger.volumes.get_mut(&disk) {
                record.missing_since = None;
                record.sightings.insert(cluster.clone(), sighting);
            }
        }
    }

    pub(super) fn progress(&mut self, change: impl FnOnce(&mut OrdinalProgress, Millis)) {
        let at = self.at;
        let current = self.work.current().and_then(|index| self.migration.ordinals.get_mut(index));
        if let Some(progress) = current {
            change(progress, at);
        }
    }

    fn begins(&mut self, step: u32) {
        self.progress(|progress, at| progress.begin(step, at));
    }

    fn ends(&mut self, step: u32, evidence: &str) {
        self.progress(|progress, at| progress.end(step, evidence, at));
    }
}
