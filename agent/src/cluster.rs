//! The way to this cluster's API server, and what tells this cluster from every other.
//!
//! A kubeconfig, or the service account of the pod the agent runs in. A cluster is known by the UID of its
//! namespace kube-system: names can be given twice, that UID cannot. The controller refuses a cluster that
//! comes back with another one, so that an agent with the wrong kubeconfig is caught before it reports
//! anything.

use std::path::{Path, PathBuf};

use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    client::{ConfigExt as _, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder, ServiceExt as _, retry::RetryLayer};

use crate::{
    backoff::Backoff,
    limits,
    outcome::{Class, classify, said},
};

/// Why there is no way to an API server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {path}; give --kubeconfig a file with the agent's credentials, and --context a context in it", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The kubeconfig leads through a proxy.
    #[error("the kubeconfig {path} leads to {server} through the proxy {proxy} (proxy-url of its cluster, or HTTPS_PROXY), and the agent connects directly; run it where the API server can be reached without one, and take the setting out", path = path.display())]
    Proxy {
        /// The file.
        path: PathBuf,
        /// The API server.
        server: String,
        /// The proxy.
        proxy: String,
    },
    /// Neither a kubeconfig nor a pod.
    #[error("no cluster: give --kubeconfig, or run the agent in a pod with a service account")]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// The configuration makes no client.
    #[error("cannot make a client for {server}; check the certificates and credentials in the kubeconfig")]
    Client {
        /// Its address.
        server: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A client, and the API server's address for messages.
///
/// # Errors
/// See [`Error`]. Whether the API server answers is not tried here.
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<(Client, String), Error> {
    let config = match kubeconfig {
        Some(path) => {
            let unusable = |source| Error::Kubeconfig { path: path.into(), source: Box::new(source) };
            let file = Kubeconfig::read_from(path).map_err(unusable)?;
            let options =
                KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
            let config = Config::from_custom_kubeconfig(file, &options).await.map_err(unusable)?;
            if let Some(proxy) = &config.proxy_url {
                let (server, proxy) = (config.cluster_url.to_string(), proxy.to_string());
                return Err(Error::Proxy { path: path.into(), server, proxy });
            }
            config
        }
        None => Config::infer().await.map_err(|source| Error::NoCluster(Box::new(source)))?,
    };
    let server = config.cluster_url.to_string();
    let client = connected(config);
    let client =
        client.map_err(|source| Error::Client { server: server.clone(), source: Box::new(source) })?;
    Ok((client, server))
}

/// kube's own client but for TCP_NODELAY, which that has no setting for: on a new connection the kernel holds the first
/// request back until the end of the handshake is acknowledged, and the other side takes its 40 ms for that.
fn connected(config: Config) -> kube::Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = config.rustls_https_connector_with_connector(tcp)?;
    let connector = tower::service_fn(move |address: http::Uri| {
        let connecting = tls.clone().oneshot(address);
        Box::pin(async move { timeout(limits::API_CONNECT_TIMEOUT, connecting).await? })
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry())))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace))
}

/// UID of the namespace kube-system; waits for the API server.
pub async fn uid(client: &Client, server: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut backoff = Backoff::new();
    loop {
        match namespaces.get("kube-system").await {
            Ok(Namespace { metadata, .. }) if metadata.uid.is_some() => {
                return metadata.uid.unwrap_or_default();
            }
            Ok(_) => tracing::warn!(server, "the namespace kube-system has no UID; is this an API server?"),
            Err(error) if classify(&error) == Class::Denied => tracing::warn!(
                server,
                error = said(&error),
                "the API server refuses this agent; grant what deploy/agent/ lists to the identity in the kubeconfig"
            ),
            Err(error) => tracing::warn!(
                server,
                error = said(&error),
                "no API server; check the address in the kubeconfig, and that it runs. Tried again"
            ),
        }
        backoff.pause().await;
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
