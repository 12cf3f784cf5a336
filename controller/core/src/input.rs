//! Everything that can happen to the core, as one enum.
//!
//! Facts from sessions carry the session they came on: one of an older session than the cluster's present one is
//! ignored, so a replaced stream cannot speak any more. What a cluster says about another cluster is not believed:
//! the shell fills `cluster` from the certificate, never from the message.

use std::collections::BTreeMap;

use crate::facts::{EndpointsReport, Health, Inventory, MirrorApplied, Outcome, Progress, Resync};
use crate::ids::{ClusterName, MigrationId, Ordinal, PlanHash, RequestId, Session, TokenHash, Workload};
use crate::plan::{OnFailure, Order};
use crate::storage::{StorageDomain, StorageMap};
use crate::time::Millis;
use crate::tokens::Subject;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An agent attached and said its resync.
    Attached {
        /// The cluster of its certificate.
        cluster: ClusterName,
        /// Its stream; greater than any before.
        session: Session,
        /// What it said first.
        resync: Box<Resync>,
    },
    /// A stream ended.
    Detached {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
    },
    /// Sign of life.
    Heartbeat {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// Its health.
        health: Health,
    },
    /// The whole inventory again.
    Inventory {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// What it holds.
        inventory: Box<Inventory>,
    },
    /// A step of a command began, ended or waits.
    Progress {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// The step.
        progress: Progress,
    },
    /// A command ended.
    Outcome {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// How.
        outcome: Box<Outcome>,
    },
    /// A cluster's own endpoints of one governed Service.
    Endpoints {
        /// The cluster.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// The endpoints.
        report: Box<EndpointsReport>,
    },
    /// Mirrored endpoints were written, or could not be.
    MirrorApplied {
        /// The cluster that wrote them.
        cluster: ClusterName,
        /// The stream.
        session: Session,
        /// Which.
        applied: MirrorApplied,
    },
    /// `Decision::wake_at` has come.
    Timer,
    /// Somebody asks.
    Request {
        /// Comes back in the reply.
        request: RequestId,
        /// What is asked.
        body: Request,
    },
}

/// What people, scripts and enrolment ask. Each gets exactly one reply, some of them after agents answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Keep the hash of a join token.
    CreateToken {
        /// Its hash.
        hash: TokenHash,
        /// Who will hold the certificate.
        subject: Subject,
        /// From this moment on it is worth nothing.
        expires_at: Millis,
        /// Identity of who makes it, for the record.
        by: String,
    },
    /// Use a join token up.
    RedeemToken {
        /// Its hash.
        hash: TokenHash,
    },
    /// Check a migration and say what it would do.
    CreatePlan(PlanRequest),
    /// Run the plan with this hash.
    StartMigration {
        /// The hash that was approved.
        hash: PlanHash,
        /// Identity of who starts it, for the record.
        by: String,
    },
    /// Clusters that were ever attached.
    ListClusters,
    /// The ledger.
    ListVolumes(VolumeFilter),
    /// Migrations, newest first.
    ListMigrations(MigrationFilter),
    /// One migration.
    GetMigration {
        /// Its id.
        id: MigrationId,
    },
    /// Stop at the next safe point.
    PauseMigration {
        /// Its id.
        id: MigrationId,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// Go on after a pause, or ask again at once what only a person could help with.
    ResumeMigration {
        /// Its id.
        id: MigrationId,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// Give the ordinal in flight back, or everything.
    RollbackMigration {
        /// Its id.
        id: MigrationId,
        /// Every ordinal that moved and the preparation too, not only the ordinal in flight.
        all: bool,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// Record that nothing on a node writes any more, for every handoff that waits for that node's proof (H11).
    AttestFenced {
        /// The node.
        node: String,
        /// How that is known: [`crate::limits::REASON_BYTES`] at most.
        reason: String,
        /// Identity of who attests, for the record.
        by: String,
    },
    /// End a completed migration in its source. Answered when that cluster has, within
    /// [`crate::limits::FINISH_DEADLINE_MS`].
    FinishMigration {
        /// Its id.
        id: MigrationId,
        /// Tombstones go too.
        accept: bool,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// Say which array a CSI driver of a cluster reaches.
    SetStorageDomain {
        /// The cluster, driver and domain; an empty domain: the driver's name again.
        set: StorageDomain,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// The storage domains that were set.
    ListStorageDomains,
    /// Set which StorageClass of a target stands for one of a source; one of the same key is replaced.
    AddStorageMap {
        /// The mapping.
        map: StorageMap,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// Take such a mapping away; its target class is ignored.
    RemoveStorageMap {
        /// The mapping.
        map: StorageMap,
        /// Identity of who asks, for the record.
        by: String,
    },
    /// The mappings that were set.
    ListStorageMaps,
    /// Try whether a disk of one cluster can be read in another. Answered when both clusters have, within
    /// [`crate::limits::PROBE_DEADLINE_MS`].
    ProbeStorage {
        /// What to try.
        asked: ProbeRequest,
        /// Identity of who asks, for the record.
        by: String,
    },
}

/// A probe of the storage between two clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeRequest {
    /// The cluster that makes the disk.
    pub from: ClusterName,
    /// The cluster that reads it.
    pub to: ClusterName,
    /// Namespace of claims and pods.
    pub namespace: String,
    /// StorageClass in the first.
    pub from_class: String,
    /// StorageClass in the second.
    pub to_class: String,
    /// Image of the pods.
    pub image: String,
}

/// What to move, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanRequest {
    /// The StatefulSet.
    pub workload: Workload,
    /// The cluster that runs it; none: the one that does.
    pub from: Option<ClusterName>,
    /// The cluster to move it to.
    pub to: ClusterName,
    /// In which order.
    pub order: Order,
    /// Only these: a contiguous run at the edge of the slice where the order begins; empty for all.
    pub ordinals: Vec<Ordinal>,
    /// StorageClasses of the target by those of the source that they stand for, beyond the mappings that are set.
    pub storage_classes: BTreeMap<String, String>,
    /// Deadlines that are to differ from the defaults, by step, in milliseconds.
    pub deadlines: BTreeMap<u32, u64>,
    /// What follows when the newcomer is late.
    pub on_failure: OnFailure,
}

/// Which volumes; none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeFilter {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only workloads of this name.
    pub workload: Option<String>,
    /// Only those that this cluster owns or shows.
    pub cluster: Option<ClusterName>,
}

/// Which migrations; none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationFilter {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only workloads of this name.
    pub workload: Option<String>,
}
