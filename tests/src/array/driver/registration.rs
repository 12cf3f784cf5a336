//! Tells the kubelet that there is a CSI driver on its node, and where.
//!
//! The kubelet watches its `plugins_registry` directory, calls `GetInfo` on every socket there, and reports back
//! by `NotifyRegistrationStatus`. It sends the socket's escaped path as the HTTP/2 authority, which is well-formed
//! for hyper only if there is an `@` in it: hence the `@` in the socket's name.
//!
//! A refused registration ends the driver: whoever started it sees it at once.

use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::super::DRIVER;
use super::super::proto::registration::registration_server::Registration;
use super::super::proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};

/// Newest CSI version this driver speaks, in the kubelet's terms.
const CSI_VERSION: &str = "1.0.0";

/// Answers the kubelet's plugin watcher.
#[derive(Clone, Debug)]
pub(super) struct RegistrationService {
    /// Path of the CSI socket, as the kubelet sees it.
    pub(super) endpoint: String,
    /// Where a refusal is reported.
    pub(super) refused: mpsc::Sender<String>,
}

#[tonic::async_trait]
impl Registration for RegistrationService {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: DRIVER.to_owned(),
            endpoint: self.endpoint.clone(),
            supported_versions: vec![CSI_VERSION.to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        status: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = status.into_inner();
        if status.plugin_registered {
            tracing::info!("registered with the kubelet");
        } else if self.refused.try_send(status.error.clone()).is_err() {
            tracing::warn!(error = status.error, "refused by the kubelet once more");
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
