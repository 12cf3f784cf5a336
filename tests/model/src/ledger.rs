//! The coordinator of the model is the core: this feeds it and keeps its state small.
//!
//! [`Ledger`] holds a durable state of the core as it is, but for what grows without deciding anything: words for people,
//! times of steps, attempts. Time is logical: it stands still at [`NOW`], and what waits for it is due at [`SOON`]; holds
//! are fresh or [too old](AGED). So the same situation is the same state however it came about, and there are finitely
//! many of them.
//!
//! A core is made anew for each input, from the durable state and from what attached agents said last, and that makes
//! sure of something too: nothing that is lost at a restart is needed to decide. What it then says again is dropped.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use ferry_core::{
    Core, Decision, Effect, Epoch, Input, Millis, Ordinal, Request, RequestId, Session, State,
    facts::{Inventory, InventoryVolume, KeptEpoch, Outcome, Resync},
    migration::{Phase, Setback, Stage, Work},
};
use serde::Serialize;

use crate::names::{self, Side};

/// The time at which the model stands.
pub(crate) const NOW: Millis = Millis(1_000_000_000);
/// When everything that is asked for again is due.
const SOON: Millis = Millis(NOW.0 + 1_000);
/// The time of a hold that is too old to rely on.
const AGED: Millis = Millis(NOW.0 - 2 * ferry_core::limits::HELD_FRESH_MS);
/// The one stream that a cluster has at a time: those before it have ended.
const SESSION: Session = Session(1);

/// A durable state, and its digest.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) state: State,
    digest: u64,
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.state == other.state
    }
}

impl Eq for Ledger {}

impl Hash for Ledger {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.digest);
    }
}

/// What the controller knows of an agent since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Heard {
    /// Whether the agent is attached.
    pub(crate) attached: bool,
    /// The epochs that it said when it attached last; none: it has not since the controller started.
    pub(crate) epochs: Option<Vec<(Ordinal, u64)>>,
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Wish {
    /// `ferry pause`.
    Pause,
    /// `ferry resume`.
    Resume,
    /// `ferry rollback`.
    Undo,
    /// `ferry rollback --all`.
    Rollback,
}

/// One thing that the core is told.
#[derive(Clone, Debug, Serialize)]
pub(crate) enum Told {
    /// An agent attached.
    Attached(Side, Box<Resync>),
    /// Its stream ended.
    Detached(Side),
    /// It answered.
    Outcome(Side, Outcome),
    /// What is asked for again is due; holds stay fresh.
    Soon,
    /// So much time has passed that holds are too old.
    Late,
    /// A person asks.
    Asked(Wish),
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Stepped {
    /// The state afterwards.
    pub(crate) ledger: Arc<Ledger>,
    /// What is to be sent.
    pub(crate) effects: Vec<Effect>,
    /// Why the core gave up, if it did.
    pub(crate) panic: Option<String>,
}

/// What was worked out before: the core gives the same answer to the same question.
#[derive(Default)]
pub(crate) struct Memory(Mutex<HashMap<(u64, u64), Arc<Stepped>>>);

/// A digest of whatever can be written down.
pub(crate) fn digest(value: &impl Serialize) -> u64 {
    struct Sink(DefaultHasher);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    if let Err(error) = serde_json::to_writer(&mut sink, value) {
        panic!("the model's data cannot be written down: {error}");
    }
    sink.0.finish()
}

impl Ledger {
    /// The state without what decides nothing, as of `now`.
    pub(crate) fn new(mut state: State, now: Millis) -> Self {
        settle_times(&mut state, now);
        let digest = digest(&state);
        Self { state, digest }
    }

    /// The one migration's inner part, while it runs.
    pub(crate) fn work(&self) -> Option<&Work> {
        self.state.work.values().next()
    }

    /// What people see of it.
    pub(crate) fn phase(&self) -> Phase {
        self.state.migrations.values().next().map_or(Phase::Refused, |migration| migration.phase)
    }

    /// Whether a person stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state.migrations.values().any(|migration| migration.control.stopped)
    }

    /// Whether something will be asked for again with time.
    pub(crate) fn waits(&self) -> bool {
        let slots = self.work().into_iter().flat_map(|work| work.slots.values());
        slots
            .filter(|slot| slot.pending.is_none())
            .any(|slot| slot.setback.as_ref().is_some_and(|setback| setback.retry_at.is_some()))
    }

    /// Whether holds can become too old to rely on.
    pub(crate) fn can_age(&self) -> bool {
        let Some(work) = self.work().filter(|work| matches!(work.stage, Stage::Holding | Stage::Releasing))
        else {
            return false;
        };
        let handoff = work.handoff.iter().flat_map(|of| [&of.source_held, &of.target_held]);
        handoff.flatten().any(|held| held.at == NOW)
    }
}

/// What decides nothing goes; what is due soon is due at one time.
fn settle_times(state: &mut State, now: Millis) {
    state.plans.clear();
    for record in state.clusters.values_mut() {
        record.attached_at = NOW;
    }
    for volume in state.ledger.volumes.values_mut() {
        volume.missing_since = volume.missing_since.map(|_| NOW);
    }
    for migration in state.migrations.values_mut() {
        migration.message.clear();
        migration.deadlines.clear();
        migration.started_at = NOW;
        migration.ended_at = migration.ended_at.map(|_| NOW);
        let control = &mut migration.control;
        for asked in [&mut control.paused, &mut control.undo, &mut control.rollback].into_iter().flatten() {
            asked.at = NOW;
        }
        for ordinal in &mut migration.ordinals {
            ordinal.message.clear();
            ordinal.steps.clear();
            (ordinal.started_at, ordinal.ended_at) = (None, None);
        }
    }
    for work in state.work.values_mut() {
        work.waits_for.clear();
        work.left.clear();
        work.step_since = None;
        work.overdue = false;
        work.slots.retain(|_, slot| slot.pending.is_some() || slot.setback.is_some());
        for setback in work.slots.values_mut().filter_map(|slot| slot.setback.as_mut()) {
            let retry_at = setback.retry_at.map(|_| SOON);
            *setback = Setback { attempts: 1, retry_at, message: String::new(), ..setback.clone() };
        }
        let Some(handoff) = &mut work.handoff else { continue };
        handoff.lapses = 0;
        handoff.declines = handoff.declines.min(1);
        handoff.resolvers_until = handoff.resolvers_until.map(|_| NOW);
        let held = [&mut handoff.source_held, &mut handoff.target_held, &mut handoff.recheck];
        for held in held.into_iter().flatten() {
            let fresh = now.since(held.at) <= ferry_core::limits::HELD_FRESH_MS;
            held.at = if fresh { NOW } else { AGED };
        }
    }
}

impl Memory {
    /// Tells the core one thing.
    pub(crate) fn step(&self, ledger: &Ledger, heard: &[Heard; 2], told: &Told) -> Arc<Stepped> {
        let mut hasher = DefaultHasher::new();
        (ledger, heard).hash(&mut hasher);
        let key = (hasher.finish(), digest(told));
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return known;
        }
        let stepped = Arc::new(step(ledger, heard, told));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, stepped.clone());
        stepped
    }
}

fn step(ledger: &Ledger, heard: &[Heard; 2], told: &Told) -> Stepped {
    let now = match told {
        Told::Soon => SOON,
        Told::Late => Millis(NOW.0 + ferry_core::limits::HELD_FRESH_MS + 1),
        _ => NOW,
    };
    let worked = catch_unwind(AssertUnwindSafe(|| {
        let mut core = revived(ledger, heard);
        let Decision { effects, .. } = core.step(input(ledger, told), now);
        let sound = core.state().check();
        (core.state().clone(), effects, sound)
    }));
    match worked {
        Ok((state, effects, sound)) => {
            Stepped { ledger: Arc::new(Ledger::new(state, now)), effects, panic: sound.err() }
        }
        Err(payload) => {
            let words = payload.downcast_ref::<String>().cloned();
            let words = words.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
            let panic = Some(words.unwrap_or_else(|| "the core panicked".to_owned()));
            eprintln!("the core: {panic:?} at {told:?}");
            Stepped { ledger: Arc::new(ledger.clone()), effects: Vec::new(), panic }
        }
    }
}

/// A core that knows what the controller knew: each agent says again what it said when it attached.
fn revived(ledger: &Ledger, heard: &[Heard; 2]) -> Core {
    let mut core = Core::new(ledger.state.clone());
    for side in Side::BOTH {
        let heard = &heard[side.index()];
        let Some(epochs) = &heard.epochs else { continue };
        let in_progress = ledger.state.work.values().filter_map(|work| work.slots.get(&side.name()));
        let in_progress = in_progress.filter_map(|slot| Some(slot.pending.as_ref()?.id.clone()));
        let resync = Resync {
            commands_in_progress: in_progress.collect(),
            ..resync(side, epochs, sighted(&ledger.state, side))
        };
        core.step(input(ledger, &Told::Attached(side, Box::new(resync))), NOW);
        if !heard.attached {
            core.step(input(ledger, &Told::Detached(side)), NOW);
        }
    }
    let again = Ledger::new(core.state().clone(), NOW);
    assert!(again.state == ledger.state, "saying again what was said has changed the ledger");
    core
}

/// The inventory that shows a cluster's volumes as the ledger has them.
fn sighted(state: &State, side: Side) -> Inventory {
    let volumes = state.ledger.volumes.iter().filter_map(|(id, record)| {
        let sighting = record.sightings.get(&side.name())?;
        let bound = sighting.usable && sighting.pv_phase == "Bound";
        Some(InventoryVolume {
            driver: id.driver.clone(),
            handle: id.handle.clone(),
            pv_name: sighting.pv_name.clone(),
            pv_uid: sighting.pv_uid.clone(),
            pv_phase: sighting.pv_phase.clone(),
            claim_name: sighting.claim_name.clone(),
            claim_uid: if bound { "bound".to_owned() } else { String::new() },
            attachment_nodes: if sighting.usable && !bound { vec!["node".to_owned()] } else { Vec::new() },
            workload: record.workload.clone(),
            ordinal: record.ordinal,
            ..InventoryVolume::default()
        })
    });
    Inventory { volumes: volumes.collect(), ..Inventory::default() }
}

/// What an agent says when it attaches.
pub(crate) fn resync(side: Side, epochs: &[(Ordinal, u64)], inventory: Inventory) -> Resync {
    let kept = |(ordinal, epoch): &(Ordinal, u64)| KeptEpoch {
        workload: names::workload(),
        ordinal: *ordinal,
        epoch: Epoch(*epoch),
    };
    Resync {
        cluster_uid: format!("{side}-uid"),
        epochs: epochs.iter().map(kept).collect(),
        inventory,
        instance_id: side.to_string(),
        ..Resync::default()
    }
}

fn input(ledger: &Ledger, told: &Told) -> Input {
    match told {
        Told::Attached(side, resync) => {
            Input::Attached { cluster: side.name(), session: SESSION, resync: resync.clone() }
        }
        Told::Detached(side) => Input::Detached { cluster: side.name(), session: SESSION },
        Told::Outcome(side, outcome) => {
            Input::Outcome { cluster: side.name(), session: SESSION, outcome: Box::new(outcome.clone()) }
        }
        Told::Soon | Told::Late => Input::Timer,
        Told::Asked(asked) => {
            let id = ledger.state.migrations.keys().next().cloned().unwrap_or_default();
            let by = "somebody".to_owned();
            let body = match asked {
                Wish::Pause => Request::PauseMigration { id, by },
                Wish::Resume => Request::ResumeMigration { id, by },
                Wish::Undo => Request::RollbackMigration { id, all: false, by },
                Wish::Rollback => Request::RollbackMigration { id, all: true, by },
            };
            Input::Request { request: RequestId(1), body }
        }
    }
}
