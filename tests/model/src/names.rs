//! Names of the things that the model moves.
//!
//! Two clusters, one StatefulSet, its ordinals from 0, each with as many claims as the bounds say. Uids are numbers that a
//! cluster counts up for each name, so that two runs that made the same things are in the same state.
//! How they read in the core's facts is here and nowhere else.

use std::fmt;

use ferry_core::{
    ClusterName, Command, Ordinal, Workload,
    facts::{ClaimedVolume, Manifest, NodeIdentity},
};
use serde::Serialize;

const DRIVER: &str = "array.csi.test";

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) enum Side {
    /// Runs everything at first.
    East,
    /// Gets it.
    West,
}

impl Side {
    /// Both, as arrays have them.
    pub(crate) const BOTH: [Self; 2] = [Self::East, Self::West];

    /// Its place in arrays.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::East => 0,
            Self::West => 1,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> ClusterName {
        ClusterName(self.to_string())
    }

    /// The side of that name.
    pub(crate) fn of(name: &ClusterName) -> Self {
        if name.as_str() == "east" { Self::East } else { Self::West }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::East => "east",
            Self::West => "west",
        })
    }
}

/// The one that moves.
pub(crate) fn workload() -> Workload {
    Workload::new("shop", "db")
}

/// The disk of an ordinal.
pub(crate) fn handle(ordinal: Ordinal, disk: usize) -> String {
    format!("disk-{disk}-{ordinal}")
}

/// Uid of the `made`-th claim of that name.
pub(crate) fn claim_uid(side: Side, ordinal: Ordinal, disk: usize, made: u8) -> String {
    format!("{side}-claim-{disk}-{ordinal}-{made}")
}

/// Uid of the `made`-th PersistentVolume of that name.
pub(crate) fn volume_uid(side: Side, ordinal: Ordinal, disk: usize, made: u8) -> String {
    format!("{side}-volume-{disk}-{ordinal}-{made}")
}

/// Uid of the `made`-th pod of that name.
pub(crate) fn pod_uid(side: Side, ordinal: Ordinal, made: u8) -> String {
    format!("{side}-pod-{ordinal}-{made}")
}

/// Uid of the StatefulSet.
pub(crate) fn set_uid(side: Side) -> String {
    format!("{side}-set")
}

/// An object of which nothing but who it is matters.
pub(crate) fn manifest(kind: &str, name: &str, uid: &str) -> Manifest {
    let (kind, name, uid) = (kind.to_owned(), name.to_owned(), uid.to_owned());
    Manifest { api_version: "v1".to_owned(), kind, name, uid, json: "{}".to_owned() }
}

/// A claim and its PersistentVolume; each by its number.
pub(crate) fn claimed(side: Side, ordinal: Ordinal, disk: usize, (claim, volume): (u8, u8)) -> ClaimedVolume {
    let claim_uid = claim_uid(side, ordinal, disk, claim);
    let volume_uid = volume_uid(side, ordinal, disk, volume);
    ClaimedVolume {
        claim: manifest("PersistentVolumeClaim", &claim_name(ordinal, disk), &claim_uid),
        volume: manifest("PersistentVolume", &volume_name(ordinal, disk), &volume_uid),
        driver: DRIVER.to_owned(),
        handle: handle(ordinal, disk),
    }
}

/// Name of a claim.
pub(crate) fn claim_name(ordinal: Ordinal, disk: usize) -> String {
    format!("data{disk}-db-{ordinal}")
}

/// Name of a PersistentVolume: the same in both clusters.
pub(crate) fn volume_name(ordinal: Ordinal, disk: usize) -> String {
    format!("pv-{disk}-{ordinal}")
}

/// The CSI driver.
pub(crate) fn driver() -> String {
    DRIVER.to_owned()
}

/// The one node of a cluster.
pub(crate) fn node(side: Side) -> NodeIdentity {
    NodeIdentity { name: format!("{side}-node"), uid: format!("{side}-node"), boot_id: "boot".to_owned() }
}

/// The number at the end of a command's id.
pub(crate) fn number(command: &Command) -> u64 {
    number_of(&command.id.0)
}

/// The number at the end of that id.
pub(crate) fn number_of(id: &str) -> u64 {
    id.rsplit_once('/').and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

/// The id with another number.
pub(crate) fn renumbered(id: &str, number: u64) -> String {
    match id.rsplit_once('/') {
        Some((rest, _)) => format!("{rest}/{number}"),
        None => id.to_owned(),
    }
}
