//! `ferry-bench`: measures Ferry against the floor, on clusters of its own, and says whether it is near enough.
//!
//! Prints a table and writes `target/bench/report.json`; exits with 1 if a figure is outside its target. Run by
//! `make bench`, which builds everything for release first. `--rounds` and `--only` are for whoever works on one figure.
//!
//! Only the command line and the order of the parts are here; what is measured, and how, in `ferry_tests::bench`.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use ferry_tests::bench::idle::{self, Taken};
use ferry_tests::bench::report::{Figure, Measure, Report, Target};
use ferry_tests::bench::scene::{self, EAST_WEST, Scene};
use ferry_tests::bench::statistics::Summary;
use ferry_tests::bench::{by_hand, real};
use ferry_tests::build;
use ferry_tests::world::{self, Process, World};
use serde_json::json;

const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");

#[derive(Parser)]
#[command(about = "How near Ferry is to the floor: P1, P1r, P1b, P2, P9")]
struct Arguments {
    /// Rounds on real nodes: each moves three ordinals by the floor and three by Ferry.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Rounds on simulated nodes.
    #[arg(long, default_value_t = 6)]
    simulated_rounds: usize,
    /// Seconds that an idle agent is watched, twice.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// P1, P1r, P2.
    Real,
    /// P1b.
    ByHand,
    /// P9.
    Idle,
}

impl Arguments {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn main() -> ExitCode {
    run().unwrap_or_else(|failure| {
        eprintln!("bench: {failure:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let began = Instant::now();
        let world = World::up(&dir, &scene::config(tools)).await?;
        let scene = Scene::set(world).await?;
        let mut report = Report::default();
        if arguments.wants(Part::ByHand) {
            by_hand::measure(&scene, arguments.simulated_rounds, &mut report).await?;
        }
        if arguments.wants(Part::Real) {
            real::measure(&scene, arguments.rounds, &mut report).await?;
        }
        if arguments.wants(Part::Idle) {
            idle_agents(&scene, Duration::from_secs(arguments.idle), &mut report).await?;
        }
        report.note("seconds", began.elapsed().as_secs())?;
        println!("{}", report.table());
        report.write(Path::new(REPORT))?;
        Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// P9: agents that were just started and have nothing to do, before and after a crowd of unrelated objects.
async fn idle_agents(scene: &Scene, window: Duration, report: &mut Report) -> Result<()> {
    let mut agents: Vec<&Process> = Vec::new();
    for cluster in EAST_WEST {
        let agent = scene.ferry.agent(cluster)?;
        agent.restart()?;
        scene.ferry.attached(cluster).await?;
        agents.push(agent);
    }
    let mut taken = idle::measure(&agents, "before", window).await?;
    for cluster in scene.world.clusters() {
        idle::crowd(cluster).await?;
    }
    taken.extend(idle::measure(&agents, "after", window).await?);
    let summary = |of: fn(&Taken) -> f64| Summary::of(taken.iter().map(of).collect());
    report.add(Figure {
        id: "P9",
        what: "idle agent: resident memory, the most",
        unit: "MiB",
        measure: Measure::Most("agents", summary(|taken| taken.resident_mib)),
        target: Target::AtMost(12.0),
        extra: json!({"taken": taken}),
    });
    report.add(Figure {
        id: "P9-cpu",
        what: "idle agent: processor, the most",
        unit: "mCPU",
        measure: Measure::Most("agents", summary(|taken| taken.milli_cpu)),
        target: Target::AtMost(1.0),
        extra: json!({"taken": taken}),
    });
    Ok(())
}
