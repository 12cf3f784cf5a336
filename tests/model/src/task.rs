//! A process of an agent that carries out one command: what it has read, and which write is next.
//!
//! One step of a task is one read, or one write with the checks that the API server makes with it. Between any two the
//! process may be stopped for as long as it likes, or end. A write whose object has changed since it was read fails
//! (uid and resourceVersion, or the tests of a patch), and the executor begins again from what the cluster shows, as the
//! real one does. What is done in which order follows `agent/src/executor`; files here are named like those there.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use ferry_core::{
    Command, CommandBody, Ordinal, Slice,
    facts::{ClaimedVolume, OutcomeResult, Refusal, RefusalCode, Unknown},
};
use serde::Serialize;

use crate::{
    bounds::Plant,
    cluster::{Claim, Cluster, Disk, Place, Volume},
    ledger::digest,
    names::{self, Side},
    world::World,
};

/// Something that is sent, with its digest.
#[derive(Clone, Debug)]
pub(crate) struct Letter<T> {
    pub(crate) text: Arc<T>,
    digest: u64,
}

impl<T: Serialize> Letter<T> {
    /// To be sent.
    pub(crate) fn new(text: T) -> Self {
        Self { digest: digest(&text), text: Arc::new(text) }
    }
}

impl<T> PartialEq for Letter<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<T> Eq for Letter<T> {}

impl<T> PartialOrd for Letter<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Letter<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digest.cmp(&other.digest)
    }
}

impl<T> Hash for Letter<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.digest);
    }
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Next {
    /// The epoch is kept.
    Keep,
    /// The set is read, and whatever else is decided on at first.
    Look,
    /// The set is read once more, before its slice is patched.
    LookAgain,
    /// The epochs are looked at, right before the patch.
    Latest,
    /// The slice is patched.
    Patch,
    /// The epochs are looked at, right before the set is written to.
    LatestFence,
    /// The set is written to and its slice left as it is.
    FenceSet,
    /// The end of the pod is waited for.
    Gone,
    /// The proof of detach is waited for.
    Detach,
    /// The epoch is kept once more, and the end of the pod looked at again.
    KeepAgain,
    /// Everything that names the disks is looked at.
    Survey,
    /// What stands under the claim's name is read.
    Standing,
    /// The claim is deleted.
    DeleteClaim,
    /// The tombstone is put in its place.
    Place,
    /// The claim that was never deleted gets the epoch.
    Mark,
    /// The PersistentVolume loses the uid of its claim.
    Free,
    /// The PersistentVolume is made.
    MakeVolume,
    /// The tombstone goes.
    RemoveTombstone,
    /// The claim is made.
    MakeClaim,
    /// Claims and volumes are waited for to be Bound to each other.
    Bound,
    /// The pod is waited for.
    Started,
    /// Whether nobody took the disks up again.
    Still,
    /// The PersistentVolume that is to go is read.
    ForgetLook,
    /// It is deleted.
    ForgetDelete,
    /// Whether anything names the disks yet.
    NothingLeft,
}

/// An object that a write is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Thing {
    /// The StatefulSet.
    Set,
    /// What stands under a claim's name.
    Claim(Ordinal, usize),
    /// A PersistentVolume.
    Volume(Ordinal, usize),
}

/// One process that carries out one command.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Task {
    /// In this cluster.
    pub(crate) side: Side,
    /// It was stopped and another process took its place: nobody hears what it says.
    pub(crate) stopped: bool,
    /// The command.
    pub(crate) order: Letter<Command>,
    /// What is next.
    pub(crate) next: Next,
    /// For which of the disks.
    pub(crate) disk: usize,
    /// What was read, and whether it is still so.
    pub(crate) read: Vec<(Thing, bool)>,
    /// What was found of each disk before anything was written: by an adoption the epoch of its PersistentVolume and what
    /// its claim was, by a fence the number of its PersistentVolume.
    pub(crate) found: Vec<(Option<u64>, Found)>,
}

/// What an adoption found under a claim's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Found {
    Nothing,
    Tombstone(u64),
    Real(u64),
}

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Stepped {
    /// This is next.
    To(Next),
    /// What it waits for is not there yet.
    Wait,
    /// It begins again from what the cluster shows.
    Again,
    /// The command ended.
    End(Box<OutcomeResult>),
}

impl Stepped {
    /// It ended with this evidence.
    pub(crate) fn end(result: OutcomeResult) -> Self {
        Self::End(Box::new(result))
    }

    /// A precondition does not hold.
    pub(crate) fn refuse(code: RefusalCode, step: u32) -> Self {
        Self::end(OutcomeResult::Refusal(Refusal { code, message: String::new(), step }))
    }

    /// It cannot be told.
    pub(crate) fn unknown(step: u32) -> Self {
        Self::end(OutcomeResult::Unknown(Unknown { step, ..Unknown::default() }))
    }
}

impl Task {
    /// A process that has just been given a command.
    pub(crate) fn new(side: Side, order: Letter<Command>) -> Self {
        Self { side, stopped: false, order, next: Next::Keep, disk: 0, read: Vec::new(), found: Vec::new() }
    }

    /// The command's epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.order.text.epoch.0
    }

    /// From the beginning.
    pub(crate) fn begin_again(&mut self) {
        *self = Self { stopped: self.stopped, ..Self::new(self.side, self.order.clone()) };
    }

    /// Step of handoff.md section 5 that it is at.
    pub(crate) fn step(&self) -> u32 {
        match (&self.order.text.body, self.next) {
            (CommandBody::Release { .. }, Next::Detach) => 6,
            (CommandBody::Release { .. }, next) if next < Next::Detach => 5,
            (CommandBody::Release { .. }, _) => 7,
            (CommandBody::Adopt { .. }, _) => 9,
            (CommandBody::Retire { .. }, _) => 12,
            (CommandBody::Hold { .. }, _) => 3,
            _ => 0,
        }
    }
}

/// The ordinal that a command speaks of.
pub(crate) fn ordinal(body: &CommandBody) -> Option<Ordinal> {
    match body {
        CommandBody::Hold { ordinal, .. }
        | CommandBody::Release { ordinal, .. }
        | CommandBody::Adopt { ordinal, .. }
        | CommandBody::Retire { ordinal, .. }
        | CommandBody::Fence { ordinal, .. }
        | CommandBody::Reclaim { ordinal, .. } => Some(*ordinal),
        _ => None,
    }
}

/// A command about one ordinal and its disks, as its executor has it.
pub(crate) struct Work {
    pub(crate) ordinal: Ordinal,
    pub(crate) from: Slice,
    pub(crate) to: Slice,
    pub(crate) volumes: Vec<ClaimedVolume>,
}

/// A task at one step, and the world around it.
pub(crate) struct Hand<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) task: &'a mut Task,
    pub(crate) work: &'a Work,
    pub(crate) plant: Option<Plant>,
}

impl Hand<'_> {
    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        &mut self.world.clusters[self.task.side.index()]
    }

    pub(crate) fn place(&mut self) -> &mut Place {
        let ordinal = self.work.ordinal;
        self.cluster().place_mut(ordinal)
    }

    /// The disk that the task is at.
    pub(crate) fn disk(&mut self) -> &mut Disk {
        let disk = self.task.disk;
        &mut self.place().disks[disk]
    }

    /// The set, its claim or its volume is read now.
    pub(crate) fn read(&mut self, thing: Thing) {
        self.task.read.retain(|(known, _)| *known != thing);
        self.task.read.push((thing, true));
        self.task.read.sort_unstable();
    }

    /// Whether what was read is still so; the write that asks is the one that was decided on it.
    pub(crate) fn unchanged(&mut self, thing: Thing) -> bool {
        let unchanged = self.task.read.contains(&(thing, true));
        self.task.read.retain(|(known, _)| *known != thing);
        unchanged
    }

    /// An object is written: whoever has read it before has read something else.
    pub(crate) fn wrote(&mut self, thing: Thing) {
        let (side, epoch, ordinal) = (self.task.side, self.task.epoch(), self.work.ordinal);
        self.world.touched(side, thing);
        for (known, unchanged) in &mut self.task.read {
            *unchanged &= *known != thing;
        }
        let place = self.world.clusters[side.index()].place(ordinal);
        let harmless = match thing {
            // Made late it is reserved for a tombstone's name: the binder never gives it to anybody.
            Thing::Volume(..) => self.task.next == Next::MakeVolume,
            // In a gap that a later command has opened nothing collides: a tombstone is what that command puts there
            // itself, and a claim stops it, for a person to look at.
            Thing::Claim(_, disk) => {
                matches!(place.disks[disk].claim, Claim::Tombstone(_)) || self.task.next == Next::MakeClaim
            }
            Thing::Set => false,
        };
        if epoch < place.proved && !harmless {
            self.world.broken.insert("I5");
        }
        if let Thing::Claim(_, disk) | Thing::Volume(_, disk) = thing {
            self.world.bind(side, ordinal, disk);
        }
    }

    pub(crate) fn thing_claim(&self) -> Thing {
        Thing::Claim(self.work.ordinal, self.task.disk)
    }

    pub(crate) fn thing_volume(&self) -> Thing {
        Thing::Volume(self.work.ordinal, self.task.disk)
    }

    /// The next disk, or what comes after the last one.
    pub(crate) fn next_disk(&mut self, first: Next, then: Next) -> Stepped {
        self.task.disk += 1;
        if self.task.disk < self.work.volumes.len() {
            return Stepped::To(first);
        }
        self.task.disk = 0;
        Stepped::To(then)
    }

    /// Uid of a claim of this disk.
    pub(crate) fn claim_uid(&self, number: u8) -> String {
        names::claim_uid(self.task.side, self.work.ordinal, self.task.disk, number)
    }

    /// Whether the claim is the one that the command names.
    pub(crate) fn is_recorded(&self, number: u8) -> bool {
        let recorded = self.work.volumes.get(self.task.disk);
        recorded.is_some_and(|recorded| recorded.claim.uid == self.claim_uid(number))
    }

    /// Whether the PersistentVolume is the one that the command names.
    pub(crate) fn is_recorded_volume(&self, volume: Volume) -> bool {
        let uid = names::volume_uid(self.task.side, self.work.ordinal, self.task.disk, volume.made);
        self.work.volumes.get(self.task.disk).is_some_and(|recorded| recorded.volume.uid == uid)
    }

    /// A real claim of this command stands under the name.
    pub(crate) fn make_claim(&mut self) -> bool {
        let epoch = self.task.epoch();
        let disk = self.disk();
        if disk.claim != Claim::Nothing {
            return false;
        }
        disk.claims += 1;
        disk.claim = Claim::Real(disk.claims, epoch);
        self.wrote(self.thing_claim());
        true
    }

    /// `epochs::keep` and `epochs::latest`: whether the command is of the past here; keeps its epoch if asked to.
    pub(crate) fn keep(&mut self, keeps: bool) -> Result<(), Stepped> {
        let (epoch, generation) = (self.task.epoch(), self.task.order.text.generation);
        let number = names::number(&self.task.order.text);
        let checks = self.plant != Some(Plant::EpochUnchecked);
        let cluster = self.cluster();
        let overtaken = cluster.command.is_some_and(|(of, latest)| of == generation && latest > number);
        let past = generation < cluster.generation || overtaken;
        if checks && (past || epoch < self.place().kept) {
            return Err(Stepped::refuse(RefusalCode::StaleEpoch, self.task.step()));
        }
        if keeps {
            let cluster = self.cluster();
            cluster.generation = cluster.generation.max(generation);
            let place = self.place();
            place.kept = place.kept.max(epoch);
        }
        Ok(())
    }
}
