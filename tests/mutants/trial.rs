//! One layer, once: built, then run to its end or its bound.
//!
//! Building and running are apart, so that a fault which does not compile is told from one that a test caught. What a
//! run says goes to a file; from that comes the name of the first test that failed. Then nothing more is to be learnt:
//! the run gets a moment to end by itself, and is ended with everything that it started, as it is at its bound and when
//! this program is told to end. It leads a process group of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use crate::layers::Layer;

/// How often it is looked whether a test has failed.
const POLL: Duration = Duration::from_millis(500);
/// How long a run may go on after a test has failed.
const GRACE: Duration = Duration::from_secs(15);
/// How long what is to be built may take: the first time that is every dependency.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// What properties draw their cases from.
const CASES: &str = "1";

/// How a layer's run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every test passed.
    Passed,
    /// One did not: its name.
    Failed(String),
    /// It took longer than it may.
    Endless,
    /// It does not compile; where what the compiler said is.
    Unbuildable(PathBuf),
}

/// How a run of cargo ended.
enum Run {
    By(ExitStatus),
    AfterFailure,
    AtBound,
    Told,
}

/// Where layers are built and run.
pub(crate) struct Bench<'a> {
    /// The copy of the sources.
    pub(crate) tree: &'a Path,
    /// The build's folder, kept from run to run.
    pub(crate) build: &'a Path,
    /// Where what cargo says is kept.
    pub(crate) logs: &'a Path,
}

impl Bench<'_> {
    /// Builds and runs the layer on the copy as it is now; `name` is what its output is kept under.
    pub(crate) async fn run(&self, layer: &Layer, name: &str) -> Result<Ended> {
        let place = |doing: &str| self.logs.join(format!("{name}.{}.{doing}.log", layer.name));
        let (built, ran) = (place("build"), place("run"));
        match self.cargo(layer.build, BUILD, &built).await? {
            Run::By(status) if status.success() => {}
            _ => return Ok(Ended::Unbuildable(built)),
        }
        let run = self.cargo(layer.run, layer.bound, &ran).await?;
        let test = || failed(&fs::read_to_string(&ran).unwrap_or_default());
        Ok(match run {
            Run::By(status) if status.success() => Ended::Passed,
            Run::By(status) => Ended::Failed(test().unwrap_or_else(|| format!("it ended with {status}"))),
            Run::AfterFailure | Run::AtBound | Run::Told => test().map_or(Ended::Endless, Ended::Failed),
        })
    }

    async fn cargo(&self, arguments: &[&str], bound: Duration, log: &Path) -> Result<Run> {
        let out = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut cargo = Command::new("cargo");
        // What cargo told this program of its own package says nothing about the copy.
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            if name.starts_with("CARGO_") && name != "CARGO_HOME" {
                cargo.env_remove(&variable);
            }
        }
        cargo.current_dir(self.tree).args(arguments).env("CARGO_TARGET_DIR", self.build);
        // The same cases for each mutant as without any: what fails then is the fault's doing, and no luck of the draw.
        cargo.env("PROPTEST_RNG_SEED", CASES);
        cargo.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out).process_group(0);
        let (mut told, mut interrupted) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut child = cargo.spawn().context("cargo does not run")?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let run = tokio::select! {
            status = child.wait() => return Ok(Run::By(status?)),
            () = failure(log) => Run::AfterFailure,
            () = sleep_until(Instant::now() + bound) => Run::AtBound,
            _ = told.recv() => Run::Told,
            _ = interrupted.recv() => Run::Told,
        };
        let by_itself = match run {
            Run::AfterFailure => tokio::time::timeout(GRACE, child.wait()).await.ok().transpose()?,
            Run::By(_) | Run::AtBound | Run::Told => None,
        };
        if let (None, Some(group)) = (by_itself, group) {
            end(group)?;
            child.wait().await?;
        }
        if matches!(run, Run::Told) {
            bail!("told to end");
        }
        Ok(by_itself.map_or(run, Run::By))
    }
}

/// Waits until a test has failed, by what the run says.
async fn failure(log: &Path) {
    while fs::read_to_string(log).ok().and_then(|said| tests(&said).next()).is_none() {
        sleep(POLL).await;
    }
}

/// Ends a run with everything that it started.
fn end(group: Pid) -> Result<()> {
    match killpg(group, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("cannot end a run"),
    }
}

/// Tests that failed, as libtest and libtest-mimic say it.
fn tests(said: &str) -> impl Iterator<Item = String> {
    said.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.split(" ... ").next()?.trim();
        line.trim_end().ends_with("FAILED").then(|| name.to_owned())
    })
}

/// The first test that failed; else what else speaks of a failure.
fn failed(said: &str) -> Option<String> {
    let is_word = |line: &&str| ["breaks:", "not as expected", "panicked"].iter().any(|of| line.contains(of));
    let word = || said.lines().find(is_word).map(|line| line.trim().chars().take(120).collect());
    tests(said).next().or_else(word)
}
