//! `ferry-agent`: reads its options, sets up its log, and runs the library until it is told to stop.
//!
//! One thread: an agent waits most of its life, and its memory is counted (an idle agent has a budget).
//! SIGTERM and SIGINT end it at once; a command that runs is carried on by the next process from what the
//! cluster shows. Whatever ends it otherwise is printed with what to do, and the exit code is 1.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use clap::Parser as _;
use ferry_agent::{
    options::{LogFormat, Options},
    outcome::chain,
    run,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let options = Options::parse();
    // kube logs each failed request as an error of its own; here the one who made it says what it means.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube_client=off"));
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colours).with_env_filter(filter);
    match options.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
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
