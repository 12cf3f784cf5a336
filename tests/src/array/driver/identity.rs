//! The Identity service: who the driver is, and which services the socket offers.
//!
//! The sidecars and the kubelet ask it before anything else. Both roles of the driver answer alike: whether
//! the Controller service is behind a socket is said by the capabilities of the plugin, and a call to a
//! service that is not there is refused by the server itself.

use tonic::{Request, Response, Status};

use super::super::DRIVER;
use super::super::proto::csi::identity_server::Identity;
use super::super::proto::csi::plugin_capability::{
    Service, Type, VolumeExpansion, service, volume_expansion,
};
use super::super::proto::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest, GetPluginInfoResponse,
    PluginCapability, ProbeRequest, ProbeResponse,
};

/// Answers for the driver as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityService;

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER.to_owned(),
            vendor_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..GetPluginInfoResponse::default()
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let controller = Service { r#type: service::Type::ControllerService.into() };
        // ext4 grows while mounted only for CAP_SYS_RESOURCE, which root in a container often lacks.
        let offline = VolumeExpansion { r#type: volume_expansion::Type::Offline.into() };
        let capabilities = [Type::Service(controller), Type::VolumeExpansion(offline)]
            .map(|r#type| PluginCapability { r#type: Some(r#type) })
            .to_vec();
        Ok(Response::new(GetPluginCapabilitiesResponse { capabilities }))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        Ok(Response::new(ProbeResponse { ready: Some(true) }))
    }
}
