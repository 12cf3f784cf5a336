//! Worlds of real Kubernetes clusters, as plain processes in namespaces of their own.
//!
//! A program calls [`crate::build::ensure`], then [`enter`], then [`World::up`]; inside, all clusters have the
//! same addresses in every run, no packet leaves, and the end of the program is the end of everything it
//! started. A second program inside (a command of `ferry-world run`) reads the same world by
//! [`World::load`] and has the same powers over it: kill a process and start it again, cut a node's power,
//! boot it.
//!
//! What runs is stock: API servers, kubelets with containers, CoreDNS, upstream's CSI sidecars. What deviates
//! from a stock set-up, and why, stands in `control_plane` and `node_files`.
//!
//! Boundary: no knowledge of Ferry. Controller and agents are started by the tests that need them.

mod address;
mod cgroup;
mod cluster;
mod config;
mod control_plane;
mod csi;
mod dns;
mod enter;
mod kubeconfig;
pub mod limits;
mod network;
mod node;
mod node_files;
mod pki;
mod process;
mod residue;
mod run_dir;
mod start;
mod system;
mod visit;
mod wait;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

pub use cluster::{Cluster, ClusterFacts, KUBECTL_CACHE, KUBECTL_CACHE_DIR};
pub use config::{ClusterConfig, Config, beside, kubernetes_release, test_csi};
pub use csi::{DRIVER, STORAGE_CLASS};
pub use enter::{enter, is_inside};
pub use node::{Node, NodeFacts};
pub use process::{Process, Spec};
pub use residue::sweep;
pub use run_dir::{RunId, WORLD_VARIABLE};
pub use wait::Wait;

use crate::build::Tools;
use network::Station;

/// A running world.
#[derive(Clone, Debug)]
pub struct World {
    shared: Arc<Shared>,
    clusters: Vec<Cluster>,
}

/// What clusters and nodes know of their world.
#[derive(Debug)]
struct Shared {
    id: String,
    dir: Arc<Path>,
    tools: Tools,
    test_csi: Option<PathBuf>,
    images: Vec<PathBuf>,
    stations: Vec<Station>,
    clusters: Vec<ClusterFacts>,
}

/// `world.json`: what a second program needs to find its way.
#[derive(Serialize, Deserialize)]
struct State {
    id: String,
    /// `/proc/self/ns/pid` as seen inside: process numbers mean something only there.
    pid_namespace: PathBuf,
    /// A kubeconfig with a context for each cluster.
    kubeconfig: PathBuf,
    /// The directory that holds the test CSI driver's volumes and log.
    array: PathBuf,
    tools: Tools,
    test_csi: Option<PathBuf>,
    images: Vec<PathBuf>,
    clusters: Vec<ClusterFacts>,
}

const STATE_FILE: &str = "world.json";

impl World {
    /// Brings up the world that `config` asks for in the run directory `dir`, as [`enter`] returned it: returns
    /// when every node is Ready, every DNS server answers and pods can be made.
    pub async fn up(dir: &Path, config: &Config) -> Result<Self> {
        start::up(dir, config).await
    }

    /// The world in the run directory `dir`, brought up by another process or earlier by this one.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(STATE_FILE);
        let text = fs::read(&path).with_context(|| {
            format!("{} cannot be read: is the world up, and is this its directory?", path.display())
        })?;
        let state: State =
            serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if state.pid_namespace != pid_namespace()? {
            bail!(
                "this process is outside of the world in {}: run it by `ferry-world run -- ...`",
                dir.display()
            );
        }
        let shared = Shared::new(dir, state.id, state.tools, state.test_csi, state.images, state.clusters);
        Ok(Self::of(shared))
    }

    /// The world that this process runs in, by `$FERRY_WORLD`.
    pub fn from_env() -> Result<Self> {
        let dir = std::env::var_os(WORLD_VARIABLE)
            .with_context(|| format!("{WORLD_VARIABLE} is not set: run this by `ferry-world run -- ...`"))?;
        Self::load(Path::new(&dir))
    }

    /// The run directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The programs that the world runs.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.shared.tools
    }

    /// The directory of the array that all clusters reach.
    #[must_use]
    pub fn array_dir(&self) -> PathBuf {
        csi::array_dir(&self.shared.dir)
    }

    /// A kubeconfig with a context for each cluster, the first one current.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig_path(&self.shared.dir)
    }

    /// Its clusters, in the order of the configuration.
    #[must_use]
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// The cluster named `name`.
    pub fn cluster(&self, name: &str) -> Result<&Cluster> {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name);
        found.with_context(|| format!("this world has no cluster {name}"))
    }

    /// A process of the caller's own (a controller, an agent, a client) in the world: its log lies with the
    /// others, and any program inside can kill it and start it again. `name` is a path such as `ferry/agent`.
    #[must_use]
    pub fn process(&self, name: &str) -> Process {
        Process::new(&self.shared.dir, name)
    }

    fn of(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let clusters = shared
            .clusters
            .iter()
            .map(|facts| Cluster { facts: facts.clone(), shared: Arc::clone(&shared) })
            .collect();
        Self { shared, clusters }
    }

    fn save(&self) -> Result<()> {
        let shared = &self.shared;
        let state = State {
            id: shared.id.clone(),
            pid_namespace: pid_namespace()?,
            kubeconfig: self.kubeconfig(),
            array: self.array_dir(),
            tools: shared.tools.clone(),
            test_csi: shared.test_csi.clone(),
            images: shared.images.clone(),
            clusters: shared.clusters.clone(),
        };
        let path = shared.dir.join(STATE_FILE);
        let temporary = path.with_extension("new");
        fs::write(&temporary, serde_json::to_vec_pretty(&state)?)?;
        fs::rename(&temporary, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Shared {
    fn new(
        dir: &Path,
        id: String,
        tools: Tools,
        test_csi: Option<PathBuf>,
        images: Vec<PathBuf>,
        clusters: Vec<ClusterFacts>,
    ) -> Self {
        let stations = clusters
            .iter()
            .flat_map(|cluster| &cluster.nodes)
            .filter_map(|node| {
                let (address, pods) = (node.ip?, node.pod_cidr.clone()?);
                Some(Station { node: node.name.clone(), address, pods })
            })
            .collect();
        Self { id, dir: Arc::from(dir), tools, test_csi, images, stations, clusters }
    }

    /// The cluster that `node` belongs to.
    fn cluster_of(&self, node: &str) -> Result<&ClusterFacts> {
        let has = |cluster: &&ClusterFacts| cluster.nodes.iter().any(|facts| facts.name == node);
        self.clusters.iter().find(has).with_context(|| format!("no cluster has a node {node}"))
    }

    /// One of Kubernetes' own programs at the release of a cluster.
    fn kubernetes_program(&self, cluster: &ClusterFacts, name: &str) -> Result<&Path> {
        match &cluster.kubernetes {
            Some(release) => self.tools.kubernetes_program(release, name),
            None => self.tools.program(name),
        }
    }

    /// The API server's address of the cluster `name`.
    fn server(&self, name: &str) -> &str {
        self.clusters
            .iter()
            .find(|cluster| cluster.name == name)
            .map_or("", |cluster| cluster.server.as_str())
    }
}

fn kubeconfig_path(dir: &Path) -> PathBuf {
    dir.join("kubeconfig")
}

fn pid_namespace() -> Result<PathBuf> {
    fs::read_link("/proc/self/ns/pid").context("cannot read /proc/self/ns/pid")
}
