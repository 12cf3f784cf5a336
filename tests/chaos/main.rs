//! Chaos: an etcd under load goes back and forth while the machinery around it is struck down, again and again.
//!
//! Two real clusters with Ferry installed; a writer, the observer and the look at each disk go on the whole time. At
//! random moments of the migrations one thing is killed with SIGKILL and started again a moment later, or one cluster
//! is cut off for half a minute ([`blow`] has the kinds). Nobody does anything else: every migration has to end by
//! itself, with every acknowledged write there and no invariant broken, by the array's log too.
//!
//! Not part of `make test`: a hundred blows take most of an hour. `make chaos` runs them, `make chaos ARGS="--blows 10
//! --seed 7"` fewer, at the moments of that seed. The moments are drawn from the seed; what is under way then is not.
//! The figures are printed and written to `target/chaos/report.json`.

mod blow;
mod journey;
mod link;
mod report;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use ferry_tests::build;
use ferry_tests::world::{self, Config};
use rand::{SeedableRng as _, rngs::StdRng};

use journey::Journey;

#[derive(Parser)]
#[command(about = "Migrations of an etcd under load while everything around it is killed")]
struct Arguments {
    /// How often something is struck.
    #[arg(long, default_value_t = 100)]
    blows: usize,
    /// What the moments are drawn from; drawn itself if it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    run().unwrap_or_else(|failure| {
        eprintln!("chaos: {failure:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("chaos: {} blows, --seed {seed}", arguments.blows);
    tokio::runtime::Runtime::new()?.block_on(async {
        let began = Instant::now();
        let mut journey = Journey::begin(&dir, &Config::two_clusters(tools)).await?;
        let mut rng = StdRng::seed_from_u64(seed);
        let went = journey.go(&mut rng, arguments.blows).await;
        let report = journey.end(seed, began, went).await?;
        report.print();
        report.write()?;
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
