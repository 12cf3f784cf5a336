//! Runs the few system tools the node needs (mkfs.ext4, e2fsck, resize2fs, mount), each with a time limit.
//!
//! The tools are used instead of the system calls behind them because they carry the knowledge: libmount
//! picks a free loop device and retries when another node took it first, and marks it autoclear in the same
//! step. What a tool wrote to its standard error is part of the error.

use std::io;
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;
use tokio::time::timeout;

use super::limits::COMMAND_TIMEOUT;

/// Why a tool did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("cannot run {program}; install it (Debian: mount, e2fsprogs)")]
    Start {
        /// The tool.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{command}: {status}: {stderr}")]
    Exit {
        /// The tool and its arguments.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// It did not end.
    #[error("{command} did not end within {} s", COMMAND_TIMEOUT.as_secs())]
    Timeout {
        /// The tool and its arguments.
        command: String,
    },
}

/// Runs one tool to its end.
///
/// # Errors
/// It cannot be started, fails, or does not end in time (it is killed then).
pub async fn run(program: &str, args: &[&str]) -> Result<(), CommandError> {
    let command = || format!("{program} {}", args.join(" "));
    let child =
        Command::new(program).args(args).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(COMMAND_TIMEOUT, child).await {
        Err(_) => Err(CommandError::Timeout { command: command() }),
        Ok(Err(source)) => Err(CommandError::Start { program: program.to_owned(), source }),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => Err(CommandError::Exit {
            command: command(),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}
