//! One cluster of a world: its client, its processes, its nodes, and waits for what they bring about.
//!
//! Everything here works from any process inside the world, by the files that the start left in the run
//! directory. What Kubernetes does is watched through its API alone; what its processes do, by their numbers.
//!
//! Boundary: nothing of workloads. Tests create their objects through [`Cluster::client`] or `kubectl`.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::{
    core::v1::{Node as NodeObject, ServiceAccount},
    storage::v1::CSINode,
};
use kube::{
    Api, Client, Config as ClientConfig,
    api::{DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind, Request, params::GetParams},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Shared, control_plane,
    csi::DRIVER,
    limits,
    node::{Node, NodeFacts},
    process::Process,
    wait::Wait,
};
use crate::build::KubernetesRelease;

/// Where kubectl keeps what it learns of an API; the home directory's would mix runs up and outlive them.
pub const KUBECTL_CACHE: &str = "KUBECACHEDIR";
/// The folder for it in a run directory.
pub const KUBECTL_CACHE_DIR: &str = "kubectl";

const DNS_PORT: u16 = 53;

/// What is known of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Its name, also of its context in the world's kubeconfig.
    pub name: String,
    /// Its release of Kubernetes; `None`: the first that the world's tools hold.
    pub kubernetes: Option<KubernetesRelease>,
    /// Where its API server listens.
    pub ip: Ipv4Addr,
    /// The API server's address as clients spell it.
    pub server: String,
    /// The administrator's kubeconfig for this cluster alone.
    pub kubeconfig: PathBuf,
    /// Where its DNS server listens, port 53; the nodes' pods ask it.
    pub dns: Ipv4Addr,
    /// The range of all its pods.
    pub pod_cidr: String,
    /// The range of its services' virtual addresses.
    pub service_cidr: String,
    /// Its nodes, real ones first.
    pub nodes: Vec<NodeFacts>,
}

/// A cluster of a world.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) facts: ClusterFacts,
    pub(super) shared: Arc<Shared>,
}

impl Cluster {
    /// All that is known of it.
    #[must_use]
    pub fn facts(&self) -> &ClusterFacts {
        &self.facts
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// The administrator's kubeconfig for this cluster alone.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.facts.kubeconfig
    }

    /// Where its DNS server answers, by UDP and TCP.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        SocketAddr::from((self.facts.dns, DNS_PORT))
    }

    /// Its nodes, real ones first.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let node = |facts: &NodeFacts| Node { facts: facts.clone(), shared: Arc::clone(&self.shared) };
        self.facts.nodes.iter().map(node).collect()
    }

    /// The node named `name`.
    pub fn node(&self, name: &str) -> Result<Node> {
        let found = self.nodes().into_iter().find(|node| node.name() == name);
        found.with_context(|| format!("cluster {} has no node {name}", self.name()))
    }

    /// One of the processes beside its API: `etcd`, `kube-apiserver`, `kube-controller-manager`,
    /// `kube-scheduler`, `coredns`, `kwok`, `test-csi`, `csi-provisioner`, `csi-attacher`.
    #[must_use]
    pub fn process(&self, name: &str) -> Process {
        Process::new(&self.shared.dir, &format!("{}/{name}", self.facts.name))
    }

    /// A client with the administrator's rights.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(&self.facts.kubeconfig)?;
        let config = ClientConfig::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// What `kubectl` prints when called with `arguments` as this cluster's administrator.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with_input(arguments, "").await
    }

    /// As [`Cluster::kubectl`], with `input` to read: `kubectl apply -f -`.
    pub async fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = tokio::process::Command::new(self.shared.kubernetes_program(&self.facts, "kubectl")?)
            .arg("--kubeconfig")
            .arg(&self.facts.kubeconfig)
            .args(arguments)
            .env(KUBECTL_CACHE, self.shared.dir.join(KUBECTL_CACHE_DIR))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await?;
        }
        let shown = arguments.join(" ");
        let output = tokio::time::timeout(limits::KUBECTL, child.wait_with_output())
            .await
            .with_context(|| format!("kubectl {shown} did not end within {:?}", limits::KUBECTL))??;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("kubectl {shown} in {}: {}: {}", self.name(), output.status, error.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until the API server says that it is ready; after a restart of it, or of etcd, too.
    pub async fn wait_api(&self) -> Result<()> {
        let client = self.client().await?;
        Wait::new(format!("the API server of {}", self.name()), limits::CONTROL_PLANE_READY)
            .on(&self.process(control_plane::ETCD))
            .on(&self.process(control_plane::API_SERVER))
            .until(async || {
                let request = Request::new("").get("readyz", &GetParams::default())?;
                Ok((client.request_text(request).await? == "ok").then_some(()))
            })
            .await
    }

    /// Waits until the DNS server serves what the API holds.
    pub async fn wait_dns(&self) -> Result<()> {
        let url = control_plane::dns_ready_url(self.facts.dns);
        Wait::new(format!("the DNS server of {}", self.name()), limits::NODE_READY)
            .on(&self.process(control_plane::COREDNS))
            .until(async || Ok(reqwest::get(&url).await?.status().is_success().then_some(())))
            .await
    }

    /// Waits until pods can be made: the controllers have given the namespace its service account.
    pub async fn wait_service_account(&self, namespace: &str) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        Wait::new(format!("the service account of {}/{namespace}", self.name()), limits::CONTROL_PLANE_READY)
            .on(&self.process(control_plane::CONTROLLER_MANAGER))
            .until(async || Ok(accounts.get_opt("default").await?.map(drop)))
            .await
    }

    /// Waits until `node` has the condition Ready and, where the world has one, its CSI driver is registered.
    pub async fn wait_node_ready(&self, node: &Node) -> Result<()> {
        let client = self.client().await?;
        let (nodes, drivers): (Api<NodeObject>, Api<CSINode>) = (Api::all(client.clone()), Api::all(client));
        let wait = Wait::new(format!("node {}", node.name()), limits::NODE_READY);
        let wait = if node.is_simulated() {
            wait.on(&self.process(control_plane::KWOK))
        } else {
            ["kubelet", "containerd"].iter().fold(wait, |wait, name| wait.on(&node.process(name)))
        };
        let with_driver = self.shared.test_csi.is_some() && !node.is_simulated();
        wait.until(async || {
            let ready = nodes.get(node.name()).await.is_ok_and(|object| is_ready(&object));
            if !ready || !with_driver {
                return Ok(ready.then_some(()));
            }
            let registered = drivers.get(node.name()).await?.spec.drivers;
            Ok(registered.iter().any(|driver| driver.name == DRIVER).then_some(()))
        })
        .await
    }

    /// Creates objects of any kind; one that exists already is left as it is.
    pub(super) async fn create(&self, objects: &[Value]) -> Result<()> {
        let client = self.client().await?;
        let mut kinds = BTreeMap::new();
        for object in objects {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            let (version, kind) = (text("apiVersion"), text("kind"));
            let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
            let resource = kinds
                .entry((group.to_owned(), kind.clone()))
                .or_insert_with(|| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind)));
            let object: DynamicObject = serde_json::from_value(object.clone())?;
            let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
            match api.create(&PostParams::default(), &object).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("{}: cannot create a {kind}", self.name()));
                }
            }
        }
        Ok(())
    }
}

fn is_ready(node: &NodeObject) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
