//! Runs a command to its end within a bound, with all that it starts; nothing outlives the call.
//!
//! A compiler starts children of its own, so a command gets a process group, and what is killed is the group.
//! Its output is read by threads, for a full pipe would stop it.
//!
//! For the long commands of a build; the short ones of a world are called by `world::system`.

use std::{
    io::Read,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::limits;

const POLL: Duration = Duration::from_millis(5);
/// Words of the command line that an error shows.
const SHOWN_WORDS: usize = 3;

/// The output of `command`, which gets no input; when it fails, the end of its output is the error.
pub(super) fn run(mut command: Command, limit: Duration) -> Result<String> {
    let words = command.get_args().take(SHOWN_WORDS).map(|word| word.to_string_lossy());
    let shown =
        std::iter::once(command.get_program().to_string_lossy()).chain(words).collect::<Vec<_>>().join(" ");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            let _ = killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL);
            let _ = child.wait();
            bail!("{shown} did not end within {limit:?}");
        }
        std::thread::sleep(POLL);
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    if !status.success() {
        let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
        let end = lines[lines.len().saturating_sub(limits::ERROR_LINES)..].join("\n");
        bail!("{shown}: {status}\n{end}");
    }
    Ok(stdout)
}

type Reader = JoinHandle<std::io::Result<Vec<u8>>>;

fn drain(stream: Option<impl Read + Send + 'static>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn text(reader: Reader) -> Result<String> {
    let bytes = reader.join().map_err(|_| anyhow!("the reader of a command's output panicked"))??;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
