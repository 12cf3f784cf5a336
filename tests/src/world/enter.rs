//! The outer set of namespaces, and the three lives of a process that enters it.
//!
//! [`enter`] runs the calling program again inside network, mount and PID namespaces of its own. Outside, the
//! first life waits, passes signals on and clears up; inside, the second is process 1, makes the private file
//! systems and reaps; the third is the caller's own program, the only one to which [`enter`] returns.
//!
//! Death is complete from either end: process 1 takes everything inside with it, and the outer life's own end
//! kills process 1 (`setpriv --pdeathsig`, `unshare --kill-child`), SIGKILL included.
//!
//! Private are `/run` (named namespaces, sockets, locks) and `/var/lib` (an overlay: the nodes' mount points
//! appear in it, never on the machine's disk).

use std::{
    fs,
    io::IsTerminal,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    limits,
    residue::{self, Keep},
    run_dir::{self, RunId, WORLD_VARIABLE, first_child},
    system::call,
};

const STAGE_VARIABLE: &str = "FERRY_WORLD_STAGE";
const FIRST_PROCESS: &str = "first-process";
const INSIDE: &str = "inside";
/// Exit code when the namespaces could not be made or cleared.
const OUTER_FAILURE: i32 = 125;

/// Where the world's own sockets lie: short, for a socket's path holds 107 bytes.
pub(super) const SOCKETS: &str = "/run/ferry";

/// Enters the outer namespaces and returns the run's directory. Called first thing in `main`, before any
/// thread is started and after [`crate::build::ensure`]: inside there is no network.
///
/// In a process that is inside already (a command of `ferry-world run`) nothing is entered again.
pub fn enter() -> Result<PathBuf> {
    match std::env::var(STAGE_VARIABLE).as_deref() {
        Ok(INSIDE) => std::env::var_os(WORLD_VARIABLE)
            .map(PathBuf::from)
            .with_context(|| format!("{STAGE_VARIABLE} is set and {WORLD_VARIABLE} is not: unset both")),
        Ok(FIRST_PROCESS) => std::process::exit(first_process()?),
        Ok(other) => bail!("{STAGE_VARIABLE}={other:?} is no stage of a world: unset it"),
        Err(_) => std::process::exit(outer()?),
    }
}

/// Whether this process is inside a world.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var(STAGE_VARIABLE).as_deref() == Ok(INSIDE)
}

fn outer() -> Result<i32> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "a world needs root: it makes namespaces, mounts and cgroups of its own"
    );
    for id in residue::sweep()? {
        eprintln!("world: cleared after run {id}, which had died");
    }
    let id = RunId::of_this_process()?;
    let dir = run_dir::create(&id)?;
    let outcome = run_inside(&dir);
    // Logs are worth keeping exactly when something went wrong.
    let succeeded = matches!(outcome, Ok(0));
    let cleared = residue::clear(&id, if succeeded { Keep::Nothing } else { Keep::Logs });
    if !succeeded {
        eprintln!("world: logs are in {}", dir.join("log").display());
    }
    match (outcome, cleared) {
        (Ok(code), Ok(())) => Ok(code),
        (Err(error), Ok(())) => Err(error),
        (outcome, Err(error)) => {
            eprintln!("world: not all could be cleared: {error:#}; `ferry-world sweep` tries again");
            Ok(outcome.ok().filter(|code| *code != 0).unwrap_or(OUTER_FAILURE))
        }
    }
}

/// Starts the first process and waits for its end; a signal is passed on, and after a while enforced.
fn run_inside(dir: &Path) -> Result<i32> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "--propagation", "private", "--"]);
    command.arg(this_program()?).args(std::env::args_os().skip(1));
    command.env(STAGE_VARIABLE, FIRST_PROCESS).env(WORLD_VARIABLE, dir);
    let mut child = command.spawn().context("cannot start setpriv and unshare of package util-linux")?;
    let outer = i32::try_from(child.id())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let mut deadline = None;
        follow(&mut child, async |received| {
            let enforced = *deadline.get_or_insert_with(|| Instant::now() + limits::STOP_GRACE);
            let target = if Instant::now() > enforced { Some((outer, Signal::SIGKILL)) } else { None };
            target.or_else(|| first_child(outer).zip(received))
        })
        .await
    })?;
    Ok(exit_code(status))
}

/// Process 1 of the world: private file systems, then the caller's program, then nothing but reaping.
fn first_process() -> Result<i32> {
    ensure!(
        std::process::id() == 1,
        "{STAGE_VARIABLE}={FIRST_PROCESS} is for process 1 of a world only: unset it"
    );
    private_file_systems().context("cannot make the world's private file systems")?;
    call(Command::new("ip").args(["link", "set", "lo", "up"]), "")?;
    let mut command = Command::new(this_program()?);
    let mut child = command.args(std::env::args_os().skip(1)).env(STAGE_VARIABLE, INSIDE).spawn()?;
    let main = Pid::from_raw(i32::try_from(child.id())?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(follow(&mut child, async |received| Some(main.as_raw()).zip(received)))?;
    Ok(exit_code(status))
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program's own path cannot be found")
}

/// Waits for `child`. Each signal to this process is given to `route`, which says whom to send what; it is
/// asked with nothing at regular intervals too, once a first signal has come.
///
/// A terminal sends its interrupt to the caller's program itself, so that it is not passed on a second time.
async fn follow(
    child: &mut Child,
    mut route: impl AsyncFnMut(Option<Signal>) -> Option<(i32, Signal)>,
) -> Result<ExitStatus> {
    let mut ended = signal(SignalKind::child())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(250));
    let at_terminal = std::io::stdin().is_terminal();
    let mut stopping = false;
    loop {
        let received = tokio::select! {
            _ = ended.recv() => None,
            _ = look.tick() => None,
            _ = interrupted.recv() => (!at_terminal).then_some(Signal::SIGINT),
            _ = terminated.recv() => Some(Signal::SIGTERM),
            _ = hung_up.recv() => Some(Signal::SIGHUP),
        };
        if let Some(status) = reap(child)? {
            return Ok(status);
        }
        stopping |= received.is_some();
        if stopping && let Some((pid, signal)) = route(received).await {
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot send {signal} to {pid}")),
            }
        }
    }
}

/// Buries every ended child; the result is the status of `child` if it was among them.
fn reap(child: &mut Child) -> Result<Option<ExitStatus>> {
    let awaited = i32::try_from(child.id())?;
    let mut status = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == awaited => {
                status = Some(ExitStatus::from_raw(code << 8));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == awaited => {
                status = Some(ExitStatus::from_raw(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(status),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for children"),
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(OUTER_FAILURE)
}

fn private_file_systems() -> Result<()> {
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=256m"))
        .context("cannot mount a tmpfs on /run")?;
    let layers = Path::new("/run/var-lib");
    for dir in ["/run/netns", "/run/lock", SOCKETS, "/run/var-lib/upper", "/run/var-lib/work"] {
        fs::create_dir_all(dir)?;
    }
    let options = format!("lowerdir=/var/lib,upperdir={0}/upper,workdir={0}/work", layers.display());
    mount(Some("overlay"), "/var/lib", Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context("cannot mount an overlay on /var/lib: the nodes' container runtime needs overlayfs, too")
}
