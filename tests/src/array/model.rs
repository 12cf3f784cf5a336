//! What the array remembers: nodes, volumes, and who holds each volume.
//!
//! The shape carries the rule of the array. A volume has at most one [`Attachment`], which names one [`Seat`]
//! (a node of a cluster); the stage and the publications live inside it. A volume that is staged in one place
//! and attached in another cannot be written down. Transitions are in `rules.rs`, durability in `store.rs`;
//! nothing here touches a disk or a clock.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::log::LogEntry;

/// One node of one cluster, the place that can hold a volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seat {
    /// The cluster's name, as given on the command line of the driver.
    pub cluster: String,
    /// The node's name in that cluster.
    pub node: String,
}

impl Seat {
    /// A seat by its two names.
    pub fn new(cluster: impl Into<String>, node: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), node: node.into() }
    }

    /// The CSI node id, unique over all clusters that reach the array: `<cluster>/<node>`.
    pub fn node_id(&self) -> String {
        format!("{}/{}", self.cluster, self.node)
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.node)
    }
}

/// The access modes that the array knows; all of them mean one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// One node, read and write (Kubernetes' ReadWriteOnce of old).
    SingleNodeWriter,
    /// One node, read only.
    SingleNodeReaderOnly,
    /// One node, one target path (ReadWriteOncePod).
    SingleNodeSingleWriter,
    /// One node, any number of target paths (ReadWriteOnce).
    SingleNodeMultiWriter,
}

/// One bind of a staged volume into a pod's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Whether the pod sees it read-only.
    pub readonly: bool,
    /// False from the decision until the bind mount is there.
    pub mounted: bool,
}

/// The mount of a volume's file system on its seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The staging path on the node.
    pub path: PathBuf,
    /// Mount flags beyond the driver's own.
    pub flags: Vec<String>,
    /// False from the decision until the file system is mounted.
    pub mounted: bool,
    /// When the decision fell, in milliseconds since the Unix epoch.
    pub begun_at_ms: u64,
    /// By target path.
    pub publications: BTreeMap<PathBuf, Publication>,
}

/// The right of one seat to use a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Who holds the volume.
    pub seat: Seat,
    /// A new one for each attachment; a stage request must present it.
    pub token: String,
    /// Whether the volume was attached read-only.
    pub readonly: bool,
    /// The access mode it was attached with.
    pub mode: AccessMode,
    /// Present from the decision to stage until the kernel has let go of the image.
    pub stage: Option<Stage>,
}

/// One disk of the array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The CSI volume id.
    pub handle: String,
    /// The name under which it was created; creation is idempotent by it.
    pub name: String,
    /// Position in the order of creation, from 1; pages of a list continue after it.
    pub index: u64,
    /// Size of the image, in bytes.
    pub capacity_bytes: u64,
    /// UUID that the file system gets when it is made.
    pub fs_uuid: String,
    /// True once a file system was made: the image is never formatted again.
    pub formatted: bool,
    /// True once any node staged it: the disk may hold somebody's data.
    pub held_data: bool,
    /// Whether a stage must bring the secret `token`.
    pub requires_secret: bool,
    /// The cluster whose controller created it.
    pub cluster: String,
    /// Name of the PersistentVolume, where the provisioner told it.
    pub pv: Option<String>,
    /// `<namespace>/<name>` of the claim, where the provisioner told it.
    pub pvc: Option<String>,
    /// The one holder, if any.
    pub attachment: Option<Attachment>,
}

/// All that the array remembers, as kept in `state.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayState {
    /// Identity of the array; volumes carry it in their context.
    pub array_id: String,
    /// Sequence number of the newest log entry.
    pub seq: u64,
    /// Entries of the newest transaction, kept until the next so that a log cut short can be completed.
    pub unlogged: Vec<LogEntry>,
    /// Volumes created so far, also those deleted since.
    pub created: u64,
    /// Node plugins that have registered, by node id.
    pub nodes: BTreeMap<String, Seat>,
    /// Volumes by handle.
    pub volumes: BTreeMap<String, Volume>,
}

impl ArrayState {
    /// The volumes attached to a seat.
    pub fn attached_to<'a>(&'a self, seat: &'a Seat) -> impl Iterator<Item = &'a Volume> {
        self.volumes.values().filter(move |v| v.attachment.as_ref().is_some_and(|a| &a.seat == seat))
    }
}
