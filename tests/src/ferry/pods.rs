//! Ferry as an operator has it: controller and agents as pods, installed by their charts.
//!
//! The namespace enforces PodSecurity `restricted`, the controller's disk is a claim of the host cluster's own class,
//! and every agent reaches the controller through a port of the host cluster's nodes. Tokens go the way that the
//! charts' notes tell: the first from the controller's log, each agent's into its release.
//!
//! For tests that kill processes and hold steps there is [`super::Ferry`].

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::helm::{Helm, NAMESPACE, chart};
use super::{Cli, Ferry, credential_in, program};
use crate::world::{Cluster, Config, Wait, World, beside};

/// The releases, named as their charts.
pub const CONTROLLER: &str = "ferry-controller";
/// See [`CONTROLLER`].
pub const AGENT: &str = "ferry-agent";
/// The port of every node of the host cluster by which the controller is reached.
const PORT: u16 = 30743;
/// Time for a pod to be scheduled, get its disk and become Ready, and for an agent to attach.
const START: Duration = Duration::from_secs(180);
/// Where archives of images lie.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/images/test");

/// An installation by charts.
pub struct Pods {
    host: String,
    address: String,
    helm: Helm,
    cli: Cli,
}

/// Adds the images of Ferry's programs, as cargo has built them beside this one, to what the nodes import.
///
/// # Errors
/// They are not built, or cannot be written.
pub fn with_images(mut config: Config) -> Result<Config> {
    let folder = beside(AGENT).context("ferry-agent is not built: run `make build`")?;
    let folder = folder.parent().context("a program lies in no folder")?.to_owned();
    config.images.push(crate::build::images(&folder, Path::new(IMAGES))?);
    Ok(config)
}

impl Pods {
    /// Installs the controller in `host`, logs the operator in, and an agent in every cluster.
    ///
    /// # Errors
    /// A chart is refused, a pod does not become Ready, an agent does not attach; what the pods said is part of it.
    pub async fn install(world: &World, host: &str) -> Result<Self> {
        let cluster = world.cluster(host)?;
        let node = cluster.nodes().into_iter().find_map(|node| node.ip()).context("no real node")?;
        let pods = Self {
            host: host.to_owned(),
            address: format!("{node}:{PORT}"),
            helm: Helm::of(world)?,
            cli: Cli::new(program("ferry")?, Ferry::operator_config(world)),
        };
        for cluster in world.clusters() {
            make_namespace(cluster).await?;
        }
        pods.helm.on(cluster, &pods.controller("install", &[]).each()).await?;
        let credential = pods.first_credential(cluster).await?;
        let login = ["login", "--server", &pods.address, &credential];
        // The pod is Ready before every node's proxy knows it; a connection that is refused takes no token.
        Wait::new("the first login", START)
            .until(async || pods.cli.run(&login).await?.success().map(Some))
            .await?;
        for cluster in world.clusters() {
            let token = pods.cli.run(&["token", "create", "cluster", cluster.name()]).await?.success()?;
            let token = format!("join.token={}", token.stdout.trim());
            pods.helm.on(cluster, &pods.agent("install", &[&token]).each()).await?;
        }
        for cluster in world.clusters() {
            pods.attached(cluster).await?;
        }
        Ok(pods)
    }

    /// The operator's command, logged in.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// The program by which it was installed.
    pub fn helm(&self) -> &Helm {
        &self.helm
    }

    /// Helm's arguments to install or upgrade the controller, with further values.
    pub fn controller(&self, verb: &str, values: &[&str]) -> Arguments {
        let name = self.address.split(':').next().unwrap_or_default();
        let own = [
            format!("sans={{{name}}}"),
            "service.type=NodePort".to_owned(),
            format!("service.nodePort={PORT}"),
            "persistence.storageClass=array".to_owned(),
        ];
        Arguments::new(verb, CONTROLLER, &own, values)
    }

    /// Helm's arguments to install or upgrade an agent, with further values.
    pub fn agent(&self, verb: &str, values: &[&str]) -> Arguments {
        Arguments::new(verb, AGENT, &[format!("controller={}", self.address)], values)
    }

    /// Waits until every pod of a release is Ready, and none of an earlier revision is left.
    ///
    /// # Errors
    /// They are not within three minutes.
    pub async fn rolled_out(&self, cluster: &Cluster, release: &str) -> Result<()> {
        let client = cluster.client().await?;
        let sets = Api::<StatefulSet>::namespaced(client.clone(), NAMESPACE);
        let deployments = Api::<Deployment>::namespaced(client, NAMESPACE);
        let rolled = Wait::new(format!("{release} in {} to be rolled out", cluster.name()), START)
            .until(async || {
                let done = if release == CONTROLLER {
                    set_is_out(&sets.get(release).await?)
                } else {
                    deployment_is_out(&deployments.get(release).await?)
                };
                Ok(done.then_some(()))
            })
            .await;
        told(cluster, rolled).await
    }

    /// Waits until the controller lists a cluster as attached.
    ///
    /// # Errors
    /// It does not within three minutes.
    pub async fn attached(&self, cluster: &Cluster) -> Result<()> {
        let attached = Wait::new(format!("cluster {} to be attached", cluster.name()), START)
            .until(async || {
                let listed = self.cli.run(&["clusters", "-o", "json"]).await?.success()?;
                Ok(listed.is_attached(cluster.name())?.then_some(()))
            })
            .await;
        told(cluster, attached).await
    }

    /// The cluster that the controller runs in.
    ///
    /// # Errors
    /// The world has no such cluster any more.
    pub fn host<'a>(&self, world: &'a World) -> Result<&'a Cluster> {
        world.cluster(&self.host)
    }

    async fn first_credential(&self, cluster: &Cluster) -> Result<String> {
        self.rolled_out(cluster, CONTROLLER).await?;
        let log = cluster.kubectl(&["-n", NAMESPACE, "logs", "ferry-controller-0"]).await?;
        credential_in(&log).with_context(|| format!("no credential in the controller's log:\n{log}"))
    }
}

/// A command line of Helm.
pub struct Arguments(Vec<String>);

impl Arguments {
    fn new(verb: &str, release: &str, own: &[String], values: &[&str]) -> Self {
        let mut words = vec![verb.to_owned(), release.to_owned(), chart(release)];
        for value in own.iter().map(String::as_str).chain(values.iter().copied()) {
            words.extend(["--set".to_owned(), value.to_owned()]);
        }
        Self(words)
    }

    /// Its words.
    pub fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// The namespace, which refuses pods that are not restricted.
///
/// # Errors
/// It cannot be made.
pub async fn make_namespace(cluster: &Cluster) -> Result<()> {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }},
    });
    cluster.kubectl_with_input(&["apply", "-f", "-"], &namespace.to_string()).await.map(drop)
}

/// Every pod in Ferry's namespace.
///
/// # Errors
/// The API server does not list them.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Pod>> {
    let api = Api::<Pod>::namespaced(cluster.client().await?, NAMESPACE);
    Ok(api.list(&ListParams::default()).await?.items)
}

fn set_is_out(set: &StatefulSet) -> bool {
    set.status.as_ref().is_some_and(|status| {
        status.observed_generation == set.metadata.generation
            && status.update_revision == status.current_revision
            && status.ready_replicas == Some(1)
            && status.updated_replicas == Some(1)
    })
}

fn deployment_is_out(deployment: &Deployment) -> bool {
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation == deployment.metadata.generation
            && status.updated_replicas == Some(1)
            && status.available_replicas == Some(1)
            && status.replicas == Some(1)
    })
}

/// An outcome; a failure with what the pods are and what they said.
async fn told<T>(cluster: &Cluster, outcome: Result<T>) -> Result<T> {
    let Err(failure) = outcome else { return outcome };
    let mut said = String::new();
    for ask in [
        &["describe", "pods"][..],
        &["logs", "--tail=30", "-l", "app.kubernetes.io/name=ferry-controller"],
        &["logs", "--tail=30", "-l", "app.kubernetes.io/name=ferry-agent"],
    ] {
        let answer = cluster.kubectl(&[&["-n", NAMESPACE], ask].concat()).await;
        said.push_str(&answer.unwrap_or_else(|error| format!("{error:#}\n")));
    }
    Err(failure.context(said))
}
