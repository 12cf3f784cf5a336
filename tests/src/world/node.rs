//! A node: namespaces of its own with a kubelet, a container runtime, a proxy and the CSI driver's node part.
//!
//! Its disk is a directory of the run. Its power can be cut (everything in it is gone at once, the disk stays)
//! and it can boot again; its link can be cut while it goes on; and each of its processes can be killed alone.
//!
//! A simulated node has none of this: kwok says that it is Ready and that its pods run.

use std::{fs, net::Ipv4Addr, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    Shared, cgroup, limits,
    network::{self, Station},
    process::{Process, Spec},
    run_dir::first_child,
    wait::Wait,
};

/// What is known of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name in the API, and its host name.
    pub name: String,
    /// Its address on the bridge; a simulated node has none.
    pub ip: Option<Ipv4Addr>,
    /// The range of its pods.
    pub pod_cidr: Option<String>,
}

/// A node of a cluster.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) facts: NodeFacts,
    pub(super) shared: Arc<Shared>,
}

/// Sockets by which the kubelet finds CSI drivers; a stale one would delay it.
const REGISTRY: &str = "kubelet/plugins_registry";
const FIRST: &str = "first-process";
const CONTAINERD: &str = "containerd";
const KUBELET: &str = "kubelet";
const KUBE_PROXY: &str = "kube-proxy";
const TEST_CSI: &str = "test-csi";

impl Node {
    /// Its name in the API.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Its address on the bridge; a simulated node has none.
    #[must_use]
    pub fn ip(&self) -> Option<Ipv4Addr> {
        self.facts.ip
    }

    /// Whether kwok only simulates it.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.facts.ip.is_none()
    }

    /// One of its processes: `kubelet`, `containerd`, `kube-proxy`, `test-csi`.
    #[must_use]
    pub fn process(&self, name: &str) -> Process {
        Process::new(&self.shared.dir, &format!("{}/{name}", self.facts.name))
    }

    /// Its disk: what survives a power cut.
    #[must_use]
    pub fn disk(&self) -> PathBuf {
        self.shared.dir.join("node").join(&self.facts.name)
    }

    /// The world's number of its process 1, through which `nsenter -t <pid> -a` enters the node.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.process(FIRST).pid().and_then(first_child)
    }

    /// Ends everything on the node at once, containers and mounts included, as a power failure does. The disk
    /// stays; nothing tells the cluster.
    pub fn cut_power(&self) -> Result<()> {
        self.process(FIRST).kill()?;
        for name in [CONTAINERD, KUBELET, KUBE_PROXY, TEST_CSI] {
            // They died with their process 1; what is waited for is that the kernel has buried them.
            self.process(name).kill()?;
        }
        Ok(())
    }

    /// Boots the node from its disk after [`Node::cut_power`]; returns when its runtime answers and its
    /// kubelet is started. When it is Ready is for [`super::Cluster::wait_node_ready`].
    pub async fn boot(&self) -> Result<()> {
        self.start_runtime().await?;
        self.start_kubelet()
    }

    /// Cuts the node's link, or joins it again.
    pub fn set_link(&self, up: bool) -> Result<()> {
        network::set_link(&self.station()?, up)
    }

    fn station(&self) -> Result<Station> {
        let NodeFacts { name, ip: Some(address), pod_cidr: Some(pods) } = self.facts.clone() else {
            bail!("{} is simulated: it has no link, no disk and no processes", self.facts.name);
        };
        Ok(Station { node: name, address, pods })
    }

    /// Makes the node's namespaces and starts its runtime, up to the point where its images are imported.
    pub(super) async fn start_runtime(&self) -> Result<()> {
        let station = self.station()?;
        if let Some(pid) = self.pid() {
            bail!("{} runs already, its first process is {pid}: cut its power first", self.facts.name);
        }
        let (run, disk) = (&self.shared.id, self.disk());
        cgroup::remove_node(run, &self.facts.name)?;
        cgroup::create(run, &self.facts.name)?;
        let plugin = disk.join("kubelet/plugins").join(super::csi::DRIVER);
        for volatile in [&disk.join("run"), &disk.join(REGISTRY), &disk.join("up"), &plugin] {
            let _ = if volatile.is_dir() { fs::remove_dir_all(volatile) } else { fs::remove_file(volatile) };
        }
        for made in [&disk.join(REGISTRY), &plugin] {
            fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        network::attach(&station, &self.shared.stations)?;

        let first = self.process(FIRST);
        first.launch(&self.first_process(&station, &disk))?;
        Wait::new(format!("the namespaces of {}", self.facts.name), limits::RUNTIME_READY)
            .on(&first)
            .until(async || Ok(disk.join("up").exists().then_some(())))
            .await?;

        let containerd = self.process(CONTAINERD);
        containerd.launch(&self.containerd(&disk)?)?;
        let mut attempt = 0_u32;
        for archive in self.shared.images.iter() {
            attempt += 1;
            let import = self.process(&format!("import-{attempt}"));
            import.launch(&self.import(archive)?)?;
            Wait::new(format!("{} imports {}", self.facts.name, archive.display()), limits::RUNTIME_READY)
                .on(&containerd)
                .until(async || Ok((!import.is_alive()).then_some(())))
                .await?;
            let log = fs::read_to_string(import.log_path()).unwrap_or_default();
            if !log.lines().any(|line| line == IMPORTED) {
                bail!("{} cannot import {}\n{}", self.facts.name, archive.display(), import.log_tail());
            }
        }
        Ok(())
    }

    /// Starts what talks to the API server.
    pub(super) fn start_kubelet(&self) -> Result<()> {
        let etc = self.disk().join("etc");
        let file = |name: &str| etc.join(name).display().to_string();
        let name = self.facts.name.as_str();
        let cluster = self.shared.cluster_of(name)?;
        let program = |program: &str| self.shared.kubernetes_program(cluster, program);
        let address = self.station()?.address.to_string();
        let kubelet = [
            "--config".to_owned(),
            file("kubelet.json"),
            "--kubeconfig".to_owned(),
            file("kubelet.kubeconfig"),
            format!("--node-ip={address}"),
            format!("--hostname-override={name}"),
            format!("--cert-dir={}", self.disk().join("pki").display()),
            "--v=2".to_owned(),
        ];
        self.process(KUBELET).launch(&self.here(Spec::new(program("kubelet")?, kubelet)))?;
        let proxy = Spec::new(program("kube-proxy")?, ["--config".to_owned(), file("kube-proxy.json")]);
        self.process(KUBE_PROXY).launch(&self.here(proxy))?;
        if let Some(driver) = &self.shared.test_csi {
            self.process(TEST_CSI).launch(&self.here(super::csi::node_part(
                &self.shared,
                driver,
                &cluster.name,
                name,
            )))?;
        }
        Ok(())
    }

    fn first_process(&self, station: &Station, disk: &std::path::Path) -> Spec {
        let namespace = format!("--net=/run/netns/{}", station.namespace());
        // Not `ip netns exec`: it mounts a new /sys, which hides the cgroups.
        let mut arguments = vec![namespace, "unshare".to_owned()];
        let unshare = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"];
        arguments.extend(unshare.map(str::to_owned));
        arguments.extend(["--propagation", "private", "--", "/bin/sh"].map(str::to_owned));
        arguments.push(disk.join("etc/init.sh").display().to_string());
        Spec::new(std::path::Path::new("nsenter"), arguments)
    }

    fn containerd(&self, disk: &std::path::Path) -> Result<Spec> {
        let program = self.shared.tools.program("containerd")?;
        let folder = program.parent().context("containerd lies in no folder")?.display();
        // The runtime finds its shim on PATH.
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
        let arguments = ["--config".to_owned(), disk.join("etc/containerd.toml").display().to_string()];
        Ok(self.here(Spec::new(program, arguments)).with_env("PATH", path))
    }

    /// Imports an archive as soon as the runtime answers; the last line of its log says that it did.
    fn import(&self, archive: &std::path::Path) -> Result<Spec> {
        let ctr =
            format!("'{}' -a /run/containerd/containerd.sock", self.shared.tools.program("ctr")?.display());
        let script = format!(
            "until [ -S /run/containerd/containerd.sock ] && {ctr} version >/dev/null 2>&1; do sleep 0.05; done\n\
             {ctr} -n k8s.io images import --local '{}' && echo {IMPORTED}",
            archive.display()
        );
        Ok(self.here(Spec::new(std::path::Path::new("/bin/sh"), ["-c".to_owned(), script])))
    }

    fn here(&self, spec: Spec) -> Spec {
        spec.on_node(&format!("{}/{FIRST}", self.facts.name))
    }
}

const IMPORTED: &str = "ferry: imported";
