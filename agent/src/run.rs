//! Puts the parts together: from options to a stream that is kept.
//!
//! The order is what a person who starts it needs: what is wrong with the options or the kubeconfig is said
//! at once; then the identity, then the cluster, each waited for with a word about what is missing. From
//! there on only the end of the process ends it: a lost stream is dialled again.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use crate::{
    cluster,
    dispatch::Dispatch,
    endpoints::{Mirrors, Own},
    events::Events,
    health::Health,
    identity::{self, keep::Keep, renew},
    inventory::Inventory,
    options::Options,
    progress::Queue,
    session::{Dial, Session},
    telemetry::{self, Telemetry},
    watch::Revival,
};

/// Why an agent stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No way to the cluster.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// No identity, or none any more.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// It cannot be watched as it was told.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// TLS cannot be set up.
    #[error("another TLS provider was installed in this process")]
    Provider,
}

/// Runs until the identity is over.
///
/// # Errors
/// See [`Error`]. An API server or a controller that is away is waited for.
pub async fn run(options: Options) -> Result<(), Error> {
    install_provider()?;
    let telemetry = Telemetry::default();
    if let Some(address) = options.metrics_listen {
        telemetry.listen(address).await?;
    }
    let token = options.join_token()?;
    let (client, server) = cluster::client(options.kubeconfig.as_deref(), options.context.as_deref()).await?;
    let keep = match options.state_secret {
        Some(name) => Keep::in_secret(&client, &name),
        None => Keep::in_directory(options.state.unwrap_or_default())?,
    };
    let identity = identity::obtain(&keep, &options.controller, token.as_ref()).await?;
    let cluster_name = identity.cluster.clone();
    if let Some(endpoint) = &options.otlp_endpoint {
        telemetry.send_spans(endpoint, &identity.uri, &cluster_name)?;
    }
    telemetry.write_events(Events::start(client.clone(), &cluster_name, telemetry.metrics()));
    let revival = Revival::new();
    let inventory = Inventory::follow(&client, &revival);
    let health = Health::follow(client.clone(), inventory.clone(), revival.clone());
    telemetry.watch(inventory.clone(), health.clone());
    let progress = Queue::default();
    let (current, identity) = watch::channel(identity);
    let mut renewal = JoinSet::new();
    renewal.spawn(renew::keep_valid(options.controller.clone(), keep, current));
    let mut session = Session {
        controller: options.controller,
        dial: Dial::Tls,
        identity,
        cluster_uid: String::new(),
        pod_cidrs: options.pod_cidrs,
        instance_id: instance_id(),
        inventory,
        health,
        dispatch: Dispatch::new(client.clone(), cluster_name.clone(), progress.clone())
            .watched_by(telemetry.clone()),
        telemetry,
        progress,
        own: Own::new(client.clone(), revival),
        mirrors: Mirrors::new(client.clone(), cluster_name),
    };
    let keep = async {
        session.cluster_uid = cluster::uid(&client, &server).await;
        session.ready().await;
        session.run().await;
    };
    tokio::select! {
        () = keep => Ok(()),
        Some(Ok(over)) = renewal.join_next() => Err(over.into()),
    }
}

fn install_provider() -> Result<(), Error> {
    let ours = rustls::crypto::ring::default_provider();
    let same = |known: &Arc<rustls::crypto::CryptoProvider>| known.cipher_suites == ours.cipher_suites;
    match ours.clone().install_default() {
        Ok(()) => Ok(()),
        Err(known) if same(&known) => Ok(()),
        Err(_) => Err(Error::Provider),
    }
}

fn instance_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
