//! Runs the binary as a person would.
//!
//! A [`Person`] is a directory for the credential and nothing else: the environment is cleared, so that neither colours
//! nor a developer's own login can leak in. Streams are pipes, which is how scripts see the command; what only a terminal
//! shows is tested as text where it is rendered. Every run has a deadline, and a process left behind is killed.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

use crate::controller::Controller;

/// Longest that any command may take here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine on which somebody uses the command: its credential's place.
pub(crate) struct Person {
    home: tempfile::TempDir,
}

impl Person {
    /// Somebody who is not logged in.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { home: tempfile::tempdir()? })
    }

    /// Somebody who is.
    pub(crate) async fn logged_in(controller: &Controller, identity: &str) -> Result<Self> {
        let person = Self::new()?;
        let token = controller.token(identity);
        let done = person.run(&["login", "--server", &controller.address.to_string(), &token]).await?;
        anyhow::ensure!(done.code == 0, "login: {}", done.err);
        Ok(person)
    }

    /// The credential's file.
    pub(crate) fn config(&self) -> std::path::PathBuf {
        self.home.path().join("config.json")
    }

    /// Changes one field of the credential.
    pub(crate) fn edit(&self, field: &str, value: serde_json::Value) -> Result<()> {
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(self.config())?)?;
        config[field] = value;
        Ok(std::fs::write(self.config(), config.to_string())?)
    }

    /// One field of the credential.
    pub(crate) fn field(&self, field: &str) -> Result<serde_json::Value> {
        let config: serde_json::Value = serde_json::from_slice(&std::fs::read(self.config())?)?;
        Ok(config[field].clone())
    }

    /// Starts `ferry`, its streams in pipes.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        self.spawn_as(Path::new(env!("CARGO_BIN_EXE_ferry")), arguments)
    }

    fn spawn_as(&self, binary: &Path, arguments: &[&str]) -> Result<Child> {
        Command::new(binary)
            .args(arguments)
            .env_clear()
            .env("FERRY_CONFIG", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("ferry does not start")
    }

    /// Runs `ferry` to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Done> {
        finish(self.spawn(arguments)?).await
    }

    /// Runs `kubectl-ferry`.
    pub(crate) async fn run_kubectl(&self, arguments: &[&str]) -> Result<Done> {
        finish(self.spawn_as(Path::new(env!("CARGO_BIN_EXE_kubectl-ferry")), arguments)?).await
    }

    /// Runs `ferry` with this on its standard input.
    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Result<Done> {
        let mut child = self.spawn(arguments)?;
        child.stdin.take().context("no stdin")?.write_all(input.as_bytes()).await?;
        finish(child).await
    }
}

/// Waits for the end.
pub(crate) async fn finish(child: Child) -> Result<Done> {
    let Output { status, stdout, stderr } =
        timeout(PATIENCE, child.wait_with_output()).await.context("ferry does not end")??;
    Ok(Done {
        code: status.code().context("ferry was killed")?,
        out: String::from_utf8(stdout)?,
        err: String::from_utf8(stderr)?,
    })
}

/// What it did.
#[derive(Debug)]
pub(crate) struct Done {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Done {
    /// Asserts the exit code and texts on standard error.
    pub(crate) fn failed_with(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.err.contains(text), "expected `{text}` in {}", self.err);
        }
    }
}
