//! End to end: the real command, controller and agents on two real clusters, one world for all cases.
//!
//! Each case has a namespace of its own and leaves nothing in the way of the next; they run one after another, for
//! they share two cores and kill processes. Every case that moves a replica does so under the observer.
//! `cargo test -p ferry-tests --test e2e -- NAME` runs those whose name contains NAME.

mod bad_input;
mod control;
mod crossing;
mod kill;
mod observe;
mod probe;
mod refusal;
mod stage;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use ferry_tests::build;
use ferry_tests::world::{self, Config};
use libtest_mimic::{Arguments, Failed, Trial};
use stage::Stage;
use tokio::runtime::Runtime;

type Case = fn(&Stage) -> futures::future::LocalBoxFuture<'_, Result<()>>;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let cases = [
        bad_input::CASES,
        refusal::CASES,
        probe::CASES,
        bad_input::LATE,
        crossing::CASES,
        control::CASES,
        observe::CASES,
        kill::CASES,
    ]
    .concat();
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(&cases, None)).exit_code());
    }
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = Arc::new(Runtime::new()?);
    let stage = runtime.block_on(Stage::set(Config::two_clusters(tools), &dir))?;
    let conclusion = libtest_mimic::run(&arguments, trials(&cases, Some((runtime, Arc::new(stage)))));
    println!("end-to-end cases: {}", conclusion.num_passed + conclusion.num_failed);
    Ok(conclusion.exit_code())
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
