//! What the checks know: everything that a plan needs of one cluster, read once.
//!
//! Checks are functions of these values and of nothing else, so that all of them judge the same moment, a test can
//! hand them any cluster, and the API server is asked once for each thing. [`crate::inspect::read_source`] and
//! [`crate::inspect::read_target`] fill them in. Objects that do not concern the workload are dropped while they are
//! read; what is absent here because it could not be read says so, as an [`Optional`] or an [`Exists`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use ferry_proto::agent::v1::{Description, Listener, OrdinalVolumes};
use k8s_openapi::{
    api::{
        apps::v1::StatefulSet,
        autoscaling::v2::HorizontalPodAutoscaler,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service, ServiceAccount},
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
        storage::v1::{CSIDriver, CSINode, VolumeAttachment},
    },
    jiff::Timestamp,
};
use serde_json::Value;

use super::{
    network::{Network, Reached},
    place::Place,
    read::{Exists, Optional, Seen},
    shape::Shape,
};

/// What the API server says of itself, and whether it keeps `spec.ordinals` (K1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// `gitVersion`, for example v1.37.2.
    pub version: String,
    /// Answer to the dry run of a StatefulSet with `ordinals.start` 1.
    pub ordinals: OrdinalsProbe,
    /// Whether it serves ValidatingAdmissionPolicies, of which a guard is made.
    pub has_policies: bool,
}

/// What became of `ordinals.start` in a server-side dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrdinalsProbe {
    /// It came back.
    Kept,
    /// The object came back without it (H2).
    Dropped,
    /// The API server refused the dry run: what it said.
    Refused(String),
}

/// A source, as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// When it was read.
    pub now: Timestamp,
    /// The name by which the controller knows this cluster.
    pub cluster: String,
    /// The API server.
    pub server: Server,
    /// The StatefulSet and its shape.
    pub set: Seen<StatefulSet>,
    /// Names that follow from it.
    pub shape: Shape,
    /// Every pod of the namespace, ended ones included.
    pub pods: Vec<Seen<Pod>>,
    /// The StatefulSets of the namespace besides this one, for budgets that cover several.
    pub other_sets: Vec<StatefulSet>,
    /// The slice's claims by name.
    pub claims: BTreeMap<String, Seen<PersistentVolumeClaim>>,
    /// The PersistentVolumes that those claims name, by name.
    pub volumes: BTreeMap<String, Seen<PersistentVolume>>,
    /// Attachments of those PersistentVolumes.
    pub attachments: Vec<VolumeAttachment>,
    /// Nodes that run the slice's pods or hold its attachments, by name.
    pub nodes: BTreeMap<String, Node>,
    /// Registered drivers by name.
    pub drivers: BTreeMap<String, CSIDriver>,
    /// PodDisruptionBudgets of the namespace.
    pub budgets: Vec<Seen<PodDisruptionBudget>>,
    /// HorizontalPodAutoscalers of the namespace.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// KEDA's ScaledObjects of the namespace.
    pub scaled_objects: Optional<Value>,
    /// VolumeSnapshots of the namespace.
    pub snapshots: Optional<Value>,
    /// Services of the namespace.
    pub services: Vec<Seen<Service>>,
    /// ConfigMaps that the template names.
    pub config_maps: BTreeMap<String, Seen<ConfigMap>>,
    /// The ServiceAccount that the template names, unless it is the default one.
    pub service_account: Option<Seen<ServiceAccount>>,
    /// Annotations of the Secrets that the template names, by their names.
    pub secrets: BTreeMap<String, Optional<(String, String)>>,
    /// Leases of the namespace.
    pub leases: Optional<Lease>,
    /// ConfigMaps of the namespace through which somebody may elect a leader.
    pub elections: Vec<ConfigMap>,
    /// EndpointSlices of the governing Service.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// The network here.
    pub network: Network,
}

impl Source {
    /// The pod of `ordinal`.
    pub(crate) fn pod(&self, ordinal: u32) -> Option<&Seen<Pod>> {
        let name = self.shape.pod(ordinal);
        self.pods.iter().find(|pod| pod.object.metadata.name.as_deref() == Some(&name))
    }

    /// Each PersistentVolume with the claim that names it.
    pub(crate) fn claimed_volumes(
        &self,
    ) -> impl Iterator<Item = (&String, &Seen<PersistentVolumeClaim>, &Seen<PersistentVolume>)> {
        self.claims.iter().filter_map(|(name, claim)| {
            let volume = claim.object.spec.as_ref()?.volume_name.as_ref()?;
            Some((name, claim, self.volumes.get(volume)?))
        })
    }
}

/// A target, as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The API server.
    pub server: Server,
    /// The workload as its source describes it.
    pub description: Description,
    /// The described StatefulSet.
    pub described: StatefulSet,
    /// Its shape.
    pub shape: Shape,
    /// The ordinals that will move; empty: all.
    pub moving: Vec<u32>,
    /// UIDs of objects here that the ledger knows as ours.
    pub known_uids: Vec<String>,
    /// Ordinals of which this cluster keeps an epoch.
    pub kept: BTreeSet<u32>,
    /// Whether the namespace exists.
    pub namespace_exists: bool,
    /// The StatefulSet of that name here.
    pub set: Option<Seen<StatefulSet>>,
    /// Pods here with a name of the slice.
    pub pods: Vec<Pod>,
    /// Claims here with a name of the slice.
    pub claims: Vec<PersistentVolumeClaim>,
    /// PersistentVolumes here with the name or the handle of one of the workload's.
    pub volumes: Vec<PersistentVolume>,
    /// Objects here of the dependencies' kind and name, as JSON.
    pub dependencies: Vec<Value>,
    /// EndpointSlices here of the described Services.
    pub endpoint_slices: Vec<EndpointSlice>,
    /// PodDisruptionBudgets of the namespace.
    pub budgets: Vec<PodDisruptionBudget>,
    /// Registered drivers by name.
    pub drivers: BTreeMap<String, CSIDriver>,
    /// What each node's kubelet has registered.
    pub csi_nodes: Vec<CSINode>,
    /// The required objects, `kind/name`.
    pub required: BTreeMap<String, Exists>,
    /// Secrets that the volumes name, `namespace/name`.
    pub volume_secrets: BTreeMap<String, Exists>,
    /// The dry run of the sample pod.
    pub pod_dry_run: DryRun,
    /// The dry run of the StatefulSet, or the StatefulSet itself where ours is here.
    pub set_dry_run: DryRun,
    /// Classes, nodes and quotas here.
    pub place: Place,
    /// The network here.
    pub network: Network,
    /// Pod networks that this cluster declared.
    pub pod_cidrs: Vec<String>,
    /// What became of connections to replicas in the source.
    pub tried: Vec<(Listener, Reached)>,
}

impl Target {
    /// The ordinals that will run here, with their volumes.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = &OrdinalVolumes> {
        let all = self.description.ordinals.iter();
        all.filter(|ordinal| self.moving.is_empty() || self.moving.contains(&ordinal.ordinal))
    }

    /// Ordinals that run here already, from an earlier migration of some of them; none if the StatefulSet is not ours.
    pub(crate) fn arrived(&self) -> Range<u32> {
        let ours = self.set.as_ref().filter(|_| self.set_is_ours());
        ours.map(|set| Shape::of(&set.object).ordinals()).unwrap_or_default()
    }

    /// Whether the StatefulSet here is one that the ledger knows as ours.
    pub(crate) fn set_is_ours(&self) -> bool {
        let uid = self.set.as_ref().and_then(|set| set.object.metadata.uid.as_ref());
        uid.is_some_and(|uid| self.known_uids.contains(uid))
    }
}

/// Outcome of a server-side dry run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DryRun {
    /// The API server would accept it, like this. `caveat` says what was changed to make it possible at all.
    Accepted {
        /// The object as it would be.
        object: Value,
        /// What the dry run does not cover; empty if nothing.
        caveat: String,
    },
    /// The API server refused: what it said.
    Refused(String),
    /// It could not be asked: why.
    NotRun(String),
}
