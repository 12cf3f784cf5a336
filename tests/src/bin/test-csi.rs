//! `test-csi`: the CSI driver of the test array, as a controller, as a node plugin, or as both for
//! csi-sanity.
//!
//! All clusters of a world share one directory, the array; each has a controller of its own, each node a
//! plugin of its own. The program reads its options, opens the array and serves sockets; what is allowed is
//! decided by the rules in the library. It ends on SIGTERM; killed, it leaves nothing that its next start
//! could not take up.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use ferry_tests::array::driver::{ControllerService, NodeService, Sockets, serve};
use ferry_tests::array::store::Asked;
use ferry_tests::array::{Array, Op, Outcome, Seat, rules};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// CSI driver over a directory that several clusters share.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serve the controller of one cluster.
    Controller {
        #[command(flatten)]
        common: Common,
    },
    /// Serve one node, and register with its kubelet.
    Node {
        #[command(flatten)]
        common: Common,
        /// Name of the node.
        #[arg(long)]
        node: String,
        /// Socket for the kubelet's plugin watcher; its name must hold an `@`, as in csi@NAME-reg.sock.
        #[arg(long, value_parser = socket)]
        registration: Option<PathBuf>,
    },
    /// Serve controller and node on one socket.
    All {
        #[command(flatten)]
        common: Common,
        /// Name of the node.
        #[arg(long, default_value = "node")]
        node: String,
    },
}

#[derive(Args, Debug)]
struct Common {
    /// Directory of the array; made when missing.
    #[arg(long)]
    array: PathBuf,
    /// Name of the cluster.
    #[arg(long)]
    cluster: String,
    /// CSI socket, a path or unix://PATH.
    #[arg(long, value_parser = socket)]
    endpoint: PathBuf,
}

fn socket(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text.strip_prefix("unix://").unwrap_or(text));
    if path.is_absolute() { Ok(path) } else { Err(format!("{text}: expected unix:// and an absolute path")) }
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let (common, seat, controls, registration) = match Cli::parse().role {
        Role::Controller { common } => (common, None, true, None),
        Role::Node { common, node, registration } => {
            let seat = Seat::new(&common.cluster, node);
            (common, Some(seat), false, registration)
        }
        Role::All { common, node } => {
            let seat = Seat::new(&common.cluster, node);
            (common, Some(seat), true, None)
        }
    };
    let array = Array::open(&common.array).context("cannot open the array")?;
    if let Some(seat) = &seat {
        let asked = Asked::new(Op::RegisterNode, "", &seat.cluster).on(seat);
        array.decide(asked, Outcome::Ok, |state| Ok(rules::register_node(state, seat)))??;
    }
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let stopper = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stopper.cancel();
    });
    let controller = controls.then(|| ControllerService::new(array.clone(), &common.cluster));
    let node = seat.map(|seat| NodeService::new(array.clone(), seat));
    let sockets = Sockets { endpoint: common.endpoint, registration };
    tracing::info!(endpoint = %sockets.endpoint.display(), array = %array.dir().display(), "serving");
    serve(&sockets, controller, node, stop).await.context("the driver stopped")
}
