//! Answers to requests.
//!
//! Each variant answers the request of the same name; [`Reply::Rejected`] may answer any of them. The views are made
//! for people: names, states and words, no evidence and no manifests.
//! A reply leaves with the other effects of its step, after the commit.

use crate::ids::{ClusterName, Epoch, Ordinal, VolumeId, Workload};
use crate::migration::Migration;
use crate::plan::Plan;
use crate::rejection::Rejection;
use crate::storage::{StorageDomain, StorageMap};
use crate::time::Millis;
use crate::tokens::Subject;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The token's hash is kept.
    TokenCreated,
    /// The token is used up; its holder gets a certificate for this subject.
    TokenRedeemed(Subject),
    /// What was planned, also when it is refused.
    Planned(Box<Plan>),
    /// It runs, or ran already: an exact retry finds the same migration.
    Started(Box<Migration>),
    /// By name.
    Clusters(Vec<ClusterView>),
    /// By domain, driver and handle.
    Volumes(Vec<VolumeView>),
    /// Newest first.
    Migrations(Vec<Migration>),
    /// As it is now; also the answer to pause, resume, rollback and finish.
    Migration(Box<Migration>),
    /// The storage domains as they are now, by cluster and driver.
    StorageDomains(Vec<StorageDomain>),
    /// The mappings of StorageClasses as they are now, by clusters, namespace and class.
    StorageMaps(Vec<StorageMap>),
    /// A scratch disk was made in one cluster and read in another: its name, and what was done.
    StorageProbed {
        /// Name of its objects.
        name: String,
        /// In order.
        steps: Vec<String>,
    },
    /// It is refused, and why.
    Rejected(Rejection),
}

/// A cluster, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// Its name.
    pub name: ClusterName,
    /// UID of its namespace kube-system.
    pub uid: String,
    /// Whether its agent is attached now.
    pub attached: bool,
    /// `gitVersion` of its API server.
    pub kubernetes_version: String,
    /// Version of its agent.
    pub agent_version: String,
    /// Nodes.
    pub nodes: u32,
    /// Nodes whose condition Ready is True.
    pub nodes_ready: u32,
    /// Last sign of life since the controller started; else when it last attached.
    pub last_seen: Millis,
    /// What is wrong; empty when nothing is.
    pub message: String,
    /// Whether its API server answers.
    pub api_server_ok: bool,
    /// StatefulSets in it.
    pub workloads: u32,
    /// Volumes of StatefulSets in it.
    pub volumes: u32,
    /// Age of the oldest watch, in milliseconds.
    pub watch_lag_ms: u64,
}

/// A volume of the ledger, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeView {
    /// Its identity.
    pub id: VolumeId,
    /// The cluster that owns it; none while it is on its way.
    pub cluster: Option<ClusterName>,
    /// PersistentVolume there.
    pub pv_name: String,
    /// Claim there.
    pub claim_name: String,
    /// The workload.
    pub workload: Workload,
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Its epoch.
    pub epoch: Epoch,
    /// `owned`, `releasing east to west`, `granted west`, `conflict`, `missing`.
    pub state: String,
    /// Why it may not move; empty when it may.
    pub message: String,
}
