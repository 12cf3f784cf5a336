//! One state of everything: the ledger, two clusters, what is on its way, and who is at what.
//!
//! Messages are a set: any of them may be next. Commands are numbered by the core, so that clusters can tell later ones
//! from earlier ones; only their order matters, and [`World::renumber`] makes the numbers small again, so that asking for
//! the same thing once more is the same state once more.
//! What must never happen and cannot be seen in a state alone is noted in [`World::broken`] when it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ferry_core::{
    Command, CommandId, Effect, Ordinal, State,
    facts::{Inventory, InventoryVolume, Outcome},
};

use crate::{
    bounds::Faults,
    cluster::{Claim, Cluster},
    ledger::{Heard, Ledger, NOW, Told, resync},
    names::{self, Side},
    task::{Letter, Task, Thing},
};

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The controller's durable state.
    pub(crate) ledger: Arc<Ledger>,
    /// What it has heard since it started.
    pub(crate) heard: [Heard; 2],
    /// The clusters.
    pub(crate) clusters: [Cluster; 2],
    /// Between the controller and each agent.
    pub(crate) links: [Link; 2],
    /// Processes that carry commands out, sorted.
    pub(crate) tasks: Vec<Task>,
    /// A backup of the ledger.
    pub(crate) backup: Option<Arc<Ledger>>,
    /// The ledger was restored: it may believe what has been.
    pub(crate) rewound: bool,
    /// What may still go wrong.
    pub(crate) left: Faults,
    /// What was broken on the way here.
    pub(crate) broken: BTreeSet<&'static str>,
}

/// Between the controller and one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    /// Commands on their way, sorted.
    pub(crate) down: Vec<Letter<Command>>,
    /// Outcomes on their way, sorted.
    pub(crate) up: Vec<Letter<Outcome>>,
    /// Outcomes that the agent keeps until they are acknowledged.
    pub(crate) unacknowledged: Vec<Letter<Outcome>>,
    /// Something was lost: the stream ends sooner or later.
    pub(crate) torn: bool,
}

impl World {
    /// Somebody wrote to that object: whoever read it before has read something else.
    pub(crate) fn touched(&mut self, side: Side, thing: Thing) {
        for task in self.tasks.iter_mut().filter(|task| task.side == side) {
            for (known, unchanged) in &mut task.read {
                *unchanged &= *known != thing;
            }
        }
    }

    /// The binder.
    pub(crate) fn bind(&mut self, side: Side, ordinal: Ordinal, disk: usize) {
        let found = &mut self.clusters[side.index()].place_mut(ordinal).disks[disk];
        let (Claim::Real(number, _), Some(volume)) = (found.claim, &mut found.volume) else { return };
        if volume.claim.is_none() {
            volume.claim = Some(number);
            self.touched(side, Thing::Volume(ordinal, disk));
        }
    }

    /// What the agent says when it attaches.
    pub(crate) fn attaching(&self, side: Side) -> Told {
        let cluster = &self.clusters[side.index()];
        let mut volumes = Vec::new();
        for (ordinal, place) in (0..).zip(&cluster.places) {
            for (at, disk) in place.disks.iter().enumerate() {
                let Some(volume) = disk.volume else { continue };
                let bound = disk.is_bound();
                let claim_uid =
                    volume.claim.filter(|_| bound).map(|n| names::claim_uid(side, ordinal, at, n));
                volumes.push(InventoryVolume {
                    driver: names::driver(),
                    handle: names::handle(ordinal, at),
                    pv_name: names::volume_name(ordinal, at),
                    pv_uid: names::volume_uid(side, ordinal, at, volume.made),
                    pv_phase: phase(volume.claim, bound).to_owned(),
                    claim_name: names::claim_name(ordinal, at),
                    claim_uid: claim_uid.unwrap_or_default(),
                    attachment_nodes: if disk.attached { vec!["node".to_owned()] } else { Vec::new() },
                    workload: names::workload(),
                    ordinal,
                    ..InventoryVolume::default()
                });
            }
        }
        let inventory = Inventory { volumes, ..Inventory::default() };
        let mut resync = resync(side, &cluster.kept(), inventory);
        let tasks = self.tasks.iter().filter(|task| task.side == side && !task.stopped);
        resync.commands_in_progress = tasks.map(|task| task.order.text.id.clone()).collect();
        resync.commands_in_progress.sort();
        Told::Attached(side, Box::new(resync))
    }

    /// What the core wants done.
    pub(crate) fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Send { cluster, command, .. } => {
                    let link = &mut self.links[Side::of(cluster).index()];
                    put(&mut link.down, Letter::new((**command).clone()));
                }
                Effect::AckOutcome { cluster, command_id, .. } => {
                    let link = &mut self.links[Side::of(cluster).index()];
                    link.unacknowledged.retain(|outcome| outcome.text.command_id != *command_id);
                }
                Effect::CloseSession { cluster, .. } => {
                    self.links[Side::of(cluster).index()].torn = true;
                }
                // Endpoints are no part of the model, and whoever asked is not told.
                _ => {}
            }
        }
    }

    /// The agent has an outcome to say.
    pub(crate) fn say(&mut self, side: Side, outcome: Outcome) {
        let (attached, link) = (self.heard[side.index()].attached, &mut self.links[side.index()]);
        let outcome = Letter::new(outcome);
        put(&mut link.unacknowledged, outcome.clone());
        if attached {
            put(&mut link.up, outcome);
        }
    }

    /// The stream ends, with everything on it.
    pub(crate) fn tear(&mut self, side: Side) {
        let link = &mut self.links[side.index()];
        link.down.clear();
        link.up.clear();
        link.torn = false;
        self.heard[side.index()].attached = false;
    }

    /// The numbers of commands, made small again in the same order.
    pub(crate) fn renumber(&mut self) {
        let mut used = BTreeSet::new();
        let ledgers = [Some(&self.ledger), self.backup.as_ref()];
        for ledger in ledgers.into_iter().flatten() {
            numbers(&ledger.state, &mut used);
        }
        used.extend(self.tasks.iter().map(|task| names::number(&task.order.text)));
        used.extend(self.clusters.iter().filter_map(|cluster| Some(cluster.command?.1)));
        for link in &self.links {
            used.extend(link.down.iter().map(|command| names::number(&command.text)));
            let outcomes = link.up.iter().chain(&link.unacknowledged);
            used.extend(outcomes.map(|outcome| names::number_of(&outcome.text.command_id.0)));
        }
        if used.iter().copied().eq(1..=used.len() as u64) {
            return;
        }
        let small: BTreeMap<u64, u64> = used.into_iter().zip(1..).collect();
        self.ledger = renumbered(&self.ledger, &small);
        self.backup = self.backup.as_ref().map(|backup| renumbered(backup, &small));
        for task in &mut self.tasks {
            recommand(&mut task.order, &small);
        }
        for (_, number) in self.clusters.iter_mut().filter_map(|cluster| cluster.command.as_mut()) {
            *number = small[number];
        }
        for link in &mut self.links {
            link.down.iter_mut().for_each(|command| recommand(command, &small));
            let outcomes = link.up.iter_mut().chain(&mut link.unacknowledged);
            for outcome in outcomes {
                let mut text = (*outcome.text).clone();
                text.command_id = small_id(&text.command_id, &small);
                *outcome = Letter::new(text);
            }
            link.down.sort();
            link.up.sort();
            link.unacknowledged.sort();
        }
    }
}

fn phase(claim: Option<u8>, bound: bool) -> &'static str {
    match claim {
        None => "Available",
        Some(_) if bound => "Bound",
        Some(_) => "Released",
    }
}

/// Into its place, once.
pub(crate) fn put<T>(letters: &mut Vec<Letter<T>>, letter: Letter<T>) {
    if let Err(at) = letters.binary_search(&letter) {
        letters.insert(at, letter);
    }
}

fn numbers(state: &State, used: &mut BTreeSet<u64>) {
    for work in state.work.values() {
        used.insert(work.commands);
        let pending = work.slots.values().filter_map(|slot| slot.pending.as_ref());
        used.extend(pending.map(names::number));
    }
    used.extend(state.migrations.values().map(|migration| migration.commands).filter(|count| *count > 0));
}

fn small_id(id: &CommandId, small: &BTreeMap<u64, u64>) -> CommandId {
    let number = names::number_of(&id.0);
    CommandId(names::renumbered(&id.0, small.get(&number).copied().unwrap_or(number)))
}

fn recommand(command: &mut Letter<Command>, small: &BTreeMap<u64, u64>) {
    let mut text = (*command.text).clone();
    text.id = small_id(&text.id, small);
    *command = Letter::new(text);
}

fn renumbered(ledger: &Ledger, small: &BTreeMap<u64, u64>) -> Arc<Ledger> {
    let mut state = ledger.state.clone();
    for work in state.work.values_mut() {
        work.commands = small[&work.commands];
        for command in work.slots.values_mut().filter_map(|slot| slot.pending.as_mut()) {
            command.id = small_id(&command.id, small);
        }
    }
    for migration in state.migrations.values_mut().filter(|migration| migration.commands > 0) {
        migration.commands = small[&migration.commands];
    }
    Arc::new(Ledger::new(state, NOW))
}
