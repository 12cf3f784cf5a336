//! The ledger of volumes and of who owns which ordinal.
//!
//! Two tables. Volumes are what clusters show: one record for each (domain, driver, handle), with one sighting for
//! each cluster that has a PersistentVolume of it. Ordinals are what Ferry decided: who owns a replica, under which
//! epoch, with which volumes. Sightings never change ownership; ownership never hides a sighting: a volume that is
//! usable in two clusters is a conflict whatever the ledger believes.

mod inventory;
mod ledger;
mod listing;

pub use ledger::{Custody, Ledger, OrdinalRecord, Sighting, VolumeRecord, WorkloadRecord};

pub(crate) use inventory::{VolumeSeen, changes};
pub(crate) use listing::{conflict_message, list};
