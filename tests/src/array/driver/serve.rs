//! Serves the driver on its sockets until it is told to stop.
//!
//! A socket left by a killed driver is replaced. The registration socket appears last: the kubelet calls the
//! CSI socket as soon as it sees it. At the end the calls that run are given time, and the sockets are
//! removed: a plugin watcher takes a socket that is gone for a driver that is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::super::proto::csi::controller_server::ControllerServer;
use super::super::proto::csi::identity_server::IdentityServer;
use super::super::proto::csi::node_server::NodeServer;
use super::super::proto::registration::registration_server::RegistrationServer;
use super::registration::RegistrationService;
use super::{ControllerService, IdentityService, NodeService};

/// Where to serve.
#[derive(Clone, Debug)]
pub struct Sockets {
    /// Path of the CSI socket.
    pub endpoint: PathBuf,
    /// Path of the socket for the kubelet's plugin watcher, on nodes.
    pub registration: Option<PathBuf>,
}

/// Why the driver does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A socket could not be made.
    #[error("cannot listen on {path}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A socket broke.
    #[error("serving on {path} failed")]
    Serve {
        /// The socket.
        path: PathBuf,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// The kubelet does not want the driver.
    #[error("the kubelet refused the registration: {reason}")]
    Registration {
        /// What the kubelet said.
        reason: String,
    },
}

/// Serves the given services until `stop` is cancelled, the kubelet refuses the driver, or a socket breaks.
///
/// # Errors
/// A socket cannot be made or breaks, or the kubelet refuses the registration.
pub async fn serve(
    sockets: &Sockets,
    controller: Option<ControllerService>,
    node: Option<NodeService>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (refused, mut refusals) = mpsc::channel(1);
    let csi = listen(&sockets.endpoint)?;
    let services = Server::builder()
        .add_service(IdentityServer::new(IdentityService))
        .add_optional_service(controller.map(ControllerServer::new))
        .add_optional_service(node.map(NodeServer::new))
        .serve_with_incoming_shutdown(csi, stop.clone().cancelled_owned());
    let registration = async {
        let Some(path) = &sockets.registration else {
            stop.cancelled().await;
            return Ok(());
        };
        let service = RegistrationService { endpoint: sockets.endpoint.display().to_string(), refused };
        Server::builder()
            .add_service(RegistrationServer::new(service))
            .serve_with_incoming_shutdown(listen(path)?, stop.clone().cancelled_owned())
            .await
            .map_err(|source| ServeError::Serve { path: path.clone(), source })
    };
    let services = async {
        services.await.map_err(|source| ServeError::Serve { path: sockets.endpoint.clone(), source })
    };
    let refusal = async {
        match refusals.recv().await {
            Some(reason) => Err(ServeError::Registration { reason }),
            None => std::future::pending().await,
        }
    };
    let served = tokio::select! {
        both = async { tokio::try_join!(services, registration).map(|_| ()) } => both,
        refused = refusal => refused,
    };
    for path in std::iter::once(&sockets.endpoint).chain(&sockets.registration) {
        if let Err(error) = fs::remove_file(path) {
            tracing::debug!(path = %path.display(), %error, "the socket is gone already");
        }
    }
    served
}

fn listen(path: &Path) -> Result<UnixListenerStream, ServeError> {
    let error = |source| ServeError::Listen { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(error)?;
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(error(e)),
        _ => {}
    }
    UnixListener::bind(path).map(UnixListenerStream::new).map_err(error)
}
