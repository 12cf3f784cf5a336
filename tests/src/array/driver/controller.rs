//! The Controller service of one cluster: volumes, and which node may use them.
//!
//! Every cluster has its own controller over the same array. A controller attaches to nodes of its own
//! cluster only; that the volume is free elsewhere is the array's decision. The service reads the request,
//! asks the rules under the array's lock, and says what came of it as CSI wants it said.

use std::collections::HashMap;

use tonic::{Request, Response, Status};

use super::super::image;
use super::super::limits::{MAX_NAME_BYTES, MAX_VOLUME_BYTES, MIN_VOLUME_BYTES};
use super::super::log::{Op, Outcome};
use super::super::model::Volume;
use super::super::proto::csi::controller_server::Controller;
use super::super::proto::csi::controller_service_capability::{Rpc, Type, rpc};
use super::super::proto::csi::validate_volume_capabilities_response::Confirmed;
use super::super::proto::csi::{
    self, ControllerServiceCapability, controller_get_volume_response, list_volumes_response,
};
use super::super::rules::{self, Attach, CreateVolume};
use super::super::store::{Array, Asked, now_ms};
use super::requests::{capabilities, capability, parameters, range, required, supported};
use super::{ARRAY_KEY, REQUIRE_SECRET, TOKEN_KEY, devices};

const CAPABILITIES: [rpc::Type; 9] = [
    rpc::Type::CreateDeleteVolume,
    rpc::Type::PublishUnpublishVolume,
    rpc::Type::PublishReadonly,
    rpc::Type::ListVolumes,
    rpc::Type::ListVolumesPublishedNodes,
    rpc::Type::GetVolume,
    rpc::Type::GetCapacity,
    rpc::Type::ExpandVolume,
    rpc::Type::SingleNodeMultiWriter,
];

/// The controller of one cluster.
#[derive(Clone, Debug)]
pub struct ControllerService {
    array: Array,
    cluster: String,
}

impl ControllerService {
    /// A controller over an array, for the cluster of that name.
    pub fn new(array: Array, cluster: impl Into<String>) -> Self {
        Self { array, cluster: cluster.into() }
    }

    fn asked(&self, op: Op, handle: &str) -> Asked {
        Asked::new(op, handle, &self.cluster)
    }

    fn describe(&self, volume: &Volume, array_id: &str) -> csi::Volume {
        let mut context = HashMap::from([(ARRAY_KEY.to_owned(), array_id.to_owned())]);
        if volume.requires_secret {
            context.insert(REQUIRE_SECRET.to_owned(), "true".to_owned());
        }
        csi::Volume {
            capacity_bytes: signed(volume.capacity_bytes),
            volume_id: volume.handle.clone(),
            volume_context: context,
            ..csi::Volume::default()
        }
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn published_on(volume: &Volume) -> Vec<String> {
    volume.attachment.iter().map(|a| a.seat.node_id()).collect()
}

fn not_offered<T>(call: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!("{call} is not among the capabilities of this array")))
}

#[tonic::async_trait]
impl Controller for ControllerService {
    async fn create_volume(
        &self,
        request: Request<csi::CreateVolumeRequest>,
    ) -> Result<Response<csi::CreateVolumeResponse>, Status> {
        let request = request.into_inner();
        let name = required(&request.name, "name")?.to_owned();
        if name.len() > MAX_NAME_BYTES {
            return Err(Status::invalid_argument(format!(
                "name has {} bytes; this array takes {MAX_NAME_BYTES}",
                name.len()
            )));
        }
        capabilities(&request.volume_capabilities)?;
        if request.volume_content_source.is_some() {
            return Err(Status::invalid_argument(
                "volume_content_source: this array makes blank volumes only",
            ));
        }
        let (required_bytes, limit_bytes) = range(request.capacity_range.as_ref())?;
        let told = parameters(&request.parameters)?;
        let wanted = CreateVolume {
            name,
            required_bytes,
            limit_bytes,
            requires_secret: told.requires_secret,
            cluster: self.cluster.clone(),
            pv: told.pv,
            pvc: told.pvc,
            handle: format!("vol-{:016x}", rand::random::<u64>()),
            fs_uuid: image::new_uuid(),
        };
        let created = self
            .array
            .decide(self.asked(Op::CreateVolume, ""), Outcome::Ok, |s| rules::create(s, wanted))??;
        let state = self.array.state()?;
        let volume = rules::volume(&state, &created.handle)?;
        if !volume.formatted {
            image::ensure_size(&self.array.image_path(&created.handle), created.capacity_bytes)?;
        }
        let volume = Some(self.describe(volume, &state.array_id));
        Ok(Response::new(csi::CreateVolumeResponse { volume }))
    }

    async fn delete_volume(
        &self,
        request: Request<csi::DeleteVolumeRequest>,
    ) -> Result<Response<csi::DeleteVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        self.array.decide(self.asked(Op::DeleteVolume, handle), Outcome::Ok, |s| {
            rules::delete(s, handle, &devices(handle)?)
        })??;
        if image::is_handle(handle) {
            image::delete(&self.array.image_path(handle))?;
        }
        Ok(Response::new(csi::DeleteVolumeResponse {}))
    }

    async fn controller_publish_volume(
        &self,
        request: Request<csi::ControllerPublishVolumeRequest>,
    ) -> Result<Response<csi::ControllerPublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        let node_id = required(&request.node_id, "node_id")?;
        let mode = capability(request.volume_capability.as_ref())?.mode;
        let wanted = Attach {
            handle: handle.to_owned(),
            node_id: node_id.to_owned(),
            cluster: self.cluster.clone(),
            mode,
            readonly: request.readonly,
            token: format!("{:032x}", rand::random::<u128>()),
        };
        let asked = self.asked(Op::Attach, handle).on_id(node_id);
        let token =
            self.array.decide(asked, Outcome::Ok, |s| rules::attach(s, wanted, &devices(handle)?))??;
        let publish_context = HashMap::from([(TOKEN_KEY.to_owned(), token)]);
        Ok(Response::new(csi::ControllerPublishVolumeResponse { publish_context }))
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<csi::ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<csi::ControllerUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        let node_id = request.node_id.as_str();
        let asked = self.asked(Op::Detach, handle).on_id(node_id);
        self.array.decide(asked, Outcome::Ok, |s| {
            rules::detach(s, handle, node_id, &self.cluster, &devices(handle)?, now_ms())
        })??;
        Ok(Response::new(csi::ControllerUnpublishVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<csi::ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<csi::ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        if request.volume_capabilities.is_empty() {
            return Err(Status::invalid_argument("volume_capabilities is missing; CSI requires it"));
        }
        rules::volume(&self.array.state()?, handle)?;
        let verdict = request.volume_capabilities.iter().try_for_each(|c| supported(c).map(|_| ()));
        let response = match verdict {
            Ok(()) => csi::ValidateVolumeCapabilitiesResponse {
                confirmed: Some(Confirmed {
                    volume_context: request.volume_context,
                    volume_capabilities: request.volume_capabilities,
                    parameters: request.parameters,
                    ..Confirmed::default()
                }),
                message: String::new(),
            },
            Err(message) => csi::ValidateVolumeCapabilitiesResponse { confirmed: None, message },
        };
        Ok(Response::new(response))
    }

    async fn list_volumes(
        &self,
        request: Request<csi::ListVolumesRequest>,
    ) -> Result<Response<csi::ListVolumesResponse>, Status> {
        let request = request.into_inner();
        let max = usize::try_from(request.max_entries)
            .map_err(|_| Status::invalid_argument("max_entries is negative; 0 or more is expected"))?;
        let state = self.array.state()?;
        let (volumes, next_token) = rules::page(&state, &request.starting_token, max)?;
        let entries = volumes
            .into_iter()
            .map(|volume| list_volumes_response::Entry {
                volume: Some(self.describe(volume, &state.array_id)),
                status: Some(list_volumes_response::VolumeStatus {
                    published_node_ids: published_on(volume),
                }),
            })
            .collect();
        Ok(Response::new(csi::ListVolumesResponse { entries, next_token }))
    }

    async fn controller_get_volume(
        &self,
        request: Request<csi::ControllerGetVolumeRequest>,
    ) -> Result<Response<csi::ControllerGetVolumeResponse>, Status> {
        let request = request.into_inner();
        let state = self.array.state()?;
        let volume = rules::volume(&state, required(&request.volume_id, "volume_id")?)?;
        Ok(Response::new(csi::ControllerGetVolumeResponse {
            volume: Some(self.describe(volume, &state.array_id)),
            status: Some(controller_get_volume_response::VolumeStatus {
                published_node_ids: published_on(volume),
            }),
        }))
    }

    async fn get_capacity(
        &self,
        _: Request<csi::GetCapacityRequest>,
    ) -> Result<Response<csi::GetCapacityResponse>, Status> {
        let stat = nix::sys::statvfs::statvfs(self.array.dir()).map_err(|e| {
            Status::internal(format!("cannot ask {} for its space: {e}", self.array.dir().display()))
        })?;
        Ok(Response::new(csi::GetCapacityResponse {
            available_capacity: signed(stat.blocks_available() * stat.fragment_size()),
            maximum_volume_size: Some(signed(MAX_VOLUME_BYTES)),
            minimum_volume_size: Some(signed(MIN_VOLUME_BYTES)),
        }))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<csi::ControllerExpandVolumeRequest>,
    ) -> Result<Response<csi::ControllerExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        if request.capacity_range.is_none() {
            return Err(Status::invalid_argument("capacity_range is missing; CSI requires it"));
        }
        let (required_bytes, limit_bytes) = range(request.capacity_range.as_ref())?;
        let bytes = self.array.decide(self.asked(Op::ExpandVolume, handle), Outcome::Ok, |s| {
            rules::grow(s, handle, required_bytes, limit_bytes)
        })??;
        let path = self.array.image_path(handle);
        if image::inspect(&path)? != image::Content::Missing {
            image::ensure_size(&path, bytes)?;
        }
        Ok(Response::new(csi::ControllerExpandVolumeResponse {
            capacity_bytes: signed(bytes),
            node_expansion_required: true,
        }))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<csi::ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<csi::ControllerGetCapabilitiesResponse>, Status> {
        let capabilities = CAPABILITIES
            .map(|c| ControllerServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: c.into() })) })
            .to_vec();
        Ok(Response::new(csi::ControllerGetCapabilitiesResponse { capabilities }))
    }

    async fn controller_list_volume_health(
        &self,
        _: Request<csi::ControllerListVolumeHealthRequest>,
    ) -> Result<Response<csi::ControllerListVolumeHealthResponse>, Status> {
        not_offered("ControllerListVolumeHealth")
    }

    async fn controller_get_volume_health(
        &self,
        _: Request<csi::ControllerGetVolumeHealthRequest>,
    ) -> Result<Response<csi::ControllerGetVolumeHealthResponse>, Status> {
        not_offered("ControllerGetVolumeHealth")
    }

    async fn create_snapshot(
        &self,
        _: Request<csi::CreateSnapshotRequest>,
    ) -> Result<Response<csi::CreateSnapshotResponse>, Status> {
        not_offered("CreateSnapshot")
    }

    async fn delete_snapshot(
        &self,
        _: Request<csi::DeleteSnapshotRequest>,
    ) -> Result<Response<csi::DeleteSnapshotResponse>, Status> {
        not_offered("DeleteSnapshot")
    }

    async fn list_snapshots(
        &self,
        _: Request<csi::ListSnapshotsRequest>,
    ) -> Result<Response<csi::ListSnapshotsResponse>, Status> {
        not_offered("ListSnapshots")
    }

    async fn get_snapshot(
        &self,
        _: Request<csi::GetSnapshotRequest>,
    ) -> Result<Response<csi::GetSnapshotResponse>, Status> {
        not_offered("GetSnapshot")
    }

    async fn controller_modify_volume(
        &self,
        _: Request<csi::ControllerModifyVolumeRequest>,
    ) -> Result<Response<csi::ControllerModifyVolumeResponse>, Status> {
        not_offered("ControllerModifyVolume")
    }
}
