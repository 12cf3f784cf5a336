//! Objects as far as reports need them.
//!
//! Unknown fields are skipped while decoding, managed fields and templates among them; that is what keeps an
//! idle agent small. These types never travel back to the API server: what is written is built elsewhere,
//! whole, and what crosses to another cluster is read anew as JSON by the executors.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::Watched;

/// `metadata`.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `name`.
    pub name: String,
    /// `namespace`; empty for what has none.
    pub namespace: String,
    /// `uid`.
    pub uid: String,
    /// `resourceVersion`.
    pub resource_version: String,
    /// `generation`; 0 for what has none.
    pub generation: u64,
    /// The labels that matter.
    pub labels: Labels,
    /// The annotations that matter.
    pub annotations: Annotations,
}

impl Meta {
    /// `namespace/name`, or the name alone.
    pub fn key(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

/// Labels that matter.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Labels {
    /// Who manages the object.
    #[serde(rename = "app.kubernetes.io/managed-by")]
    pub managed_by: String,
    /// Which Service an EndpointSlice is of.
    #[serde(rename = "kubernetes.io/service-name")]
    pub service: String,
    /// Who manages an EndpointSlice.
    #[serde(rename = "endpointslice.kubernetes.io/managed-by")]
    pub slice_managed_by: String,
}

/// Annotations that matter.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct Annotations {
    /// The epoch of the step that wrote the object last.
    #[serde(rename = "ferry.dev/epoch")]
    pub epoch: String,
}

macro_rules! watched {
    ($($name:ident),*) => {$(
        impl Watched for $name {
            fn meta(&self) -> &Meta {
                &self.metadata
            }
        }
    )*};
}

watched!(StatefulSet, Volume, Claim, Attachment, Node, ConfigMap, Service, EndpointSlice, Pod, Admission);

/// `apps/v1` StatefulSet.
#[derive(Deserialize, Clone, Debug)]
pub struct StatefulSet {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    pub spec: StatefulSetSpec,
    /// Status.
    #[serde(default)]
    pub status: StatefulSetStatus,
}

/// Its spec.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// Absent: 1.
    pub replicas: Option<u32>,
    /// KEP-3335.
    pub ordinals: Ordinals,
    /// Claim templates.
    pub volume_claim_templates: Vec<ClaimTemplate>,
}

/// `spec.ordinals`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Ordinals {
    /// First ordinal.
    pub start: u32,
}

/// A claim template, by name.
#[derive(Deserialize, Clone, Debug)]
pub struct ClaimTemplate {
    /// Metadata.
    pub metadata: Meta,
}

/// Its status.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetStatus {
    /// Pods that are Available.
    pub available_replicas: u32,
}

/// `v1` PersistentVolume.
#[derive(Deserialize, Clone, Debug)]
pub struct Volume {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    pub spec: VolumeSpec,
    /// Status.
    #[serde(default)]
    pub status: Phase,
}

/// Its spec. `rest` has the name of the in-tree plugin among its keys, where there is one.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeSpec {
    /// The CSI volume.
    pub csi: Option<Csi>,
    /// The claim it is for.
    pub claim_ref: Option<ClaimRef>,
    /// Reclaim policy.
    pub persistent_volume_reclaim_policy: String,
    /// Capacity.
    pub capacity: Capacity,
    /// Every other field, by name only.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Nothing>,
}

/// A value that nobody looks at.
#[derive(Clone, Debug)]
pub struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// `spec.csi`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Csi {
    /// Driver.
    pub driver: String,
    /// Handle.
    pub volume_handle: String,
}

/// `spec.claimRef`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct ClaimRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; empty before it is bound.
    pub uid: String,
}

/// `spec.capacity`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Capacity {
    /// A quantity.
    pub storage: String,
}

/// `status.phase`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Phase {
    /// Phase.
    pub phase: String,
}

/// `v1` PersistentVolumeClaim.
#[derive(Deserialize, Clone, Debug)]
pub struct Claim {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    pub spec: ClaimSpec,
}

/// Its spec.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// The PersistentVolume.
    pub volume_name: String,
}

/// `storage.k8s.io/v1` VolumeAttachment.
#[derive(Deserialize, Clone, Debug)]
pub struct Attachment {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    pub spec: AttachmentSpec,
}

/// Its spec.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSpec {
    /// The node.
    pub node_name: String,
    /// The volume.
    pub source: AttachmentSource,
}

/// `spec.source`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct AttachmentSource {
    /// The PersistentVolume.
    pub persistent_volume_name: String,
}

/// `v1` Node.
#[derive(Deserialize, Clone, Debug)]
pub struct Node {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    #[serde(default)]
    pub spec: NodeSpec,
    /// Status.
    #[serde(default)]
    pub status: Conditions,
}

/// Its spec.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct NodeSpec {
    /// Its pod network.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: String,
    /// Its pod networks.
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<String>,
}

/// `status.conditions`.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(default)]
pub struct Conditions {
    /// Conditions.
    pub conditions: Vec<Condition>,
}

impl Conditions {
    /// Whether the condition Ready is True.
    pub fn is_ready(&self) -> bool {
        self.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
    }
}

/// A condition.
#[derive(Deserialize, Clone, Debug)]
pub struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
}

/// `v1` ConfigMap.
#[derive(Deserialize, Clone, Debug)]
pub struct ConfigMap {
    /// Metadata.
    pub metadata: Meta,
    /// Data.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

/// `admissionregistration.k8s.io/v1` ValidatingAdmissionPolicy or its binding: only which version of it there is.
#[derive(Deserialize, Clone, Debug)]
pub struct Admission {
    /// Metadata.
    pub metadata: Meta,
}

/// `v1` Service.
#[derive(Deserialize, Clone, Debug)]
pub struct Service {
    /// Metadata.
    pub metadata: Meta,
    /// Spec.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// Its spec.
#[derive(Deserialize, Clone, Debug, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// Families, the first one first.
    pub ip_families: Vec<String>,
}

/// `discovery.k8s.io/v1` EndpointSlice.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Metadata.
    pub metadata: Meta,
    /// IPv4, IPv6 or FQDN.
    #[serde(default)]
    pub address_type: String,
    /// Endpoints; may be null.
    #[serde(default)]
    pub endpoints: Option<Vec<Endpoint>>,
    /// Ports; may be null.
    #[serde(default)]
    pub ports: Option<Vec<Port>>,
}

/// An endpoint.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses; consumers use the first.
    pub addresses: Vec<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Conditions.
    pub conditions: EndpointConditions,
    /// Zone.
    pub zone: Option<String>,
    /// The pod.
    pub target_ref: Option<TargetRef>,
}

/// Conditions of an endpoint.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct EndpointConditions {
    /// Absent: true.
    pub ready: Option<bool>,
    /// Absent: as ready.
    pub serving: Option<bool>,
    /// Absent: false.
    pub terminating: Option<bool>,
}

/// `targetRef`.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(default)]
pub struct TargetRef {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

/// A port.
#[derive(Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// Name.
    pub name: Option<String>,
    /// Protocol; absent: TCP.
    pub protocol: Option<String>,
    /// Number; absent: all.
    pub port: Option<u32>,
    /// Application protocol.
    pub app_protocol: Option<String>,
}

/// `v1` Pod.
#[derive(Deserialize, Clone, Debug)]
pub struct Pod {
    /// Metadata.
    pub metadata: Meta,
    /// Status.
    #[serde(default)]
    pub status: Conditions,
}
