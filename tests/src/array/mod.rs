//! The test storage: a CSI driver whose "array" is a directory that several clusters reach.
//!
//! Ferry moves disks between clusters, so its tests need storage that two clusters share and that knows, better
//! than either cluster, who uses a disk. The array keeps the rule that a volume is attached, staged and published
//! on at most one node over all clusters; it refuses what would break the rule and says so in its log, which the
//! observer of the tests takes as the arbiter. The disks are real: ext4 on loop devices, with real data.
//!
//! - `model.rs`, `rules.rs`, `refusal.rs`: the state, its transitions, and the reasons to say no; no I/O.
//! - `store.rs`, `log.rs`: state and log on disk, shared by processes that may be killed at any point.
//! - `image.rs`, `mounts.rs`, `command.rs`: the disks and what the kernel does with them.
//! - `driver`: the CSI services, served by the binary `test-csi`.
//!
//! Tests read an array through [`Array::state`], [`Array::log`] and [`Array::image_path`], which take no lock.
//! It shares no code with Ferry, and knows nothing of it.

pub mod command;
pub mod driver;
pub mod image;
pub mod limits;
pub mod log;
pub mod model;
pub mod mounts;
pub mod proto;
pub mod refusal;
pub mod rules;
pub mod store;

pub use log::{ArrayLog, LogEntry, LogError, Op, Outcome};
pub use model::{AccessMode, ArrayState, Attachment, Seat, Volume};
pub use store::{Array, StoreError};

/// Name of the CSI driver, as in `CSIDriver`, `StorageClass.provisioner` and `PV.spec.csi.driver`.
pub const DRIVER: &str = "array.ferry.test";
