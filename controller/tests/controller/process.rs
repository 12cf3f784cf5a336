//! Controllers as processes: started, killed, terminated, and never left behind.
//!
//! A controller is up when it has printed its address. The data directory is a value of its own, so that one
//! controller can be started after another on it; a controller that is dropped is killed and reaped. A full disk is
//! made with the limit on file sizes, which needs no privileges: the write fails with an error, in the same place.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Longest wait for anything a controller does promptly.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A data directory that outlives the controllers on it.
pub(crate) struct Data(TempDir);

impl Data {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path().join("journal.redb")
    }

    /// Starts a controller and waits until it listens.
    pub(crate) fn start(&self) -> Result<Controller> {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Result<Controller> {
        let mut command = Command::new(BINARY);
        command.args(self.arguments("127.0.0.1:0")).args(arguments);
        Controller::spawn(command)
    }

    /// Starts a controller where another one listened before.
    pub(crate) fn start_at(&self, address: SocketAddr) -> Result<Controller> {
        let mut command = Command::new(BINARY);
        command.args(self.arguments(&address.to_string()));
        Controller::spawn(command)
    }

    /// Starts a controller whose files may not grow beyond so many blocks of 512 bytes: a full disk.
    pub(crate) fn start_on_full_disk(&self, blocks: u32) -> Result<Controller> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""))
            .arg(BINARY)
            .args(self.arguments("127.0.0.1:0"));
        Controller::spawn(command)
    }

    /// Starts a controller that is expected not to come up: its exit code and what it said.
    pub(crate) fn fail(&self) -> Result<(Option<i32>, String)> {
        let output = Command::new(BINARY).args(self.arguments("127.0.0.1:0")).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn arguments(&self, listen: &str) -> [String; 5] {
        let data = self.path().display().to_string();
        ["serve".into(), "--data".into(), data, "--listen".into(), listen.into()]
    }

    /// The CA that controllers here show.
    pub(crate) fn ca(&self) -> Result<String> {
        fs::read_to_string(self.path().join("ca.pem")).context("the CA")
    }
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ferry-controller");

/// A controller that runs.
pub(crate) struct Controller {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where its metrics are, if anywhere.
    pub(crate) metrics: Option<SocketAddr>,
    /// The token of the first credential, if this was the first start.
    pub(crate) first_token: Option<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Controller {
    fn spawn(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("RUST_LOG", "info").spawn()?;
        let stdout = child.stdout.take().context("stdout")?;
        let stderr = child.stderr.take().context("stderr")?;
        let stderr = std::thread::spawn(|| drain(stderr));
        let (lines, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let (mut first_token, mut metrics) = (None, None);
        loop {
            let Ok(line) = said.recv_timeout(DEADLINE) else {
                let _ended = child.kill();
                child.wait()?;
                bail!("the controller did not come up: {}", stderr.join().unwrap_or_default());
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                let (address, stderr) = (address.parse()?, Some(stderr));
                return Ok(Self { child, address, metrics, first_token, stderr });
            }
            if let Some(address) = line.strip_prefix("metrics on http://") {
                metrics = Some(address.trim_end_matches("/metrics").parse()?);
                continue;
            }
            let rest = line.strip_prefix("First operator credential (shown once): ferry login --server ");
            first_token =
                Some(rest.context("an unexpected line")?.split(' ').nth(1).context("token")?.into());
        }
    }

    /// Ends it without a chance to clean up.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end; how it did.
    pub(crate) fn terminate(mut self) -> Result<ExitStatus> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.wait()
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("the controller goes on");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it like [`Controller::kill`]; what it wrote to standard error.
    pub(crate) fn end(&mut self) -> Result<String> {
        self.child.kill()?;
        self.child.wait()?;
        self.stderr()
    }

    /// What it wrote to standard error, after it ended.
    pub(crate) fn stderr(&mut self) -> Result<String> {
        let reading = self.stderr.take().context("it was read already")?;
        reading.join().map_err(|_| anyhow::anyhow!("standard error could not be read"))
    }
}

/// Reads all that is written, as it is written: a program whose log nobody reads stands still when the pipe is full.
fn drain(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    // What was read before an error is what a test wants to see.
    let _broken = stderr.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
