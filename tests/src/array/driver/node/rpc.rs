//! The messages of the Node service: reads requests, runs the operation in a task of its own, answers.
//!
//! An operation runs to its end also when the caller goes away: a mount that is done half is worse than an
//! answer that nobody hears, and the kubelet asks again. What is checked here is the shape of a request; what
//! may be done is the rules' to say, and how it is done is the parent's.

use std::path::PathBuf;

use nix::sys::statvfs::statvfs;
use tonic::{Request, Response, Status};

use super::super::super::limits::MAX_VOLUMES_PER_NODE;
use super::super::super::proto::csi::node_server::Node;
use super::super::super::proto::csi::node_service_capability::{Rpc, Type, rpc};
use super::super::super::proto::csi::{self, NodeServiceCapability, VolumeUsage, volume_usage::Unit};
use super::super::super::rules::{self, BeginStage};
use super::super::super::store::now_ms;
use super::super::requests::{capability, pod, required};
use super::super::{ARRAY_KEY, SECRET_KEY, TOKEN_KEY};
use super::{NodeService, Publish};

const CAPABILITIES: [rpc::Type; 4] = [
    rpc::Type::StageUnstageVolume,
    rpc::Type::GetVolumeStats,
    rpc::Type::ExpandVolume,
    rpc::Type::SingleNodeMultiWriter,
];

/// Runs an operation to its end, also when the caller goes away.
async fn to_the_end<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    tokio::spawn(operation).await.map_err(|e| Status::internal(format!("the operation broke off: {e}")))?
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_stage_volume(
        &self,
        request: Request<csi::NodeStageVolumeRequest>,
    ) -> Result<Response<csi::NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        let begin = BeginStage {
            handle: required(&request.volume_id, "volume_id")?.to_owned(),
            seat: self.seat.clone(),
            path: PathBuf::from(required(&request.staging_target_path, "staging_target_path")?),
            flags: capability(request.volume_capability.as_ref())?.flags,
            token: request.publish_context.get(TOKEN_KEY).cloned(),
            context_array: request.volume_context.get(ARRAY_KEY).cloned(),
            has_secret: request.secrets.get(SECRET_KEY).is_some_and(|s| !s.is_empty()),
            mounted_here: false,
            now_ms: now_ms(),
        };
        to_the_end(self.clone().stage(begin)).await?;
        Ok(Response::new(csi::NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<csi::NodeUnstageVolumeRequest>,
    ) -> Result<Response<csi::NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?.to_owned();
        let path = PathBuf::from(required(&request.staging_target_path, "staging_target_path")?);
        to_the_end(self.clone().unstage(handle, path)).await?;
        Ok(Response::new(csi::NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<csi::NodePublishVolumeRequest>,
    ) -> Result<Response<csi::NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?.to_owned();
        let target = PathBuf::from(required(&request.target_path, "target_path")?);
        capability(request.volume_capability.as_ref())?;
        let publish = Publish {
            handle,
            staging: PathBuf::from(required(&request.staging_target_path, "staging_target_path")?),
            target,
            readonly: request.readonly,
            pod: pod(&request.volume_context),
        };
        to_the_end(self.clone().publish(publish)).await?;
        Ok(Response::new(csi::NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<csi::NodeUnpublishVolumeRequest>,
    ) -> Result<Response<csi::NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?.to_owned();
        let target = PathBuf::from(required(&request.target_path, "target_path")?);
        to_the_end(self.clone().unpublish(handle, target)).await?;
        Ok(Response::new(csi::NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<csi::NodeGetVolumeStatsRequest>,
    ) -> Result<Response<csi::NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?;
        let path = PathBuf::from(required(&request.volume_path, "volume_path")?);
        rules::volume(&self.array.state()?, handle)?;
        self.own_path(handle, &path)?;
        let stat = statvfs(&path)
            .map_err(|e| Status::internal(format!("cannot ask {} for its space: {e}", path.display())))?;
        let usage = |unit: Unit, total: u64, free: u64, available: u64| VolumeUsage {
            unit: unit.into(),
            total: signed(total),
            used: signed(total.saturating_sub(free)),
            available: signed(available),
        };
        let size = stat.fragment_size();
        let bytes = usage(
            Unit::Bytes,
            stat.blocks() * size,
            stat.blocks_free() * size,
            stat.blocks_available() * size,
        );
        let inodes = usage(Unit::Inodes, stat.files(), stat.files_free(), stat.files_available());
        Ok(Response::new(csi::NodeGetVolumeStatsResponse { usage: vec![bytes, inodes] }))
    }

    async fn node_get_volume_health(
        &self,
        _: Request<csi::NodeGetVolumeHealthRequest>,
    ) -> Result<Response<csi::NodeGetVolumeHealthResponse>, Status> {
        Err(Status::unimplemented("NodeGetVolumeHealth is not among the capabilities of this node"))
    }

    async fn node_get_storage_health(
        &self,
        _: Request<csi::NodeGetStorageHealthRequest>,
    ) -> Result<Response<csi::NodeGetStorageHealthResponse>, Status> {
        Err(Status::unimplemented("NodeGetStorageHealth is not among the capabilities of this node"))
    }

    async fn node_expand_volume(
        &self,
        request: Request<csi::NodeExpandVolumeRequest>,
    ) -> Result<Response<csi::NodeExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let handle = required(&request.volume_id, "volume_id")?.to_owned();
        let path = PathBuf::from(required(&request.volume_path, "volume_path")?);
        let bytes = to_the_end(self.clone().expand(handle, path)).await?;
        Ok(Response::new(csi::NodeExpandVolumeResponse { capacity_bytes: signed(bytes) }))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<csi::NodeGetCapabilitiesRequest>,
    ) -> Result<Response<csi::NodeGetCapabilitiesResponse>, Status> {
        let capabilities = CAPABILITIES
            .map(|c| NodeServiceCapability { r#type: Some(Type::Rpc(Rpc { r#type: c.into() })) })
            .to_vec();
        Ok(Response::new(csi::NodeGetCapabilitiesResponse { capabilities }))
    }

    async fn node_get_info(
        &self,
        _: Request<csi::NodeGetInfoRequest>,
    ) -> Result<Response<csi::NodeGetInfoResponse>, Status> {
        Ok(Response::new(csi::NodeGetInfoResponse {
            node_id: self.seat.node_id(),
            max_volumes_per_node: i64::try_from(MAX_VOLUMES_PER_NODE).unwrap_or(i64::MAX),
            accessible_topology: None,
        }))
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
