//! Reading the parts of CSI requests that several services share: required fields, capabilities, parameters.
//!
//! The specification says which field must be there and with which code its absence is answered; csi-sanity
//! holds the driver to it. Wire types end here: what the rules get are their own types, so that they can be
//! tested without a socket.

use std::collections::HashMap;

use tonic::Status;

use super::super::model::AccessMode;
use super::super::proto::csi::volume_capability::access_mode::Mode;
use super::super::proto::csi::volume_capability::{AccessType, MountVolume};
use super::super::proto::csi::{CapacityRange, VolumeCapability};
use super::REQUIRE_SECRET;

/// Parameters that Kubernetes' sidecars add with `--extra-create-metadata`.
const PV_NAME: &str = "csi.storage.k8s.io/pv/name";
const PVC_NAME: &str = "csi.storage.k8s.io/pvc/name";
const PVC_NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";
const KUBERNETES: &str = "csi.storage.k8s.io/";

/// Volume context that the kubelet adds where the CSIDriver says `podInfoOnMount`.
const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";

/// A field that a request must fill in.
pub(super) fn required<'a>(value: &'a str, field: &str) -> Result<&'a str, Status> {
    match value {
        "" => Err(Status::invalid_argument(format!("{field} is missing; CSI requires it"))),
        value => Ok(value),
    }
}

/// What this array gives, out of what CSI can ask for.
#[derive(Clone, Debug)]
pub(super) struct Capability {
    pub(super) mode: AccessMode,
    pub(super) flags: Vec<String>,
}

/// The one capability of a request.
pub(super) fn capability(asked: Option<&VolumeCapability>) -> Result<Capability, Status> {
    let asked =
        asked.ok_or_else(|| Status::invalid_argument("volume_capability is missing; CSI requires it"))?;
    supported(asked).map_err(Status::invalid_argument)
}

/// All capabilities of a request; there must be at least one.
pub(super) fn capabilities(asked: &[VolumeCapability]) -> Result<(), Status> {
    if asked.is_empty() {
        return Err(Status::invalid_argument("volume_capabilities is missing; CSI requires it"));
    }
    asked.iter().try_for_each(|c| supported(c).map(|_| ())).map_err(Status::invalid_argument)
}

/// Whether the array supports a capability, or why not.
pub(super) fn supported(asked: &VolumeCapability) -> Result<Capability, String> {
    let mount = match &asked.access_type {
        Some(AccessType::Mount(mount)) => mount.clone(),
        Some(AccessType::Block(_)) => {
            return Err("block access asked for; this array gives file systems only".to_owned());
        }
        None => MountVolume::default(),
    };
    if !matches!(mount.fs_type.as_str(), "" | "ext4") {
        return Err(format!("fs_type {} asked for; this array makes ext4 only", mount.fs_type));
    }
    let mode = asked.access_mode.as_ref().map_or(Mode::Unknown, |m| m.mode());
    let mode = match mode {
        Mode::SingleNodeWriter => AccessMode::SingleNodeWriter,
        Mode::SingleNodeReaderOnly => AccessMode::SingleNodeReaderOnly,
        Mode::SingleNodeSingleWriter => AccessMode::SingleNodeSingleWriter,
        Mode::SingleNodeMultiWriter => AccessMode::SingleNodeMultiWriter,
        Mode::Unknown
        | Mode::MultiNodeReaderOnly
        | Mode::MultiNodeSingleWriter
        | Mode::MultiNodeMultiWriter => {
            return Err(format!(
                "access mode {} asked for; this array attaches a volume to one node only",
                mode.as_str_name()
            ));
        }
    };
    Ok(Capability { mode, flags: mount.mount_flags })
}

/// A capacity range as two byte counts, 0 for "not given".
pub(super) fn range(asked: Option<&CapacityRange>) -> Result<(u64, u64), Status> {
    let Some(range) = asked else { return Ok((0, 0)) };
    match (u64::try_from(range.required_bytes), u64::try_from(range.limit_bytes)) {
        (Ok(required), Ok(limit)) if limit == 0 || required <= limit => Ok((required, limit)),
        _ => Err(Status::invalid_argument(format!(
            "capacity_range {} to {} bytes is none; both are at least 0, required at most limit",
            range.required_bytes, range.limit_bytes
        ))),
    }
}

/// What the StorageClass and the provisioner say about a new volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) requires_secret: bool,
    pub(super) pv: Option<String>,
    pub(super) pvc: Option<String>,
}

/// Reads the parameters of CreateVolume; unknown ones are refused.
pub(super) fn parameters(asked: &HashMap<String, String>) -> Result<Parameters, Status> {
    let mut known = Parameters { pv: asked.get(PV_NAME).cloned(), ..Parameters::default() };
    if let (Some(namespace), Some(name)) = (asked.get(PVC_NAMESPACE), asked.get(PVC_NAME)) {
        known.pvc = Some(format!("{namespace}/{name}"));
    }
    for (key, value) in asked.iter().filter(|(key, _)| !key.starts_with(KUBERNETES)) {
        known.requires_secret = match (key.as_str(), value.as_str()) {
            (REQUIRE_SECRET, "true") => true,
            (REQUIRE_SECRET, "false") => false,
            _ => {
                return Err(Status::invalid_argument(format!(
                    "parameter {key}={value} is not known; this array takes {REQUIRE_SECRET}=true|false"
                )));
            }
        };
    }
    Ok(known)
}

/// `<namespace>/<name>` of the pod, where the kubelet tells it.
pub(super) fn pod(context: &HashMap<String, String>) -> Option<String> {
    Some(format!("{}/{}", context.get(POD_NAMESPACE)?, context.get(POD_NAME)?))
}
