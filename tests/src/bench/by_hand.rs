//! P1b: handoffs on simulated nodes, where only orchestration costs, by a script of kubectl and jq and by Ferry in turns.
//!
//! The script, `by-hand.sh`, is run once for each ordinal, as a person would paste it; what it lacks (proof of detach,
//! fences, tombstones) Ferry does all the same, in the time that is measured. Neither does anything about endpoints: the
//! blog leaves them to the network, and this workload has no Service. The floor moves a workload of the same text in the
//! same rounds: what of Ferry's time is the cluster's own is told by it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use super::ferried;
use super::floor::{Floor, Sides};
use super::reaction::milliseconds;
use super::report::{Figure, Measure, Report, Target};
use super::scene::{Scene, Turn, round, turns};
use super::statistics::Summary;
use super::workload::{Nodes, Slice, Workload};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bench/by-hand.sh");
/// Longest time of one ordinal.
const ORDINAL: Duration = Duration::from_secs(180);
/// Replicas of each workload.
const REPLICAS: u32 = 3;

/// Measures `rounds` rounds of handoffs of either side.
///
/// # Errors
/// A handoff fails.
pub async fn measure(scene: &Scene, rounds: usize, report: &mut Report) -> Result<()> {
    let workload =
        |name: &str| Workload { name: name.to_owned(), replicas: REPLICAS, nodes: Nodes::Simulated };
    let (by_hand, least, ferried) = (workload("by-hand"), workload("simulated-floor"), workload("simulated"));
    let (east, west) = (scene.client("east").await?, scene.client("west").await?);
    tokio::try_join!(by_hand.deploy(&east), least.deploy(&east), ferried.deploy(&east))?;
    by_hand.create_empty(&west).await?;
    let sides = Sides::of(&scene.world).await?;
    let least = Floor::new(&scene.eyes, &least);
    least.prepare(&sides.east, &sides.west).await?;
    let (mut script, mut floor, mut ferry) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let (from, to, order) = round(number);
        for turn in turns(REPLICAS, order) {
            script.push(run(scene, &by_hand, (from, to), turn).await?);
        }
        for span in least.migrate(&sides, (from, to, order)).await? {
            floor.push(milliseconds(span.began, span.ended) / 1000.0);
        }
        for one in ferried::migrate(&scene.ferry, &ferried, (from, to), order).await? {
            ferry.push(milliseconds(one.began, one.ended) / 1000.0);
        }
        let p50 = |samples: &[f64]| Summary::of(samples.to_vec()).p50;
        eprintln!(
            "bench: round {} of {rounds} on simulated nodes; so far by hand {:.2} s, floor {:.2} s, Ferry {:.2} s",
            number + 1,
            p50(&script),
            p50(&floor),
            p50(&ferry)
        );
    }
    report.add(Figure {
        id: "P1b",
        what: "handoff on simulated nodes: kubectl and jq / Ferry",
        unit: "s",
        measure: Measure::Ratio {
            of: ("kubectl and jq", Summary::of(script)),
            by: ("ferry", Summary::of(ferry)),
        },
        target: Target::AtLeast(5.0),
        extra: json!({"floor": Summary::of(floor)}),
    });
    Ok(())
}

/// Runs the script for one ordinal; the seconds that it took.
async fn run(
    scene: &Scene,
    workload: &Workload,
    (from, to): (&str, &str),
    Turn { ordinal, left, grown }: Turn,
) -> Result<f64> {
    let slice = |(start, replicas): Slice| format!("{start}:{replicas}");
    let mut command = tokio::process::Command::from(scene.world.command(Path::new(SCRIPT))?);
    command
        .args([from, to, &workload.name, &workload.name, &workload.claim(ordinal)])
        .args([ordinal.to_string(), slice(left), slice(grown)])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let began = Timestamp::now();
    let output = tokio::time::timeout(ORDINAL, command.output()).await;
    let output = output.with_context(|| format!("{SCRIPT} did not end within {ORDINAL:?}"))??;
    let took = milliseconds(began, Timestamp::now()) / 1000.0;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{SCRIPT}: {}: {said}", output.status);
    Ok(took)
}
