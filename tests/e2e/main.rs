//! End to end: the real command, controller and agents on two real clusters.
//!
//! Each case has a namespace of its own and leaves nothing in the way of the next; they run one after another, for
//! they share a world and kill processes in it. Most of the time they wait, so all cases together run as two halves at
//! once, each a process with a world of its own. Every case that moves a replica does so under the observer.
//! `cargo test -p ferry-tests --test e2e -- NAME` runs those whose name contains NAME, in one world.

mod bad_input;
mod control;
mod crossing;
mod hazards;
mod intruders;
mod kill;
mod observe;
mod probe;
mod refusal;
mod stage;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use ferry_tests::build;
use ferry_tests::world::{self, Config};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use stage::Stage;
use tokio::runtime::Runtime;

type Case = fn(&Stage) -> futures::future::LocalBoxFuture<'_, Result<()>>;

/// Which half this process runs; both, in one world, where it is not set.
const HALF: &str = "FERRY_E2E_HALF";
const HALVES: [&str; 2] = ["0", "1"];

/// The first half is about what an operator asks for, the other about what goes wrong meanwhile.
fn halves() -> [Vec<(&'static str, Case)>; 2] {
    [
        [bad_input::CASES, refusal::CASES, probe::CASES, bad_input::LATE, crossing::CASES, observe::CASES]
            .concat(),
        [control::CASES, intruders::CASES, kill::CASES, hazards::CASES].concat(),
    ]
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let half = std::env::var(HALF).ok();
    if half.is_some() {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
    }
    let cases = match half.as_deref() {
        Some("0") => halves()[0].clone(),
        Some("1") => halves()[1].clone(),
        _ => halves().concat(),
    };
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(&cases, None)).exit_code());
    }
    let tools = build::ensure(&world::kubernetes_release())?;
    if half.is_none() && arguments.filter.is_none() && arguments.skip.is_empty() {
        return both();
    }
    let dir = world::enter()?;
    let runtime = Arc::new(Runtime::new()?);
    let stage = runtime.block_on(Stage::set(Config::two_clusters(tools), &dir))?;
    let conclusion = libtest_mimic::run(&arguments, trials(&cases, Some((runtime, Arc::new(stage)))));
    println!("{COUNT}{}", conclusion.num_passed + conclusion.num_failed);
    Ok(conclusion.exit_code())
}

const COUNT: &str = "end-to-end cases: ";

/// Runs both halves at once and counts their cases together.
fn both() -> Result<ExitCode> {
    let ended =
        std::thread::scope(|scope| HALVES.map(|name| scope.spawn(|| half(name))).map(|half| half.join()));
    let (mut count, mut passed) = (0, true);
    for half in ended {
        let (cases, success) = half.map_err(|_| anyhow!("a half panicked"))??;
        count += cases;
        passed &= success;
    }
    println!("{COUNT}{count}");
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one half in a process of its own; its cases, and whether all passed.
fn half(name: &str) -> Result<(u64, bool)> {
    let this = std::env::current_exe()?;
    let mut half = Command::new(this).env(HALF, name).stdout(Stdio::piped()).spawn()?;
    let mut count = 0;
    for line in BufReader::new(half.stdout.take().context("no output")?).lines() {
        let line = line?;
        match line.strip_prefix(COUNT) {
            Some(cases) => count += cases.parse::<u64>()?,
            None => println!("{line}"),
        }
    }
    Ok((count, half.wait()?.success()))
}

fn trials(cases: &[(&'static str, Case)], stage: Option<(Arc<Runtime>, Arc<Stage>)>) -> Vec<Trial> {
    let trial = |(name, case): &(&'static str, Case)| {
        let (case, stage) = (*case, stage.clone());
        Trial::test(*name, move || {
            let (runtime, stage) = stage.ok_or("no world: --list runs nothing")?;
            runtime.block_on(case(&stage)).map_err(|failure| Failed::from(format!("{failure:?}")))
        })
    };
    cases.iter().map(trial).collect()
}
