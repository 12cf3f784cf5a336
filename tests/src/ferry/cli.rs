//! The `ferry` command as a process, as an operator runs it.
//!
//! It has a configuration directory of its own and no terminal, so that what it prints is what a script would
//! read. Its exit code and both outputs are kept whole: tests hold on to the code and to what a person would
//! read.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// A command that takes longer is killed.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The command with one operator's credentials.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    config: PathBuf,
}

/// What a command left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Words for people.
    pub stderr: String,
}

impl Cli {
    /// The program with its configuration folder.
    pub fn new(program: PathBuf, config: PathBuf) -> Self {
        Self { program, config }
    }

    /// Runs it to its end, output captured.
    ///
    /// # Errors
    /// It cannot be started, or takes longer than five minutes. Its own failure is an [`Output`].
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let run = self.command(arguments).stdin(Stdio::null()).output();
        let output = tokio::time::timeout(TIMEOUT, run)
            .await
            .with_context(|| format!("ferry {} did not end within {TIMEOUT:?}", arguments.join(" ")))??;
        Ok(Output {
            command: format!("ferry {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The command, to be run with this process's own terminal or otherwise.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("FERRY_CONFIG", &self.config).kill_on_drop(true);
        command
    }
}

impl Output {
    /// The same output, if it was a success.
    ///
    /// # Errors
    /// The command failed; the error carries what it printed.
    pub fn success(self) -> Result<Self> {
        ensure!(self.code == 0, "{self}");
        Ok(self)
    }

    /// Data as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| self.to_string())
    }

    /// Whether a list of clusters shows one as attached.
    ///
    /// # Errors
    /// It is no list of clusters.
    pub fn is_attached(&self, cluster: &str) -> Result<bool> {
        let listed = self.json()?;
        let clusters = listed["items"].as_array();
        let clusters = clusters.with_context(|| format!("no list of clusters: {self}"))?;
        let named = clusters.iter().find(|listed| listed["name"] == cluster);
        Ok(named.is_some_and(|listed| listed["attached"] == true))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` ended with {}", self.command, self.code)?;
        writeln!(f, "{}{}", self.stdout, self.stderr)
    }
}
