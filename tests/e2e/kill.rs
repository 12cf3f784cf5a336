//! The kill matrix: each process killed once in each of steps 5 to 12, and the migration goes on by itself.
//!
//! One database of one member goes back and forth, a crossing for each cell. An agent is kept at the beginning of
//! the step by its hold point, so the kill lands in the step and nowhere else; then the process is killed with
//! SIGKILL, the hold is lifted, the process is started again, and nobody does anything more. The observer watches
//! the whole matrix and each disk is looked at after each crossing.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::{Process, Wait};
use futures::FutureExt as _;

use crate::Case;
use crate::stage::{Stage, assert_clean};

pub(crate) const CASES: &[(&str, Case)] =
    &[("kill::each_process_in_each_of_steps_5_to_12", |stage| matrix(stage).boxed_local())];

/// Time for a migration to reach the step in which it is held, and to end after the kill.
const REACHED: Duration = Duration::from_secs(60);
const ENDED: Duration = Duration::from_secs(120);

const STEPS: std::ops::RangeInclusive<u32> = 5..=12;
const VICTIMS: [Victim; 3] = [Victim::Controller, Victim::Source, Victim::Target];

#[derive(Debug, Clone, Copy)]
enum Victim {
    Controller,
    Source,
    Target,
}

async fn matrix(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: "kill".into(), name: "single".into(), replicas: 1, ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let mut sides = ("east", "west");
    let mut table = Vec::new();
    for step in STEPS {
        for victim in VICTIMS {
            let began = Instant::now();
            let cell = cell(stage, &etcd, sides, step, victim).await;
            cell.with_context(|| format!("{victim:?} killed in step {step}, {} to {}", sides.0, sides.1))?;
            table.push((step, victim, began.elapsed()));
            sides = (sides.1, sides.0);
        }
    }
    println!("\nkill matrix (completed without an operator, seconds)\nstep  controller  source  target");
    for row in table.chunks(VICTIMS.len()) {
        let cells: Vec<String> =
            row.iter().map(|(_, _, took)| format!("{:>6.1}", took.as_secs_f64())).collect();
        println!("{:>4}  {}", row[0].0, cells.join("  "));
    }
    assert_clean(&crossing.end().await?, table.len())
}

async fn cell(stage: &Stage, etcd: &Etcd, (from, to): (&str, &str), step: u32, victim: Victim) -> Result<()> {
    let hold = Hold::set(stage.ferry.hold_dir().join(format!("step-{step}")))?;
    let set = format!("statefulset/{}", etcd.name);
    let arguments = ["migrate", "-n", &etcd.namespace, &set, "--to", to, "--yes", "--detach"];
    stage.ferry.cli().run(&arguments).await?.success()?;
    hold.reached(stage).await?;
    let process = victim_process(stage, from, to, victim)?;
    process.kill()?;
    hold.lift()?;
    process.start()?;
    ended(stage, etcd, to).await
}

fn victim_process<'a>(stage: &'a Stage, from: &str, to: &str, victim: Victim) -> Result<&'a Process> {
    match victim {
        Victim::Controller => Ok(stage.ferry.controller()),
        Victim::Source => stage.ferry.agent(from),
        Victim::Target => stage.ferry.agent(to),
    }
}

pub(crate) async fn ended(stage: &Stage, etcd: &Etcd, to: &str) -> Result<()> {
    Wait::new("the migration to complete by itself", ENDED)
        .on(stage.ferry.controller())
        .until(async || {
            let listed =
                stage.ferry.cli().run(&["get", "-n", &etcd.namespace, "-o", "json"]).await?.success()?;
            let listed = listed.json()?;
            let migrations = listed["items"].as_array().context("no list")?;
            let newest = migrations.first().context("no migration")?;
            ensure!(newest["to"] == to, "the newest migration goes to {}", newest["to"]);
            match newest["phase"].as_str() {
                Some("completed") => Ok(Some(())),
                Some("refused") => bail!("refused: {}", newest["message"]),
                _ => bail!("{newest}"),
            }
        })
        .await
}

/// A hold point that is set; lifted when dropped, so that a failed cell keeps nobody.
pub(crate) struct Hold {
    file: PathBuf,
}

impl Hold {
    pub(crate) fn set(file: PathBuf) -> Result<Self> {
        std::fs::remove_file(file.with_extension("reached")).ok();
        std::fs::write(&file, "").with_context(|| file.display().to_string())?;
        Ok(Self { file })
    }

    /// Waits until an agent stands at it.
    pub(crate) async fn reached(&self, stage: &Stage) -> Result<()> {
        let reached = self.file.with_extension("reached");
        Wait::new(format!("an agent to reach {}", self.file.display()), REACHED)
            .on(stage.ferry.controller())
            .until(async || Ok(reached.exists().then_some(())))
            .await
    }

    pub(crate) fn lift(&self) -> Result<()> {
        std::fs::remove_file(&self.file).with_context(|| self.file.display().to_string())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        std::fs::remove_file(&self.file).ok();
    }
}
