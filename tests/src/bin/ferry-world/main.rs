//! `ferry-world`: builds what the test clusters need, and runs commands inside a world of clusters.
//!
//! A command sees the world by its environment: `FERRY_WORLD` (the run directory), `KUBECONFIG` (a context for
//! each cluster), and a `PATH` that begins with this workspace's programs and the clusters' own tools.
//!
//! Only the command line is here. What a world is, and how it ends, stands in `ferry_tests::world`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use ferry_tests::{
    build::{self, KubernetesRelease, Tools},
    world::{self, ClusterConfig, Config, World},
};

#[derive(Parser)]
#[command(about = "Real Kubernetes clusters as plain processes, for tests and for hands-on use")]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build every program and image that the clusters need.
    Build,
    /// Bring up clusters, run a command among them, and take them down; exits with the command's code.
    Run {
        #[command(flatten)]
        shape: Shape,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Bring up clusters and open a shell among them; they end with it.
    Shell {
        #[command(flatten)]
        shape: Shape,
    },
    /// Write the container images of controller and agent, from static programs.
    Images {
        /// The folder with the programs.
        #[arg(long)]
        programs: PathBuf,
        /// The folder for the archives.
        #[arg(long)]
        to: PathBuf,
    },
    /// Clear after runs that died without doing so.
    Sweep,
}

#[derive(Args)]
struct Shape {
    /// The clusters' names.
    #[arg(long, value_delimiter = ',', default_value = "east,west")]
    clusters: Vec<String>,
    /// Nodes of each cluster; 0 makes control planes alone. With --kwok, the number of simulated nodes.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// Simulate the nodes: no containers, no disks.
    #[arg(long)]
    kwok: bool,
    /// Releases of Kubernetes, one for all clusters or one for each in their order, such as 1.33,1.37.
    #[arg(long, value_delimiter = ',')]
    kubernetes: Vec<String>,
    /// Do not start the test CSI driver.
    #[arg(long)]
    no_csi: bool,
}

fn main() -> ExitCode {
    run(Arguments::parse().command).unwrap_or_else(|error| {
        eprintln!("ferry-world: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Build => {
            let tools = build::ensure(&world::kubernetes_release())?;
            for folder in tools.search_path() {
                println!("{}", folder.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Run { shape, command } => inside(&shape, command),
        Verb::Shell { shape } => {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/bash".into());
            inside(&shape, vec![shell])
        }
        Verb::Images { programs, to } => {
            for archive in build::release_images(&programs, &to)? {
                println!("{}", archive.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Sweep => {
            for id in world::sweep()? {
                println!("cleared after run {id}");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn inside(shape: &Shape, words: Vec<OsString>) -> Result<ExitCode> {
    let tools = build::ensure_releases(&shape.releases()?)?;
    let dir = world::enter()?;
    let config = shape.config(tools);
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(World::up(&dir, &config))?;
    let (program, arguments) = words.split_first().context("no command was given")?;
    let status = world
        .command(program)?
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

impl Shape {
    fn releases(&self) -> Result<Vec<KubernetesRelease>> {
        let (releases, clusters) = (self.kubernetes.len(), self.clusters.len());
        ensure!(
            releases <= 1 || releases == clusters,
            "--kubernetes names {releases} releases for {clusters} clusters: name one for all, or one for each"
        );
        if releases == 0 {
            return Ok(vec![world::kubernetes_release()]);
        }
        Ok(self.kubernetes.iter().cloned().map(KubernetesRelease).collect())
    }

    fn config(&self, tools: Tools) -> Config {
        let mut config = Config::two_clusters(tools);
        config.clusters = self
            .clusters
            .iter()
            .enumerate()
            .map(|(index, name)| ClusterConfig {
                name: name.clone(),
                kubernetes: self.kubernetes.get(index).cloned().map(KubernetesRelease),
                nodes: if self.kwok { 0 } else { self.nodes },
                simulated_nodes: if self.kwok { self.nodes } else { 0 },
            })
            .collect();
        if self.no_csi {
            config.test_csi = None;
        }
        config
    }
}
