//! The processes of the driver's tests: controllers and nodes, started, spoken to, killed.
//!
//! A node is two processes: one that does nothing but keep the mount namespace, and the driver inside it.
//! Killing the driver leaves the mounts, as a restart of a plugin does; killing both is a power cut. No
//! kubelet takes part: the tests make the calls that it would make, in the orders that it never would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ferry_tests::array::Array;
use ferry_tests::array::proto::csi::controller_client::ControllerClient;
use ferry_tests::array::proto::csi::node_client::NodeClient;
use ferry_tests::array::proto::csi::volume_capability::access_mode::Mode;
use ferry_tests::array::proto::csi::volume_capability::{AccessMode, AccessType, MountVolume};
use ferry_tests::array::proto::csi::{self, CapacityRange, VolumeCapability};
use ferry_tests::array::proto::registration::registration_client::RegistrationClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Target of the only pod of most tests.
pub(crate) const TARGET: &str = "pod";

/// Longest wait for a process to serve, or to end.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for which an operation is asked again.
const AGAIN_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(20);

/// An array in a directory of its own, removed at the end.
pub(crate) struct Rig {
    dir: tempfile::TempDir,
    /// The array that the drivers serve.
    pub(crate) array: Array,
}

/// A volume as a PersistentVolume would describe it.
#[derive(Clone)]
pub(crate) struct Volume {
    pub(crate) handle: String,
    pub(crate) context: HashMap<String, String>,
    pub(crate) secret: Option<String>,
}

fn driver(role: &str, array: &Path, cluster: &str, endpoint: &Path) -> Vec<String> {
    let program = env!("CARGO_BIN_EXE_test-csi");
    let endpoint = format!("unix://{}", endpoint.display());
    let array = array.display().to_string();
    [program, role, "--array", &array, "--cluster", cluster, "--endpoint", &endpoint]
        .map(str::to_owned)
        .to_vec()
}

fn spawn(args: &[String]) -> Result<Child> {
    Command::new(&args[0])
        .args(&args[1..])
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", args.join(" ")))
}

async fn connect(socket: &Path) -> Result<Channel> {
    let started = Instant::now();
    loop {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        match Endpoint::from_static("http://localhost").connect_with_connector(connector).await {
            Ok(channel) => return Ok(channel),
            Err(_) if started.elapsed() < START_TIMEOUT => tokio::time::sleep(RETRY).await,
            Err(e) => return Err(e).with_context(|| format!("nobody serves {}", socket.display())),
        }
    }
}

/// Asks again, as the kubelet does, while the answer is one that time can change.
pub(crate) async fn again(mut operation: impl AsyncFnMut() -> Result<(), Status>) -> Result<()> {
    let started = Instant::now();
    loop {
        match operation().await {
            Ok(()) => return Ok(()),
            Err(status) if started.elapsed() > AGAIN_TIMEOUT => bail!("gave up: {status}"),
            Err(status) if matches!(status.code(), Code::Aborted | Code::FailedPrecondition) => {
                tokio::time::sleep(RETRY).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

fn capability() -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode: Mode::SingleNodeMultiWriter.into() }),
    }
}

impl Rig {
    pub(crate) fn new() -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "this test mounts file systems: run it as root");
        let dir = tempfile::tempdir()?;
        let array = Array::open(dir.path().join("array"))?;
        Ok(Self { dir, array })
    }

    pub(crate) async fn controller(&self, cluster: &str) -> Result<Controller> {
        let socket = self.dir.path().join(format!("{cluster}.sock"));
        let process = spawn(&driver("controller", self.array.dir(), cluster, &socket))?;
        let client = ControllerClient::new(connect(&socket).await?);
        Ok(Controller { client, _process: Arc::new(process) })
    }

    pub(crate) async fn node(&self, cluster: &str, name: &str) -> Result<Node> {
        let home = self.dir.path().join(cluster).join(name);
        std::fs::create_dir_all(&home)?;
        // `cat` ends with its input: the namespace goes with the test even if the test is killed.
        let mut namespace = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start unshare")?;
        let mut ready = [0; 6];
        let stdout = namespace.stdout.as_mut().context("no output of the namespace")?;
        tokio::io::AsyncReadExt::read_exact(stdout, &mut ready).await.context("no mount namespace")?;
        let pid = namespace.id().context("the namespace ended")?;
        let endpoint = home.join("csi.sock");
        let mut args = vec!["nsenter".to_owned(), format!("--mount=/proc/{pid}/ns/mnt")];
        args.extend(driver("node", self.array.dir(), cluster, &endpoint));
        args.extend(["--node".to_owned(), name.to_owned(), "--registration".to_owned()]);
        args.push(format!("unix://{}", home.join("reg.sock").display()));
        let process = spawn(&args)?;
        let client = NodeClient::new(connect(&endpoint).await?);
        let processes = Processes { driver: process, namespace };
        let id = format!("{cluster}/{name}");
        Ok(Node { client, id, home, args, pid, processes: Arc::new(Mutex::new(processes)) })
    }
}

/// The controller of one cluster.
pub(crate) struct Controller {
    client: ControllerClient<Channel>,
    _process: Arc<Child>,
}

impl Controller {
    pub(crate) async fn create(&mut self, name: &str, parameters: &[(&str, &str)]) -> Result<Volume, Status> {
        let request = csi::CreateVolumeRequest {
            name: name.to_owned(),
            capacity_range: Some(CapacityRange { required_bytes: 32 << 20, limit_bytes: 0 }),
            volume_capabilities: vec![capability()],
            parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..csi::CreateVolumeRequest::default()
        };
        let volume = self.client.create_volume(request).await?.into_inner().volume;
        let volume = volume.ok_or_else(|| Status::internal("no volume in the response"))?;
        Ok(Volume { handle: volume.volume_id, context: volume.volume_context, secret: None })
    }

    pub(crate) async fn delete(&mut self, volume: &Volume) -> Result<(), Status> {
        let request = csi::DeleteVolumeRequest {
            volume_id: volume.handle.clone(),
            ..csi::DeleteVolumeRequest::default()
        };
        self.client.delete_volume(request).await.map(drop)
    }

    pub(crate) async fn attach(
        &mut self,
        volume: &Volume,
        node_id: &str,
    ) -> Result<HashMap<String, String>, Status> {
        let request = csi::ControllerPublishVolumeRequest {
            volume_id: volume.handle.clone(),
            node_id: node_id.to_owned(),
            volume_capability: Some(capability()),
            volume_context: volume.context.clone(),
            ..csi::ControllerPublishVolumeRequest::default()
        };
        Ok(self.client.controller_publish_volume(request).await?.into_inner().publish_context)
    }

    pub(crate) async fn detach(&mut self, volume: &Volume, node_id: &str) -> Result<(), Status> {
        let request = csi::ControllerUnpublishVolumeRequest {
            volume_id: volume.handle.clone(),
            node_id: node_id.to_owned(),
            ..csi::ControllerUnpublishVolumeRequest::default()
        };
        self.client.controller_unpublish_volume(request).await.map(drop)
    }

    pub(crate) async fn expand(&mut self, volume: &Volume, bytes: i64) -> Result<(), Status> {
        let request = csi::ControllerExpandVolumeRequest {
            volume_id: volume.handle.clone(),
            capacity_range: Some(CapacityRange { required_bytes: bytes, limit_bytes: 0 }),
            ..csi::ControllerExpandVolumeRequest::default()
        };
        self.client.controller_expand_volume(request).await.map(drop)
    }
}

struct Processes {
    driver: Child,
    namespace: Child,
}

/// One node: its driver, in its mount namespace.
#[derive(Clone)]
pub(crate) struct Node {
    client: NodeClient<Channel>,
    id: String,
    home: PathBuf,
    args: Vec<String>,
    pid: u32,
    processes: Arc<Mutex<Processes>>,
}

impl Node {
    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn endpoint(&self) -> PathBuf {
        self.home.join("csi.sock")
    }

    /// A file in a pod's volume, as seen from outside the node.
    pub(crate) fn file(&self, target: &str, name: &str) -> PathBuf {
        let path = self.home.join(target).join(name);
        PathBuf::from(format!("/proc/{}/root{}", self.pid, path.display()))
    }

    fn staging(&self, volume: &Volume) -> String {
        self.path(&format!("staging-{}", volume.handle))
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    pub(crate) async fn node_id(&mut self) -> Result<String> {
        Ok(self.client.node_get_info(csi::NodeGetInfoRequest {}).await?.into_inner().node_id)
    }

    pub(crate) async fn stage(
        &mut self,
        volume: &Volume,
        context: &HashMap<String, String>,
    ) -> Result<(), Status> {
        let secrets = volume.secret.iter().map(|s| ("token".to_owned(), s.clone())).collect();
        let request = csi::NodeStageVolumeRequest {
            volume_id: volume.handle.clone(),
            publish_context: context.clone(),
            staging_target_path: self.staging(volume),
            volume_capability: Some(capability()),
            volume_context: volume.context.clone(),
            secrets,
        };
        self.client.node_stage_volume(request).await.map(drop)
    }

    pub(crate) async fn unstage(&mut self, volume: &Volume) -> Result<(), Status> {
        let request = csi::NodeUnstageVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: self.staging(volume),
        };
        self.client.node_unstage_volume(request).await.map(drop)
    }

    async fn publish_as(&mut self, volume: &Volume, target: &str, readonly: bool) -> Result<(), Status> {
        let request = csi::NodePublishVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: self.staging(volume),
            target_path: self.path(target),
            volume_capability: Some(capability()),
            volume_context: volume.context.clone(),
            readonly,
            ..csi::NodePublishVolumeRequest::default()
        };
        self.client.node_publish_volume(request).await.map(drop)
    }

    pub(crate) async fn publish(&mut self, volume: &Volume, target: &str) -> Result<(), Status> {
        self.publish_as(volume, target, false).await
    }

    pub(crate) async fn publish_readonly(&mut self, volume: &Volume, target: &str) -> Result<(), Status> {
        self.publish_as(volume, target, true).await
    }

    pub(crate) async fn unpublish(&mut self, volume: &Volume, target: &str) -> Result<(), Status> {
        let request = csi::NodeUnpublishVolumeRequest {
            volume_id: volume.handle.clone(),
            target_path: self.path(target),
        };
        self.client.node_unpublish_volume(request).await.map(drop)
    }

    pub(crate) async fn stats(
        &mut self,
        volume: &Volume,
        target: &str,
    ) -> Result<csi::NodeGetVolumeStatsResponse, Status> {
        let request = csi::NodeGetVolumeStatsRequest {
            volume_id: volume.handle.clone(),
            volume_path: self.path(target),
            ..csi::NodeGetVolumeStatsRequest::default()
        };
        Ok(self.client.node_get_volume_stats(request).await?.into_inner())
    }

    pub(crate) async fn expand(&mut self, volume: &Volume, target: &str) -> Result<(), Status> {
        let request = csi::NodeExpandVolumeRequest {
            volume_id: volume.handle.clone(),
            volume_path: self.path(target),
            ..csi::NodeExpandVolumeRequest::default()
        };
        self.client.node_expand_volume(request).await.map(drop)
    }

    /// Kills the driver; its mounts stay.
    pub(crate) async fn kill_driver(&mut self) -> Result<()> {
        self.processes.lock().await.driver.kill().await.context("cannot kill the driver")
    }

    /// Starts the driver again in the same namespace.
    pub(crate) async fn start_driver(&mut self) -> Result<()> {
        self.processes.lock().await.driver = spawn(&self.args)?;
        self.client = NodeClient::new(connect(&self.endpoint()).await?);
        Ok(())
    }

    /// How the driver ended.
    pub(crate) async fn driver_ended(&mut self) -> Result<ExitStatus> {
        let mut processes = self.processes.lock().await;
        Ok(tokio::time::timeout(START_TIMEOUT, processes.driver.wait())
            .await
            .context("the driver goes on")??)
    }

    /// Kills every process of the node at once.
    pub(crate) fn power_cut(self) -> Result<()> {
        let mut processes = self.processes.try_lock().context("the node is in use")?;
        processes.namespace.start_kill()?;
        processes.driver.start_kill()?;
        Ok(())
    }
}

pub(crate) async fn registration_client(node: &Node) -> Result<RegistrationClient<Channel>> {
    Ok(RegistrationClient::new(connect(&node.home.join("reg.sock")).await?))
}
