//! What a world consists of, as its user asks for it.
//!
//! Two shapes cover nearly all tests: real nodes, where disks, detach, names or processes are the point, and
//! simulated ones, where many objects are. Both can be mixed within a cluster.
//!
//! What cannot be asked for (addresses, ports, flags) is laid out in `address` and `control_plane`.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::limits;
use crate::build::{KubernetesRelease, Tools};

/// A world to bring up.
#[derive(Clone, Debug)]
pub struct Config {
    /// What it runs, from [`crate::build::ensure`].
    pub tools: Tools,
    /// Its clusters; the order gives their addresses.
    pub clusters: Vec<ClusterConfig>,
    /// The test CSI driver's program. Without one there is no StorageClass `array`.
    pub test_csi: Option<PathBuf>,
    /// How often a kubelet sends its node's status without being asked, and renews its node's Lease, in seconds.
    /// A handoff waits for both, so tests keep it short; Kubernetes' default is 10.
    pub node_status_update_s: u32,
    /// Further image archives for every node, beside the ones of [`crate::build`].
    pub images: Vec<PathBuf>,
}

/// One cluster of a world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// Its name, also of its context in the kubeconfig: lower-case letters, digits and dashes.
    pub name: String,
    /// Its release of Kubernetes, of those in [`Config::tools`]; `None`: the first of them.
    pub kubernetes: Option<KubernetesRelease>,
    /// Nodes with a kubelet and containers, named `<cluster>-1` and so on.
    pub nodes: usize,
    /// Nodes that kwok simulates, named `<cluster>-kwok-1` and so on: their pods are only said to run.
    pub simulated_nodes: usize,
}

/// The bound of a name: the first part of a node's host name.
const NAME_LENGTH: usize = 20;

impl Config {
    /// Clusters `east` and `west` with two real nodes each, and the test CSI driver if it lies beside this
    /// program.
    #[must_use]
    pub fn two_clusters(tools: Tools) -> Self {
        let clusters = ["east", "west"].into_iter().map(|name| ClusterConfig::with_nodes(name, 2)).collect();
        Self { tools, clusters, test_csi: test_csi(), node_status_update_s: 2, images: Vec::new() }
    }

    /// Clusters `east` and `west` without containers: control planes and simulated nodes.
    #[must_use]
    pub fn two_simulated_clusters(tools: Tools, nodes: usize) -> Self {
        let mut config = Self::two_clusters(tools);
        for cluster in &mut config.clusters {
            cluster.nodes = 0;
            cluster.simulated_nodes = nodes;
        }
        config
    }

    /// Refuses what the address plan cannot hold.
    pub(super) fn check(&self) -> Result<()> {
        let count = self.clusters.len();
        ensure!(
            (1..=limits::MAX_CLUSTERS).contains(&count),
            "{count} clusters asked for: a world has 1 to {}",
            limits::MAX_CLUSTERS
        );
        for (index, cluster) in self.clusters.iter().enumerate() {
            let name = &cluster.name;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            ensure!(
                !name.is_empty()
                    && name.len() <= NAME_LENGTH
                    && name.chars().all(plain)
                    && !name.starts_with('-'),
                "cluster name {name:?}: 1 to {NAME_LENGTH} lower-case letters, digits and dashes are expected"
            );
            ensure!(
                self.clusters[..index].iter().all(|other| other.name != *name),
                "two clusters are named {name:?}: each needs a name of its own"
            );
            ensure!(
                cluster.nodes <= limits::MAX_NODES && cluster.simulated_nodes <= limits::MAX_SIMULATED_NODES,
                "{name}: at most {} nodes and {} simulated ones",
                limits::MAX_NODES,
                limits::MAX_SIMULATED_NODES
            );
        }
        Ok(())
    }
}

impl ClusterConfig {
    /// A cluster with `nodes` real nodes.
    #[must_use]
    pub fn with_nodes(name: &str, nodes: usize) -> Self {
        Self { name: name.to_owned(), kubernetes: None, nodes, simulated_nodes: 0 }
    }

    /// The same, control plane and nodes at `release`.
    #[must_use]
    pub fn at(self, release: &KubernetesRelease) -> Self {
        Self { kubernetes: Some(release.clone()), ..self }
    }
}

/// The Kubernetes release to build: `$FERRY_KUBERNETES`, such as `1.37`, else the default.
#[must_use]
pub fn kubernetes_release() -> KubernetesRelease {
    std::env::var("FERRY_KUBERNETES").map_or_else(|_| KubernetesRelease::default(), KubernetesRelease)
}

/// The test CSI driver, if cargo has put it beside this program.
#[must_use]
pub fn test_csi() -> Option<PathBuf> {
    beside("test-csi")
}

/// A program of this workspace that cargo has put beside this one: in its folder, or, for a test, above.
#[must_use]
pub fn beside(name: &str) -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file())
}
