//! Calls of the system's own commands (`ip`, `losetup`), bounded like everything else.
//!
//! They make links and let go of devices, for which the commands are better kept than any binding to the
//! kernel's interfaces would be. `ip` is fed a batch: one process for a node's whole network.
//!
//! Each call is short and its output small, so it is simply waited for.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::limits;

/// Runs `command` with `input`, to its end or its bound. The result is what it printed.
pub(super) fn call(command: &mut Command, input: &str) -> Result<String> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("{shown} reads no input"))?;
    }
    let deadline = Instant::now() + limits::SYSTEM_COMMAND;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{shown} did not end within {:?}", limits::SYSTEM_COMMAND);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    if !status.success() {
        bail!("{shown}: {status}: {}\n{input}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}
