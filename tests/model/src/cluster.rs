//! A cluster as the protocol sees it: the set, what it keeps, and for each ordinal its pod, claims and volumes.
//!
//! Its own controllers are three actions that come when they come: a pod that the slice asks for starts (and its disks are
//! attached), one that it does not ask for any more ends, and the disks of one that has ended are detached. The binder is
//! taken to be at once: a real claim and a PersistentVolume that is reserved for its name, by no uid, bind.
//! Objects carry no resourceVersion here; whether one has changed since a process read it is noted with the process.

use ferry_core::{Ordinal, Slice, facts::ClaimedVolume};

use crate::names::{self, Side};

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    /// The StatefulSet's slice; none: it does not exist.
    pub(crate) slice: Option<Slice>,
    /// For which ordinal and epoch the set was last written to (`ferry.dev/handoff`).
    pub(crate) record: Option<(Ordinal, u64)>,
    /// The ledger's generation that it keeps.
    pub(crate) generation: u64,
    /// The latest numbered command that it keeps, with its generation.
    pub(crate) command: Option<(u64, u64)>,
    /// By ordinal.
    pub(crate) places: Vec<Place>,
}

/// Where an ordinal may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The highest epoch that was accepted.
    pub(crate) kept: u64,
    /// The highest epoch under which this cluster proved something: nothing of an earlier one may happen after that.
    pub(crate) proved: u64,
    /// Number of the pod that runs; none: none does.
    pub(crate) pod: Option<u8>,
    /// Pods made so far.
    pub(crate) pods: u8,
    /// By claim.
    pub(crate) disks: Vec<Disk>,
}

/// One claim's name, and the PersistentVolume of its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// What stands under the claim's name.
    pub(crate) claim: Claim,
    /// The PersistentVolume.
    pub(crate) volume: Option<Volume>,
    /// Whether a node has the disk.
    pub(crate) attached: bool,
    /// Real claims made so far.
    pub(crate) claims: u8,
    /// PersistentVolumes made so far.
    pub(crate) volumes: u8,
}

/// What stands under a claim's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    /// Nothing: whoever makes it gets an empty disk.
    #[default]
    Nothing,
    /// A tombstone of that epoch.
    Tombstone(u64),
    /// The claim of that number, written by a step of that epoch.
    Real(u8, u64),
}

/// A PersistentVolume, reserved for its claim's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Volume {
    /// Its number.
    pub(crate) made: u8,
    /// The epoch of the step that wrote it last.
    pub(crate) epoch: u64,
    /// Number of the claim that it is bound to; none: it was bound to none yet.
    pub(crate) claim: Option<u8>,
}

impl Disk {
    /// Whether claim and volume are Bound to each other.
    pub(crate) fn is_bound(&self) -> bool {
        match (self.claim, self.volume) {
            (Claim::Real(number, _), Some(volume)) => volume.claim == Some(number),
            _ => false,
        }
    }

    /// Whether somebody can write to the disk here (I1).
    pub(crate) fn is_usable(&self) -> bool {
        self.attached || self.is_bound()
    }
}

impl Place {
    /// Whether a pod has all that it needs.
    pub(crate) fn is_complete(&self) -> bool {
        self.disks.iter().all(Disk::is_bound)
    }

    /// Whether a pod would be given an empty disk (H13).
    pub(crate) fn has_gap(&self) -> bool {
        self.disks.iter().any(|disk| disk.claim == Claim::Nothing)
    }

    /// Whether anything of the ordinal is here that could be used.
    pub(crate) fn is_in_use(&self) -> bool {
        self.pod.is_some() || self.disks.iter().any(Disk::is_usable)
    }
}

impl Cluster {
    /// A cluster that has the workload, or one that has nothing.
    pub(crate) fn new(ordinals: Ordinal, volumes: u8, runs: bool) -> Self {
        let disk = match runs {
            true => Disk {
                claim: Claim::Real(1, 0),
                volume: Some(Volume { made: 1, epoch: 0, claim: Some(1) }),
                attached: true,
                claims: 1,
                volumes: 1,
            },
            false => Disk::default(),
        };
        let place = Place {
            pod: runs.then_some(1),
            pods: u8::from(runs),
            disks: vec![disk; usize::from(volumes)],
            ..Place::default()
        };
        let slice = runs.then(|| Slice::new(0, ordinals));
        let places = vec![place; ordinals as usize];
        Self { slice, record: None, generation: 0, command: None, places }
    }

    /// Where that ordinal may run.
    pub(crate) fn place(&self, ordinal: Ordinal) -> &Place {
        &self.places[ordinal as usize]
    }

    /// The same, to be changed.
    pub(crate) fn place_mut(&mut self, ordinal: Ordinal) -> &mut Place {
        &mut self.places[ordinal as usize]
    }

    /// Whether the slice asks for that ordinal.
    pub(crate) fn wants(&self, ordinal: Ordinal) -> bool {
        self.slice.is_some_and(|slice| slice.contains(ordinal))
    }

    /// The slice; that of a set that does not exist is empty.
    pub(crate) fn slice(&self) -> Slice {
        self.slice.unwrap_or_default()
    }

    /// Whether every replica that the slice asks for runs, and no other.
    pub(crate) fn is_well(&self) -> bool {
        let ordinals = 0..self.places.len() as Ordinal;
        ordinals.into_iter().all(|ordinal| self.wants(ordinal) == self.place(ordinal).pod.is_some())
    }

    /// The ordinal's claims and volumes, as far as both are there.
    pub(crate) fn claimed(&self, side: Side, ordinal: Ordinal) -> Vec<ClaimedVolume> {
        let disks = self.place(ordinal).disks.iter().enumerate();
        disks
            .filter_map(|(disk, found)| match (found.claim, found.volume) {
                (Claim::Real(claim, _), Some(volume)) => {
                    Some(names::claimed(side, ordinal, disk, (claim, volume.made)))
                }
                _ => None,
            })
            .collect()
    }

    /// Epochs that it keeps.
    pub(crate) fn kept(&self) -> Vec<(Ordinal, u64)> {
        let kept = (0..).zip(&self.places).map(|(ordinal, place)| (ordinal, place.kept));
        kept.filter(|(_, epoch)| *epoch > 0).collect()
    }
}

/// Whether two slices hold the same ordinals: empty ones do, wherever they start.
pub(crate) fn same(one: Slice, other: Slice) -> bool {
    one == other || (one.is_empty() && other.is_empty())
}
