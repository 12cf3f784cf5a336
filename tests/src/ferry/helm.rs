//! Helm, as a person runs it: the charts of `deploy/charts` in a cluster of the world.
//!
//! The program is upstream's, built with the clusters' own tools. What it keeps (caches, plugins) lies in the run's
//! directory, never in a home directory. A chart is named by its folder; namespace and release are always said.
//!
//! What is installed with it, and when it is up, is for [`super::pods`].

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::world::{Cluster, World};

/// Where the charts lie.
pub const CHARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/charts");
/// The namespace of every release.
pub const NAMESPACE: &str = "ferry-system";
/// A command that takes longer is killed.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The program.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    home: PathBuf,
}

impl Helm {
    /// The world's.
    ///
    /// # Errors
    /// It is not built.
    pub fn of(world: &World) -> Result<Self> {
        Ok(Self { program: world.tools().program("helm")?.to_owned(), home: world.dir().join("helm") })
    }

    /// What it prints when called with `arguments`, on no cluster.
    ///
    /// # Errors
    /// It fails; what it said is the error.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.call(arguments, Path::new("/dev/null")).await
    }

    /// As [`Helm::run`], as the administrator of `cluster` and in Ferry's namespace.
    ///
    /// # Errors
    /// As [`Helm::run`].
    pub async fn on(&self, cluster: &Cluster, arguments: &[&str]) -> Result<String> {
        let arguments = [&["--namespace", NAMESPACE], arguments].concat();
        self.call(&arguments, cluster.kubeconfig()).await
    }

    async fn call(&self, arguments: &[&str], kubeconfig: &Path) -> Result<String> {
        let shown = arguments.iter().take(4).copied().collect::<Vec<_>>().join(" ");
        let child = Command::new(&self.program)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("HELM_CACHE_HOME", self.home.join("cache"))
            .env("HELM_CONFIG_HOME", self.home.join("config"))
            .env("HELM_DATA_HOME", self.home.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start helm")?;
        let output = tokio::time::timeout(TIMEOUT, child.wait_with_output())
            .await
            .with_context(|| format!("helm {shown} did not end within {TIMEOUT:?}"))??;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("helm {shown}: {}\n{stdout}{stderr}", output.status);
        }
        Ok(stdout.into_owned())
    }
}

/// The folder of a chart.
pub fn chart(name: &str) -> String {
    format!("{CHARTS}/{name}")
}
