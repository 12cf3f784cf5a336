//! The demo: a running etcd crosses from east to west and back, under watch.
//!
//! Brings two real clusters up, installs Ferry as an operator would (by its charts, as pods), starts a three-member etcd with a client that
//! writes all the while, and runs `ferry plan` and `ferry migrate` twice. Prints what came of it, writes
//! `target/demo/report.json`, and fails unless nothing was lost and no invariant broke.
//!
//! `SABOTAGE=skip-detach` moves the replicas by a naive script instead: then the observer must accuse.
//! `KEEP=1` leaves it all running: with a terminal in a shell, without one until it is interrupted. `ferry-demo shell`
//! installs Ferry in two empty clusters and opens that shell at once.

mod naive;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use ferry_tests::app::crossing::{Crossing, Outcome};
use ferry_tests::app::etcd::Etcd;
use ferry_tests::build;
use ferry_tests::ferry::{
    Ferry,
    pods::{self, Pods},
};
use ferry_tests::world::{self, Config, World};

/// The cluster that the controller runs in.
const HOST: &str = "east";
const INSTALLING: &str = "by Helm: the controller in east, an agent in each cluster, enrolled by token";
const REPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/demo");

fn main() -> ExitCode {
    run().unwrap_or_else(|failure| {
        eprintln!("demo: {failure:#}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(demo(pods::with_images(Config::two_clusters(tools))?, &dir))
}

async fn demo(config: Config, dir: &Path) -> Result<ExitCode> {
    let sabotage = match std::env::var("SABOTAGE").as_deref() {
        Err(_) | Ok("") => false,
        Ok("skip-detach") => true,
        Ok(other) => bail!("SABOTAGE={other}: expected skip-detach, or nothing"),
    };
    let began = Instant::now();
    let only_shell = std::env::args().nth(1).is_some_and(|verb| verb == "shell");
    say("two clusters, east and west, two nodes each");
    let world = World::up(dir, &config).await?;
    if only_shell {
        say(INSTALLING);
        Pods::install(&world, HOST).await?;
        stay(&world).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let etcd = Etcd::default();
    let outcome = if sabotage { sabotaged(&world, &etcd).await } else { ferried(&world, &etcd).await };
    if std::env::var("KEEP").is_ok_and(|keep| keep == "1") {
        stay(&world).await?;
    }
    let mut outcome = outcome?;
    outcome.seconds = began.elapsed().as_secs();
    report(&outcome)?;
    let complete = sabotage || outcome.handoffs == 2 * etcd.replicas as usize;
    Ok(if outcome.is_clean() && complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Leaves the world up until the shell or, without a terminal, an interrupt ends it.
async fn stay(world: &World) -> Result<()> {
    let config = Ferry::operator_config(world);
    let mut shell = world.shell()?;
    shell.env("FERRY_CONFIG", &config);
    if std::io::stdin().is_terminal() {
        say("a shell in this world: kubectl --context east|west, ferry; leave it to end everything");
        shell.status()?;
        return Ok(());
    }
    // The run's name begins with the number of its outermost process; the world's first is its grandchild.
    let run = world.dir().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let outermost = run.split('-').next().unwrap_or_default();
    say("left running until interrupted; to visit it:");
    println!(
        "nsenter -t $(pgrep -P $(pgrep -P {outermost})) --net --mount --pid env KUBECONFIG={} FERRY_CONFIG={} bash",
        world.kubeconfig().display(),
        config.display()
    );
    tokio::signal::ctrl_c().await.context("waiting for the interrupt")
}

async fn ferried(world: &World, etcd: &Etcd) -> Result<Outcome> {
    say(INSTALLING);
    let ferry = Pods::install(world, HOST).await?;
    say("etcd in east: three members, a disk each, a client that writes");
    let crossing = Crossing::begin(world, "east", etcd).await?;
    let moved = async {
        for (to, order) in [("west", "highest-first"), ("east", "lowest-first")] {
            let set = format!("statefulset/{}", etcd.name);
            ferry_command(&ferry, &["plan", "-n", &etcd.namespace, &set, "--to", to, "--order", order])
                .await?;
            let migrate = ["migrate", "-n", &etcd.namespace, &set, "--to", to, "--order", order, "--yes"];
            ferry_command(&ferry, &migrate).await?;
        }
        ferry_command(&ferry, &["volumes", "-n", &etcd.namespace]).await
    };
    let moved: Result<()> = moved.await;
    let outcome = crossing.end().await;
    moved.and(outcome)
}

async fn sabotaged(world: &World, etcd: &Etcd) -> Result<Outcome> {
    say("etcd in east: three members, a disk each, a client that writes");
    let crossing = Crossing::begin(world, "east", etcd).await?;
    say("SABOTAGE=skip-detach: a naive script moves the members");
    let moved = naive::migrate(world, etcd).await;
    if let Err(failure) = moved {
        say(&format!("the naive script failed: {failure:#}"));
    }
    crossing.end().await
}

async fn ferry_command(ferry: &Pods, arguments: &[&str]) -> Result<()> {
    say(&format!("ferry {}", arguments.join(" ")));
    let status = ferry.cli().command(arguments).status().await?;
    ensure!(status.success(), "`ferry {}` ended with {status}", arguments.join(" "));
    Ok(())
}

fn report(outcome: &Outcome) -> Result<()> {
    std::fs::create_dir_all(REPORT)?;
    let path = Path::new(REPORT).join("report.json");
    let mut report = serde_json::to_value(outcome)?;
    report["violations"] = outcome.violations.len().into();
    report["violations_found"] = serde_json::to_value(&outcome.violations)?;
    std::fs::write(&path, serde_json::to_vec_pretty(&report)?).context("the report")?;
    say("what came of it");
    println!("writes acknowledged   {}", outcome.writes_acknowledged);
    println!("writes found          {}", outcome.writes_found);
    if let Some(outage) = &outcome.outage {
        println!("  OUTAGE {outage}");
    }
    println!("longest client gap    {} ms", outcome.longest_client_gap_ms);
    for (ordinal, gaps) in &outcome.unavailable_ms {
        println!("ordinal {ordinal} unavailable {gaps:?} ms");
    }
    println!("handoffs              {}", outcome.handoffs);
    println!(
        "disks verified        {} (nonce there, raft log not behind, no snapshot from peers)",
        outcome.disks_verified
    );
    for fault in &outcome.disks_failed {
        println!("  DISK {fault}");
    }
    println!("violations            {}", outcome.violations.len());
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    println!("seconds               {}", outcome.seconds);
    Ok(())
}

fn say(what: &str) {
    println!("\n== {what}");
}
