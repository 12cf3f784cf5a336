//! From events to durable state: the only code that moves an ordinal from one owner to the next.
//!
//! Everything here is deterministic and asserts what must have been checked before: an event that the table forbids,
//! an epoch that does not rise, a slice that does not fit are bugs, and crash.
//! What is sent next is not decided here: `desired` reads it off the result.

use crate::facts::{Adopted, ClaimedVolume, Held, OrdinalEpoch, Released, StepState};
use crate::ids::{ClusterName, Epoch, MigrationId, Ordinal};
use crate::limits;
use crate::migration::display::{Migration, OrdinalProgress, Phase, StepTime};
use crate::migration::event::Event;
use crate::migration::stage::Stage;
use crate::migration::work::{Handoff, HeldAt, Work};
use crate::slice::Slice;
use crate::state::State;
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
    state.ledger.take_over(work.volumes.values().flatten().map(ClaimedVolume::id));
    let record = state.ledger.workloads.entry(migration.workload.clone()).or_default();
    record.migrations += 1;
    record.known_uids.entry(migration.from.clone()).or_default().insert(work.source_uid.clone());
    for known in *epochs {
        let volumes = work.volumes.get(&known.ordinal).into_iter().flatten().map(|volume| volume.id());
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
    }
}

/// What an event changes, lent out of the state for as long as it takes.
struct Scene<'a> {
    migration: &'a mut Migration,
    work: &'a mut Work,
    ledger: &'a mut Ledger,
    at: Millis,
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
    let mut scene = Scene { migration, work, ledger: &mut state.ledger, at };
    scene.apply(event);
    if stage.is_over() {
        migration.ended_at = Some(at);
        migration.phase = Phase::Refused;
        if stage == Stage::Completed {
            migration.phase = Phase::Completed;
            migration.message.clear();
        }
        state.work.remove(id);
        drop_oldest_ended(state);
    }
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
            Event::Converged | Event::ResolversWaited => {}
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
            Event::GivenUp { message } => self.migration.message.clone_from(message),
        }
        if let Event::ResolversWaited = event {
            self.ends(11);
            self.begins(12);
        }
    }

    fn handoff(&mut self) -> &mut Handoff {
        match self.work.handoff.as_mut() {
            Some(handoff) => handoff,
            None => panic!("{}: no ordinal is in between", self.migration.id),
        }
    }

    fn forget_setbacks(&mut self) {
        self.work.waits_for.clear();
        for slot in self.work.slots.values_mut() {
            slot.setback = None;
        }
    }

    fn custody(&mut self, ordinal: Ordinal) -> &mut OrdinalRecord {
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
        let (from, to) = (self.migration.from.clone(), self.migration.to.clone());
        let id = self.migration.id.clone();
        let record = self.custody(ordinal);
        assert_eq!(
            record.custody,
            Custody::Owned { cluster: from.clone() },
            "{id}: {ordinal} is not the source's"
        );
        assert_eq!(epoch, record.epoch.next(), "{id}: the epoch of {ordinal} must rise by one");
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
            lapses: 0,
            declines: 0,
            old_addresses: Vec::new(),
            released: None,
            pod_uid: String::new(),
            pod_address: String::new(),
            resolvers_until: None,
        });
        self.progress(|progress, at| progress.started_at = Some(at));
        self.begins(1);
        self.ends(1);
        self.begins(2);
        self.begins(3);
    }

    fn side_held(&mut self, cluster: &ClusterName, held: &Held) {
        let held = HeldAt { held: held.clone(), at: self.at };
        let source = *cluster == self.migration.from;
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
        let source = *cluster == self.migration.from;
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
        self.ends(2);
        self.ends(3);
        self.progress(|progress, _| {
            progress.step = 5;
            progress.message.clear();
        });
    }

    fn released(&mut self, evidence: &Released) {
        self.forget_setbacks();
        let (from, to) = (self.migration.from.clone(), self.migration.to.clone());
        let handoff = self.handoff();
        handoff.released = Some(Box::new(evidence.clone()));
        let (ordinal, source_to) = (handoff.ordinal, handoff.source_to);
        self.work.source_slice = source_to;
        self.work.volumes.insert(ordinal, evidence.volumes.clone());
        self.custody(ordinal).custody = Custody::Granted { from: from.clone(), to };
        for volume in &evidence.volumes {
            if let Some(record) = self.ledger.volumes.get_mut(&volume.id())
                && let Some(sighting) = record.sightings.get_mut(&from)
            {
                // The proof says so; the inventory follows when its watch does.
                sighting.usable = false;
                "Released".clone_into(&mut sighting.pv_phase);
            }
        }
        for step in 5..=8 {
            self.ends(step);
        }
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
        let target_to = handoff.target_to;
        self.work.target_slice = target_to;
        for volume in &evidence.volumes {
            let sighting = Sighting {
                pv_name: volume.volume.name.clone(),
                pv_uid: volume.volume.uid.clone(),
                pv_phase: "Bound".to_owned(),
                claim_name: volume.claim.name.clone(),
                usable: true,
            };
            if let Some(record) = self.ledger.volumes.get_mut(&volume.id()) {
                record.missing_since = None;
                record.sightings.insert(self.migration.to.clone(), sighting);
            }
        }
        self.ends(9);
        self.ends(10);
        self.begins(11);
    }

    fn retired(&mut self) {
        self.forget_setbacks();
        let Some(handoff) = self.work.handoff.take() else {
            panic!("{}: no ordinal is in between", self.migration.id);
        };
        let (from, to, at) = (self.migration.from.clone(), self.migration.to.clone(), self.at);
        self.custody(handoff.ordinal).custody = Custody::Owned { cluster: to };
        for volume in self.work.volumes.remove(&handoff.ordinal).into_iter().flatten() {
            self.ledger.forget_sighting(&from, &volume.id(), at);
        }
        self.ends(12);
        self.begins(13);
        self.ends(13);
        self.progress(|progress, at| {
            progress.step = 14;
            progress.message.clear();
            progress.ended_at = Some(at);
        });
        self.work.moved += 1;
    }

    fn progress(&mut self, change: impl FnOnce(&mut OrdinalProgress, Millis)) {
        let at = self.at;
        if let Some(progress) = self.migration.ordinals.get_mut(self.work.moved) {
            change(progress, at);
        }
    }

    fn begins(&mut self, step: u32) {
        self.progress(|progress, at| progress.begin(step, at));
    }

    fn ends(&mut self, step: u32) {
        self.progress(|progress, at| progress.end(step, at));
    }
}

impl OrdinalProgress {
    fn begin(&mut self, step: u32, at: Millis) {
        if step > self.step {
            self.step = step;
            self.message.clear();
        }
        let known = self.steps.iter().any(|time| time.step == step);
        if !known && self.steps.len() < limits::STEP_TIMES {
            self.steps.push(StepTime { step, started_at: at, ended_at: None });
        }
    }

    fn end(&mut self, step: u32, at: Millis) {
        if let Some(time) = self.steps.iter_mut().find(|time| time.step == step && time.ended_at.is_none()) {
            time.ended_at = Some(at);
        }
    }
}

/// Applies what an agent said of a step: for people only, nothing is decided from it.
pub(crate) fn apply_step_report(
    state: &mut State,
    id: &MigrationId,
    ordinal: Option<Ordinal>,
    (step, step_state, message): (u32, StepState, &str),
    at: Millis,
) {
    let (Some(migration), Some(work)) = (state.migrations.get_mut(id), state.work.get_mut(id)) else {
        return;
    };
    let waits_for = if step_state == StepState::Done { "" } else { message };
    let Some(ordinal) = ordinal else {
        waits_for.clone_into(&mut work.waits_for);
        return;
    };
    let Some(progress) = migration.ordinals.iter_mut().find(|progress| progress.ordinal == ordinal) else {
        return;
    };
    progress.begin(step, at);
    waits_for.clone_into(&mut progress.message);
    if step_state == StepState::Done {
        progress.end(step, at);
    }
}
