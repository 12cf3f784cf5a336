//! The script of `ferry runbook`, followed with kubectl alone after Ferry has died in the middle of a step.
//!
//! For each step a migration is stopped at its beginning by the agent's hold point, the script is written, controller and
//! agents are killed and stay dead, and bash runs the script. The observer watches the whole time, each disk is looked
//! at after each handoff, and the writer's every acknowledged write must be there at the end. Forwards and back.
//!
//! Not part of `make test`: a script that asks kubectl for everything takes a minute for each case. `make test-runbook`
//! runs them all, `make test-runbook ARGS=back` some.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::{
    app::{crossing::Crossing, etcd::Etcd},
    build,
    ferry::Ferry,
    world::{self, Config, Wait, World},
};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::process::Command;
use tokio::runtime::Runtime;

/// Time for a migration to reach a step, and for the script to end.
const REACHED: Duration = Duration::from_secs(60);
const ENDED: Duration = Duration::from_secs(900);

/// The step that Ferry dies in, the direction of the script, and how many handoffs the observer sees: forwards the
/// rest of three, back none unless the first member had arrived.
const CASES: [(u32, &str, usize); 8] = [
    (5, "forward", 3),
    (9, "forward", 3),
    (10, "back", 0),
    (7, "back", 0),
    (12, "forward", 3),
    (11, "back", 2),
    (6, "forward", 3),
    (8, "forward", 3),
];

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = Arc::new(Runtime::new()?);
    let world = runtime.block_on(World::up(&dir, &Config::two_clusters(tools)))?;
    Ok(libtest_mimic::run(&arguments, trials(Some((runtime, Arc::new(world))))).exit_code())
}

fn trials(stage: Option<(Arc<Runtime>, Arc<World>)>) -> Vec<Trial> {
    let trial = |(step, direction, handoffs): (u32, &'static str, usize)| {
        let stage = stage.clone();
        Trial::test(format!("step_{step}_{direction}"), move || {
            let (runtime, world) = stage.ok_or("no world: --list runs nothing")?;
            let case = runtime.block_on(case(&world, step, direction, handoffs));
            case.map_err(|failure| Failed::from(format!("{failure:?}")))
        })
    };
    CASES.map(trial).into()
}

async fn case(world: &World, step: u32, direction: &str, handoffs: usize) -> Result<()> {
    let etcd = Etcd { namespace: format!("step-{step}-{direction}"), ..Etcd::default() };
    let ferry = installed(world).await?;
    let crossing = Crossing::begin(world, "east", &etcd).await?;
    let script = stopped(world, &ferry, &etcd, step).await;
    for process in [ferry.controller(), ferry.agent("east")?, ferry.agent("west")?] {
        process.kill()?;
    }
    let followed = follow(world, &script?, direction).await;
    let outcome = crossing.end().await?;
    followed?;
    ensure!(outcome.is_clean(), "the crossing was not clean: {outcome:#?}");
    ensure!(outcome.handoffs == handoffs, "{} handoffs seen, expected {handoffs}", outcome.handoffs);
    ensure!(outcome.writes_acknowledged > 0, "the writer wrote nothing");
    let (home, other) = if direction == "back" { ("east", "west") } else { ("west", "east") };
    whole(world, home, &etcd, etcd.replicas).await?;
    whole(world, other, &etcd, 0).await
}

/// A new Ferry: the one of the case before has died, and its journal with it.
async fn installed(world: &World) -> Result<Ferry> {
    std::fs::remove_dir_all(world.dir().join("ferry")).ok();
    std::fs::remove_file(world.process("ferry/controller").log_path()).ok();
    Ferry::install(world).await
}

/// Starts a migration, waits until an agent is at the beginning of `step`, and returns the script for it.
async fn stopped(world: &World, ferry: &Ferry, etcd: &Etcd, step: u32) -> Result<String> {
    let hold = ferry.hold_dir().join(format!("step-{step}"));
    std::fs::write(&hold, "")?;
    let set = format!("statefulset/{}", etcd.name);
    let migrate = ["migrate", "-n", &etcd.namespace, &set, "--to", "west", "--yes", "--detach"];
    ferry.cli().run(&migrate).await?.success()?;
    Wait::new(format!("an agent to reach step {step}"), REACHED)
        .on(ferry.controller())
        .until(async || Ok(hold.with_extension("reached").exists().then_some(())))
        .await?;
    let listed = ferry.cli().run(&["get", "-n", &etcd.namespace, "-o", "json"]).await?.success()?.json()?;
    let id = listed["items"][0]["id"].as_str().context("no migration is listed")?;
    let script = ferry.cli().run(&["runbook", id]).await?.success()?.stdout;
    std::fs::write(world.dir().join(format!("log/runbook-{}.sh", etcd.namespace)), &script)?;
    Ok(script)
}

/// Runs the script as a person would: bash, kubectl, and what every Linux has.
async fn follow(world: &World, script: &str, direction: &str) -> Result<()> {
    let kubectl = world.tools().program("kubectl")?.parent().context("kubectl lies in no folder")?;
    let tools = world.dir().join("runbook-tools");
    std::fs::create_dir_all(&tools)?;
    std::fs::remove_file(tools.join("kubectl")).ok();
    std::os::unix::fs::symlink(kubectl.join("kubectl"), tools.join("kubectl"))?;
    let path = world.dir().join("runbook.sh");
    std::fs::write(&path, script)?;
    let run = Command::from(world.command("bash")?)
        .arg(&path)
        .env("PATH", format!("{}:/usr/bin:/bin", tools.display()))
        .env("DIRECTION", direction)
        .env("DNS_S", "1")
        .env("WAIT_S", "180")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ENDED, run).await.context("the script did not end")??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the script ended with {}:\n{said}", output.status);
    println!("{said}");
    Ok(())
}

/// The cluster runs so many replicas, and has a PersistentVolume for each, with the reclaim policy of before.
async fn whole(world: &World, cluster: &str, etcd: &Etcd, replicas: u32) -> Result<()> {
    let cluster = world.cluster(cluster)?;
    let namespace = etcd.namespace.as_str();
    let ready = "jsonpath={.spec.replicas}/{.status.readyReplicas}";
    let found = cluster.kubectl(&["-n", namespace, "get", "statefulset", &etcd.name, "-o", ready]).await?;
    let expected = if replicas == 0 { "0/".to_owned() } else { format!("{replicas}/{replicas}") };
    ensure!(found == expected, "replicas in {} are {found}, expected {expected}", cluster.name());
    let volumes = "jsonpath={range .items[*]}{.spec.claimRef.namespace}/{.spec.persistentVolumeReclaimPolicy}/\
                   {.status.phase} {end}";
    let found = cluster.kubectl(&["get", "pv", "-o", volumes]).await?;
    let own: Vec<&str> =
        found.split_whitespace().filter(|volume| volume.starts_with(&format!("{namespace}/"))).collect();
    let expected = vec![format!("{namespace}/Delete/Bound"); usize::try_from(replicas)?];
    ensure!(own == expected, "PersistentVolumes in {} are {own:?}, expected {expected:?}", cluster.name());
    Ok(())
}
