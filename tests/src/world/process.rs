//! The processes of a world: started from a file, known by number and start time, so that any process inside
//! the world (not only the one that brought it up) can kill one and start it again.
//!
//! `proc/<name>.json` says how to start it, `proc/<name>.pid` which process it is now, `log/<name>.log` what it
//! wrote, appended over restarts. A node's process is started through `nsenter`; its number is the one that
//! the world sees, not the node's.
//!
//! Whoever starts a process reaps it while it lives; after that the world's first process does.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use nix::{errno::Errno, sys::signal::Signal, unistd::Pid};
use serde::{Deserialize, Serialize};

use super::{
    limits,
    run_dir::{first_child, start_time},
};

/// How a process is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Added to the environment of whoever starts it.
    pub env: Vec<(String, String)>,
    /// The process whose namespaces it enters: the first one of a node. None: the world's own.
    pub inside: Option<String>,
}

impl Spec {
    /// `program` (a path, or a name to be found on `PATH`) with `arguments` in the world's own namespaces.
    pub fn new(program: &Path, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let command = std::iter::once(program.display().to_string());
        Self {
            command: command.chain(arguments.into_iter().map(Into::into)).collect(),
            env: Vec::new(),
            inside: None,
        }
    }

    /// The same on the node whose first process is named `first`.
    pub(super) fn on_node(mut self, first: &str) -> Self {
        self.inside = Some(first.to_owned());
        self
    }

    /// The same with a variable set.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

#[derive(Serialize, Deserialize)]
struct Identity {
    pid: i32,
    start: u64,
}

/// A process of the world, running or not.
#[derive(Clone, Debug)]
pub struct Process {
    dir: Arc<Path>,
    name: String,
}

impl Process {
    /// The process `name`, such as `east/kube-apiserver` or `east-1/kubelet`, of the run in `dir`.
    pub(super) fn new(dir: &Arc<Path>, name: &str) -> Self {
        Self { dir: Arc::clone(dir), name: name.to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("log").join(format!("{}.log", self.name))
    }

    /// Its number in the world's PID namespace, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let identity: Identity = serde_json::from_slice(&fs::read(self.file("pid")).ok()?).ok()?;
        (start_time(identity.pid) == Some(identity.start)).then_some(identity.pid)
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.pid().is_some()
    }

    /// Says how it is started from now on, and starts it.
    pub fn launch(&self, spec: &Spec) -> Result<()> {
        let path = self.file("json");
        make_parent(&path)?;
        fs::write(&path, serde_json::to_vec_pretty(spec)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.start()
    }

    /// How it was started last.
    pub fn spec(&self) -> Result<Spec> {
        let path = self.file("json");
        let text =
            fs::read(&path).with_context(|| format!("{} was never started in this world", self.name))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Starts it as it was started before; refused while it runs.
    pub fn start(&self) -> Result<()> {
        if let Some(pid) = self.pid() {
            bail!("{} runs already, as process {pid}: stop or kill it first", self.name);
        }
        let spec = self.spec()?;
        let log_path = self.log_path();
        make_parent(&log_path)?;
        let log = OpenOptions::new().create(true).append(true).open(&log_path)?;
        let mut child = self
            .command(&spec)?
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        let direct = i32::try_from(child.id())?;
        std::thread::spawn(move || child.wait());
        let pid = if spec.inside.is_some() { self.entered(direct)? } else { direct };
        if let Some(start) = start_time(pid) {
            let pid_path = self.file("pid");
            let temporary = pid_path.with_extension("pid.new");
            fs::write(&temporary, serde_json::to_vec(&Identity { pid, start })?)?;
            fs::rename(&temporary, &pid_path)?;
        }
        Ok(())
    }

    fn command(&self, spec: &Spec) -> Result<Command> {
        let (program, arguments) = spec.command.split_first().context("a process without a program")?;
        let Some(first) = &spec.inside else {
            let mut command = Command::new(program);
            command.args(arguments);
            return Ok(command);
        };
        let parent = Process::new(&self.dir, first);
        let node = parent.pid().and_then(first_child);
        let node = node.with_context(|| format!("{} cannot start: its node is down ({first})", self.name))?;
        let mut command = Command::new("nsenter");
        command.args(["-t", &node.to_string(), "--mount", "--pid", "--net", "--uts", "--ipc", "--"]);
        command.arg(program).args(arguments);
        Ok(command)
    }

    /// The process that `nsenter`, itself process `direct`, starts inside a node.
    fn entered(&self, direct: i32) -> Result<i32> {
        let deadline = Instant::now() + limits::SYSTEM_COMMAND;
        loop {
            if let Some(pid) = first_child(direct) {
                return Ok(pid);
            }
            if start_time(direct).is_none() || Instant::now() > deadline {
                bail!("{} could not enter its node\n{}", self.name, self.log_tail());
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Sends a signal; nothing happens if it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        match nix::sys::signal::kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot send {signal} to {}", self.name)),
        }
    }

    /// Ends it at once, as a crash would; returns when it is gone.
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        if self.gone_within(limits::PROCESS_KILLED) {
            return Ok(());
        }
        bail!("{} is still there {:?} after SIGKILL", self.name, limits::PROCESS_KILLED)
    }

    /// Asks it to end and waits; kills it if it does not.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if self.gone_within(limits::PROCESS_STOP) { Ok(()) } else { self.kill() }
    }

    /// Kills it and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start()
    }

    fn gone_within(&self, limit: std::time::Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(limits::POLL);
        }
        true
    }

    /// The last lines that it wrote, under a heading with the log's path.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let path = self.log_path();
        let text = tail(&path).unwrap_or_else(|error| format!("(cannot be read: {error})"));
        format!("--- end of {} ---\n{text}", path.display())
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.dir.join("proc").join(format!("{}.{kind}", self.name))
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limits::LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(limits::LOG_TAIL)..].join("\n"))
}

/// Makes the folder that `path` lies in.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}
