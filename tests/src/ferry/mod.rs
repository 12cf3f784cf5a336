//! Ferry itself, installed in a world: controller, one agent for each cluster, the operator's command.
//!
//! Installed as an operator would: the first credential is the one that the controller prints, `ferry login` takes
//! it, join tokens come from `ferry token create`, and each agent talks to its API server as the service account of
//! `deploy/agent` with a token of its own, never as an administrator. So what the tests run is exactly what the
//! manifests allow.
//!
//! All processes belong to the world: they can be killed and started again, and end with it. The other way to install
//! it, as pods by the charts, is [`pods`].

mod agent;
mod cli;
pub mod helm;
pub mod pods;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

pub use cli::{Cli, Output};

use crate::world::{Process, Spec, Wait, World, beside};

/// Where the controller listens inside the world.
pub const ADDRESS: &str = "127.0.0.1:7443";
/// Where the controller serves its metrics.
pub const CONTROLLER_METRICS: &str = "127.0.0.1:9464";
/// Where everything sends spans; nobody has to listen there.
pub const OTLP_ENDPOINT: &str = "127.0.0.1:4317";
/// Port of the first cluster's agent's metrics; the others' follow.
const AGENT_METRICS_PORT: usize = 9465;
/// Time for the controller to listen and for an agent to attach.
const START: Duration = Duration::from_secs(20);

/// An installation.
pub struct Ferry {
    dir: PathBuf,
    controller: Process,
    agents: BTreeMap<String, Process>,
    cli: Cli,
}

impl Ferry {
    /// Installs the controller, logs the operator in, and enrols an agent in every cluster.
    ///
    /// # Errors
    /// A program is not built, a process does not come up, or a step of the installation is refused; the end of
    /// the log that tells is part of the error.
    pub async fn install(world: &World) -> Result<Self> {
        let dir = world.dir().join("ferry");
        std::fs::create_dir_all(dir.join("hold"))?;
        let controller = start_controller(world, &dir)?;
        let credential = first_credential(&controller).await?;
        let cli = Cli::new(program("ferry")?, Self::operator_config(world));
        cli.run(&["login", "--server", ADDRESS, &credential]).await?.success()?;
        let mut ferry = Self { dir, controller, agents: BTreeMap::new(), cli };
        for cluster in world.clusters() {
            let token = ferry.cli.run(&["token", "create", "cluster", cluster.name()]).await?.success()?;
            let process = agent::start(world, cluster, &ferry.dir, token.stdout.trim()).await?;
            ferry.agents.insert(cluster.name().to_owned(), process);
        }
        for cluster in world.clusters() {
            ferry.attached(cluster.name()).await?;
        }
        Ok(ferry)
    }

    /// Where the first operator's credentials lie.
    pub fn operator_config(world: &World) -> PathBuf {
        world.dir().join("ferry/operator")
    }

    /// The operator's command, logged in.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// The controller's process.
    pub fn controller(&self) -> &Process {
        &self.controller
    }

    /// The process of a cluster's agent.
    ///
    /// # Errors
    /// No such cluster.
    pub fn agent(&self, cluster: &str) -> Result<&Process> {
        self.agents.get(cluster).with_context(|| format!("no agent was installed in {cluster}"))
    }

    /// The folder of hold points: a file `step-7` in it keeps an agent at the beginning of step 7, which says so
    /// by `step-7.reached`.
    pub fn hold_dir(&self) -> PathBuf {
        self.dir.join("hold")
    }

    /// Waits until the controller lists a cluster as attached.
    ///
    /// # Errors
    /// It does not within 20 seconds.
    pub async fn attached(&self, cluster: &str) -> Result<()> {
        let wait = Wait::new(format!("cluster {cluster} to be attached"), START).on(&self.controller);
        wait.on(self.agent(cluster)?)
            .until(async || {
                let listed = self.cli.run(&["clusters", "-o", "json"]).await?.success()?;
                Ok(listed.is_attached(cluster)?.then_some(()))
            })
            .await
    }
}

/// Where the agent of a cluster serves its metrics.
///
/// # Errors
/// No such cluster.
pub fn agent_metrics(world: &World, cluster: &str) -> Result<String> {
    let place = world.clusters().iter().position(|other| other.name() == cluster);
    let place = place.with_context(|| format!("the world has no cluster {cluster}"))?;
    Ok(format!("127.0.0.1:{}", AGENT_METRICS_PORT + place))
}

/// What makes a program of ours tell about itself: metrics there, spans, and logs that a program can read.
fn watched(metrics: &str) -> [String; 6] {
    let endpoint = format!("http://{OTLP_ENDPOINT}");
    ["--metrics-listen", metrics, "--otlp-endpoint", &endpoint, "--log-format", "json"].map(str::to_owned)
}

/// A program that cargo put beside this one.
///
/// # Errors
/// It is not built.
pub fn program(name: &str) -> Result<PathBuf> {
    beside(name).with_context(|| format!("{name} is not built: run `make build`"))
}

fn start_controller(world: &World, dir: &Path) -> Result<Process> {
    let data = dir.join("controller").display().to_string();
    let arguments = ["serve", "--data", &data, "--listen", ADDRESS].map(str::to_owned);
    let arguments = arguments.into_iter().chain(watched(CONTROLLER_METRICS));
    let controller = world.process("ferry/controller");
    controller.launch(&Spec::new(&program("ferry-controller")?, arguments))?;
    Ok(controller)
}

async fn first_credential(controller: &Process) -> Result<String> {
    Wait::new("the first operator credential", START)
        .on(controller)
        .until(async || Ok(credential_in(&std::fs::read_to_string(controller.log_path())?)))
        .await
}

/// The token that a controller printed on its very first start, once it listens too.
pub fn credential_in(log: &str) -> Option<String> {
    let command = log.lines().find(|line| line.contains("ferry login --server"))?;
    let token = command.split_whitespace().last()?;
    log.contains("listening on").then(|| token.to_owned())
}
