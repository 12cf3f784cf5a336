//! The test world itself: that its clusters are real, and that nothing of them is left afterwards.
//!
//! Each test starts `ferry-world` as a person would, with this program again as the command that looks around
//! inside (`inside.rs`); then it compares the machine with what it was before (`machine.rs`). The tests run one
//! after another, since each would see the others' processes.

mod inside;
mod machine;

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use machine::Machine;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The first argument of this program when it is the command inside a world.
const INSIDE: &str = "inside-a-world";
/// From the order to end to the end.
const END: Duration = Duration::from_secs(60);
/// From the start of `ferry-world` to the end of its start.
const UP: Duration = Duration::from_secs(300);

type Test = fn() -> Result<()>;

const TESTS: &[(&str, Test)] = &[
    ("two_clusters_run_real_pods_on_real_disks", two_clusters),
    ("simulated_nodes_run_pods_by_word_only", simulated),
    ("the_command_s_exit_code_comes_through", exit_code),
    ("a_terminated_world_clears_up_after_itself", terminated),
    ("a_killed_world_takes_all_with_it_and_a_sweep_the_rest", killed),
];

fn main() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some(INSIDE) {
        let cases = std::env::args().nth(2).context("no cases are named")?;
        let outcome = inside::run(&cases);
        return Ok(outcome.map_or_else(
            |error| {
                eprintln!("inside: {error:#}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        ));
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trial = |(name, test): &(&'static str, Test)| {
        let test = *test;
        Trial::test(*name, move || undisturbed(test).map_err(|error| Failed::from(format!("{error:#}"))))
    };
    Ok(libtest_mimic::run(&arguments, TESTS.iter().map(trial).collect()).exit_code())
}

/// Runs `test`; whatever its outcome, the machine must be as it was.
///
/// A world clears after runs that were killed before it. That is done here first, so that what an earlier run had
/// left is no difference.
fn undisturbed(test: Test) -> Result<()> {
    ferry_tests::world::sweep()?;
    let before = Machine::look()?;
    let outcome = test();
    let difference = Machine::look()?.difference(&before);
    outcome?;
    ensure!(difference.is_empty(), "left on the machine:\n{}", difference.join("\n"));
    Ok(())
}

fn ferry_world() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ferry-world"))
}

fn run_inside(shape: &[&str], cases: &str) -> Result<()> {
    let mut command = ferry_world();
    command.arg("run").args(shape).arg("--").arg(std::env::current_exe()?).args([INSIDE, cases]);
    let status = command.status().context("cannot start ferry-world")?;
    ensure!(status.success(), "the cases inside failed: {status}");
    Ok(())
}

fn two_clusters() -> Result<()> {
    run_inside(&[], "real")
}

fn simulated() -> Result<()> {
    run_inside(&["--kwok", "--nodes", "3"], "simulated")
}

fn exit_code() -> Result<()> {
    let one = ["run", "--clusters", "solo", "--nodes", "0", "--no-csi", "--", "sh", "-c", "exit 7"];
    let status = ferry_world().args(one).status()?;
    ensure!(status.code() == Some(7), "expected code 7, found {status}");
    Ok(())
}

fn terminated() -> Result<()> {
    let mut running = Running::start()?;
    kill(running.pid()?, Signal::SIGTERM)?;
    let status = running.end()?;
    ensure!(!status.success(), "an interrupted command counts as a success: {status}");
    Ok(())
}

fn killed() -> Result<()> {
    let mut running = Running::start()?;
    kill(running.pid()?, Signal::SIGKILL)?;
    running.end()?;
    let run = running.run.clone();
    let deadline = Instant::now() + END;
    while machine::has_processes(&run)? {
        ensure!(Instant::now() < deadline, "processes of the killed world live on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let swept = ferry_world().arg("sweep").output()?;
    ensure!(swept.status.success(), "the sweep failed: {}", String::from_utf8_lossy(&swept.stderr));
    let text = String::from_utf8_lossy(&swept.stdout);
    ensure!(text.contains(&run), "the sweep did not name run {run}: {text:?}");
    Ok(())
}

/// A world with a node whose command does nothing for longer than any test.
struct Running {
    child: Child,
    /// The run's name.
    run: String,
}

impl Running {
    /// Starts it and waits until its command runs.
    fn start() -> Result<Self> {
        let script = r#"echo "run $(basename "$FERRY_WORLD")"; exec sleep 3600"#;
        let mut child = ferry_world()
            .args(["run", "--clusters", "solo", "--nodes", "1", "--", "sh", "-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let run = BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .find_map(|line| line.strip_prefix("run ").map(str::to_owned));
            sender.send(run)
        });
        match receiver.recv_timeout(UP) {
            Ok(Some(run)) => Ok(Self { child, run }),
            other => {
                child.kill()?;
                child.wait()?;
                bail!("the world did not come up within {UP:?}: {other:?}")
            }
        }
    }

    fn pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{} is still there after {END:?}", named(self.child.id()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn named(pid: u32) -> String {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    format!("{} ({})", pid, OsStr::new(&words.join(" ")).display())
}
