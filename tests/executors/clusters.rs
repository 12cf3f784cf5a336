//! Two control planes with simulated nodes, made to behave as a kubelet's would where executors look.
//!
//! Real are etcd, the API servers, the controller managers, the schedulers, the CSI sidecars and the array behind
//! them: claims are provisioned, VolumeAttachments come and go. Simulated by kwok are the nodes: their pods are only
//! said to run. What a kubelet would add is added here: the CSINode that names the driver, the annotation that lets
//! the attach-detach controller work for the node, a boot id, the workload's image, and Leases that are renewed quickly
//! enough for a test.
//!
//! Executors get clients that act as the agent's service account, with what `deploy/agent` grants it: a verb that is
//! missing there fails the tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use ferry_tests::{
    array::{Array, DRIVER, Op, Outcome, Seat, rules, store::Asked},
    world::{Cluster, World},
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Node, storage::v1::CSINode};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::{probe, proxy::Proxy, witness, workload};

/// How often the nodes' Leases are renewed.
const RENEWAL: Duration = Duration::from_millis(500);
/// Where the agent's permissions lie, and in which files.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/agent");
const PERMISSIONS: [&str; 5] = ["namespace", "observe", "move", "secrets", "probe"];
/// Who the agent is.
pub(crate) const AGENT: &str = "system:serviceaccount:ferry-system:ferry-agent";

/// The clusters, by name.
#[derive(Clone)]
pub(crate) struct Clusters {
    agents: BTreeMap<String, Client>,
    configs: BTreeMap<String, Config>,
    clients: BTreeMap<String, Client>,
    nodes: Vec<String>,
    kubeconfigs: BTreeMap<String, PathBuf>,
}

impl Clusters {
    /// Makes the nodes of `world` complete and keeps their Leases renewed.
    pub(crate) async fn of(world: &World) -> Result<Self> {
        let array = Array::open(world.array_dir()).context("cannot open the array")?;
        let (mut agents, mut clients, mut configs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut nodes = Vec::new();
        for cluster in world.clusters() {
            let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig())?;
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            config.auth_info.impersonate = Some(AGENT.to_owned());
            for part in PERMISSIONS {
                let file = format!("{MANIFESTS}/{part}.yaml");
                cluster.kubectl(&["apply", "-f", &file]).await.context("the agent's permissions")?;
            }
            let client = cluster.client().await?;
            for node in cluster.nodes() {
                complete(&client, &array, cluster, node.name()).await?;
                tokio::spawn(renew(client.clone(), node.name().to_owned()));
                nodes.push(node.name().to_owned());
            }
            probe::class(&client).await.context("the storage class of probes")?;
            tokio::spawn(probe::carry_out(client.clone()));
            configs.insert(cluster.name().to_owned(), config.clone());
            agents.insert(cluster.name().to_owned(), Client::try_from(config)?);
            clients.insert(cluster.name().to_owned(), client);
        }
        let kubeconfigs = world
            .clusters()
            .iter()
            .map(|cluster| (cluster.name().to_owned(), cluster.kubeconfig().to_owned()));
        Ok(Self { agents, configs, clients, nodes, kubeconfigs: kubeconfigs.collect() })
    }

    /// The test's own client.
    pub(crate) fn client(&self, cluster: &str) -> Client {
        self.clients[cluster].clone()
    }

    /// The agent's client.
    pub(crate) fn agent(&self, cluster: &str) -> Client {
        self.agents[cluster].clone()
    }

    /// A client that acts as another user.
    pub(crate) fn acting_as(&self, cluster: &str, user: &str) -> Result<Client> {
        let mut config = self.configs[cluster].clone();
        config.auth_info.impersonate = Some(user.to_owned());
        Ok(Client::try_from(config)?)
    }

    /// The agent's client as a process behind `proxy` uses it.
    pub(crate) fn through(&self, cluster: &str, proxy: &Proxy) -> Client {
        let (truth, name) = (self.client(cluster), cluster.to_owned());
        proxy.client(&self.agent(cluster), cluster, move |path| {
            let (truth, name) = (truth.clone(), name.clone());
            async move { witness::deletion(&truth, &name, &path).await }
        })
    }

    /// The test's own kubeconfig, for a process.
    pub(crate) fn kubeconfig(&self, cluster: &str) -> &Path {
        &self.kubeconfigs[cluster]
    }

    /// Names of all nodes.
    pub(crate) fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.clients.keys()
    }
}

/// What the node's kubelet would have written.
async fn complete(client: &Client, array: &Array, cluster: &Cluster, node: &str) -> Result<()> {
    let seat = Seat::new(cluster.name(), node);
    let asked = Asked::new(Op::RegisterNode, "", cluster.name()).on(&seat);
    array.decide(asked, Outcome::Ok, |state| Ok(rules::register_node(state, &seat)))??;
    let nodes: Api<Node> = Api::all(client.clone());
    let annotation = json!({"metadata": {"annotations": {
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        "csi.volume.kubernetes.io/nodeid": json!({DRIVER: seat.node_id()}).to_string(),
    }}});
    let object = nodes.patch(node, &PatchParams::default(), &Patch::Merge(annotation)).await?;
    let status = json!({"status": {
        "nodeInfo": {"bootID": format!("boot-of-{node}")},
        "images": [{"names": [workload::IMAGE], "sizeBytes": 1}],
    }});
    nodes.patch_status(node, &PatchParams::default(), &Patch::Merge(status)).await?;
    let drivers: CSINode = serde_json::from_value(json!({
        "metadata": {"name": node, "ownerReferences": [{
            "apiVersion": "v1", "kind": "Node", "name": node, "uid": object.metadata.uid,
        }]},
        "spec": {"drivers": [{"name": DRIVER, "nodeID": seat.node_id(), "topologyKeys": []}]},
    }))?;
    Api::<CSINode>::all(client.clone()).create(&PostParams::default(), &drivers).await?;
    Ok(())
}

/// Renews a node's Lease for as long as the test runs.
async fn renew(client: Client, node: String) {
    let leases: Api<Lease> = Api::namespaced(client, "kube-node-lease");
    loop {
        let renewal = json!({"spec": {"renewTime": format!("{:.6}", jiff::Timestamp::now())}});
        // kwok writes the same object: a lost race is made up for by the next renewal.
        let _ = leases.patch(&node, &PatchParams::default(), &Patch::Merge(renewal)).await;
        tokio::time::sleep(RENEWAL).await;
    }
}
