//! `ferry-agent`: reads its options, sets up its log, and runs the library until it is told to stop.
//!
//! One thread: an agent waits most of its life, and its memory is counted (an idle agent has a budget).
//! SIGTERM and SIGINT end it at once; a command that runs is carried on by the next process from what the
//! cluster shows. Whatever ends it otherwise is printed with what to do, and the exit code is 1.

use std::process::ExitCode;

use clap::Parser as _;
use ferry_agent::{options::Options, outcome::chain, run};
use ferry_telemetry::logs;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let options = Options::parse();
    // kube logs each failed request as an error of its own; here the one who made it says what it means.
    logs::init(options.log_format, "info,kube_client=off");
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ferry-agent: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            ended = run::run(options) => ended?,
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("interrupted"),
        }
        Ok(())
    })
}
