//! A second installation in the world, to be ill-treated: a controller on its own data, and programs run to their end.
//!
//! The world's own controller serves every other case, so what breaks a controller happens to this one. It is a child
//! of the test, not a process of the world, because its exit code is part of what is promised; it ends with its case.
//! Nothing here knows what is wrong with it: cases change its data directory and its arguments.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ferry_tests::ferry::{Cli, Output, credential_in, program};
use ferry_tests::world::{Wait, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Time for a controller to listen, and for a program that fails to end.
const START: Duration = Duration::from_secs(20);

/// A controller of its own.
pub(super) struct Spare {
    dir: PathBuf,
    /// Host and port.
    pub(super) address: String,
    more: Vec<String>,
    child: Option<Child>,
}

impl Spare {
    /// Starts it on `dir/data`, with more arguments.
    pub(super) async fn begin(dir: PathBuf, port: u16, more: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let more = more.iter().map(|&argument| argument.to_owned()).collect();
        let mut spare = Self { dir, address: format!("127.0.0.1:{port}"), more, child: None };
        spare.start().await?;
        Ok(spare)
    }

    /// Starts it again, and waits until it listens.
    pub(super) async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let wait = Wait::new("the spare controller to listen", START);
        wait.until(async || {
            let log = self.log()?;
            if log.contains("listening on") { Ok(Some(())) } else { bail!("{log}") }
        })
        .await
    }

    /// Starts it again, and waits until it has ended.
    pub(super) async fn fails_to_start(&mut self) -> Result<ExitStatus> {
        self.spawn()?;
        self.ended().await
    }

    fn spawn(&mut self) -> Result<()> {
        let log = File::create(self.log_path())?;
        let data = self.data().display().to_string();
        let mut command = Command::new(program("ferry-controller")?);
        command.args(["serve", "--data", &data, "--listen", &self.address]).args(&self.more);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("not started")?;
        Ok(tokio::time::timeout(START, child.wait()).await.context("the spare controller goes on")??)
    }

    /// Stops it as told.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus> {
        let pid = self.child.as_ref().and_then(Child::id).context("not running")?;
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
        self.ended().await
    }

    /// What it has written since its last start.
    pub(super) fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.log_path())?)
    }

    /// The first operator's command, logged in; on the very first start only.
    pub(super) async fn admin(&self) -> Result<Cli> {
        let credential = credential_in(&self.log()?).context("no first credential")?;
        let cli = self.person("admin")?;
        cli.run(&["login", "--server", &self.address, &credential]).await?.success()?;
        Ok(cli)
    }

    /// A person's command, not logged in.
    pub(super) fn person(&self, name: &str) -> Result<Cli> {
        Ok(Cli::new(program("ferry")?, self.dir.join(name)))
    }

    /// The directory of the journal and the CA.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// Runs a program that is expected to end soon.
pub(super) async fn run(world: &World, name: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::from(world.command(program(name)?)?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let line = format!("{name} {}", arguments.join(" "));
    let ended = tokio::time::timeout(START, command.output()).await;
    let output = ended.with_context(|| format!("{line} did not end within {START:?}"))??;
    Ok(Output {
        command: line,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A folder of one case in the run's directory.
pub(super) fn folder(world: &World, case: &str) -> PathBuf {
    world.dir().join("bad-input").join(case)
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.display().to_string()
}
