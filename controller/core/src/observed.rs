//! What attached agents say now: volatile, and said again after each attach.
//!
//! Nothing in here is needed to know who owns what; it says which commands can be sent, whether endpoints have
//! converged, what people see of clusters, and which requests wait for agents.
//! Of a cluster that went away health and StatefulSets stay as they were said last, for people; they count for nothing.

use std::collections::BTreeMap;

use crate::core::Action;
use crate::facts::{EndpointsReport, GuardFault, Health, InventoryWorkload, KeptEpoch};
use crate::ids::{ClusterName, MigrationId, Ordinal, RequestId, ServiceName, Session, Workload};
use crate::inspection::Inspection;
use crate::probe::Probing;
use crate::time::Millis;

/// What attached agents say now.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Clusters that were attached since the controller started.
    pub(crate) clusters: BTreeMap<ClusterName, ObservedCluster>,
    /// Requests that wait for agents, by their number.
    pub(crate) inspections: BTreeMap<u64, Inspection>,
    /// Probes of storage, by their number.
    pub(crate) probes: BTreeMap<u64, Probing>,
    /// What requests without an answer are about to change, for the audit log.
    pub(crate) actions: BTreeMap<RequestId, Action>,
    /// Requests that wait for a source to be finished.
    pub(crate) finishers: BTreeMap<RequestId, Finisher>,
}

/// A request that waits for a source to be finished; lost at a restart, and asked again then.
#[derive(Clone, Debug)]
pub(crate) struct Finisher {
    /// The migration.
    pub(crate) migration: MigrationId,
    /// Then it is answered that the source is silent; the command stays out.
    pub(crate) deadline: Millis,
}

/// One cluster, as its agent sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObservedCluster {
    /// Its stream; none while it is not attached.
    pub(crate) session: Option<Session>,
    /// The agent's process.
    pub(crate) instance_id: String,
    /// Its pod networks.
    pub(crate) pod_cidrs: Vec<String>,
    /// Epochs kept there, when it last attached.
    pub(crate) epochs: Vec<KeptEpoch>,
    /// Its health.
    pub(crate) health: Health,
    /// Last sign of life.
    pub(crate) last_seen: Millis,
    /// StatefulSets.
    pub(crate) workloads: BTreeMap<Workload, InventoryWorkload>,
    /// What is wrong with guards there.
    pub(crate) guard_faults: Vec<GuardFault>,
    /// Its own endpoints, as said on the present stream.
    pub(crate) endpoints: BTreeMap<ServiceName, EndpointsReport>,
    /// What it was told to mirror on the present stream, by Service and origin.
    pub(crate) mirrors: BTreeMap<(ServiceName, ClusterName), MirrorState>,
}

/// One revision of one process of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) instance_id: String,
    pub(crate) revision: u64,
}

/// Where a mirror stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct MirrorState {
    /// What was sent last.
    pub(crate) sent: Version,
    /// What was confirmed last.
    pub(crate) confirmed: Option<Version>,
    /// Why the last one could not be written; empty if it could.
    pub(crate) error: String,
    /// When it is sent again.
    pub(crate) retry_at: Option<Millis>,
}

impl Observed {
    /// The stream of a cluster that is attached.
    pub(crate) fn session(&self, cluster: &ClusterName) -> Option<Session> {
        self.clusters.get(cluster).and_then(|cluster| cluster.session)
    }

    /// The cluster, if this is its present stream.
    pub(crate) fn present(
        &mut self,
        cluster: &ClusterName,
        session: Session,
    ) -> Option<&mut ObservedCluster> {
        self.clusters.get_mut(cluster).filter(|cluster| cluster.session == Some(session))
    }

    /// The highest epoch that any cluster said it keeps for an ordinal.
    pub(crate) fn highest_kept(&self, workload: &Workload, ordinal: Ordinal) -> Option<crate::ids::Epoch> {
        self.clusters
            .values()
            .flat_map(|cluster| &cluster.epochs)
            .filter(|kept| kept.workload == *workload && kept.ordinal == ordinal)
            .map(|kept| kept.epoch)
            .max()
    }
}
