//! P1, P1r and P2: handoffs on real nodes, by the floor and by Ferry in turns.
//!
//! Both have a workload of their own, of the same text, in the same clusters; a round moves one whole and then the
//! other, so that whatever the machine does it does to both. Each is under an observer, whose accusation ends the run:
//! a figure of a handoff that broke an invariant is worth nothing. Times without a ready replica are the observer's.
//!
//! What a handoff is and what it waits for stands in `floor`; when Ferry's began and ended, in `ferried`.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use super::audit::Call;
use super::ferried;
use super::floor::{self, Floor, Sides, Span};
use super::reaction::{self, Handoff, Reactions, milliseconds};
use super::report::{Figure, Measure, Report, Target};
use super::scene::{FERRY, Scene, round};
use super::statistics::Summary;
use super::workload::{Nodes, Workload};
use crate::observer;

/// Replicas of each workload.
const REPLICAS: u32 = 3;

/// What one side did.
#[derive(Default)]
struct Done {
    spans: Vec<Span>,
    unavailable_ms: Vec<f64>,
}

/// Measures `rounds` rounds of handoffs of either side.
///
/// # Errors
/// A handoff fails, or the observer accuses either side.
pub async fn measure(scene: &Scene, rounds: usize, report: &mut Report) -> Result<()> {
    let workload = |name: &str| Workload { name: name.to_owned(), replicas: REPLICAS, nodes: Nodes::Real };
    let (least, ferried) = (workload("floor"), workload("ferried"));
    let east = scene.client("east").await?;
    tokio::try_join!(least.deploy(&east), ferried.deploy(&east))?;
    let floor = Floor::new(&scene.eyes, &least);
    let sides = Sides::of(&scene.world).await?;
    floor.prepare(&sides.east, &sides.west).await?;
    let observers = (scene.observer(&least).await?, scene.observer(&ferried).await?);
    let (mut by_floor, mut by_ferry) = (Done::default(), Done::default());
    let mut moved: Vec<Handoff> = Vec::new();
    for number in 0..rounds {
        let (from, to, order) = round(number);
        by_floor.spans.extend(floor.migrate(&sides, (from, to, order)).await?);
        let done = ferried::migrate(&scene.ferry, &ferried, (from, to), order).await?;
        by_ferry.spans.extend(done.iter().map(|one| Span { began: one.began, ended: one.ended }));
        moved.extend(done);
        let p50 = |done: &Done| walls(done).p50;
        eprintln!(
            "bench: round {} of {rounds} on real nodes; so far floor {:.2} s, Ferry {:.2} s",
            number + 1,
            p50(&by_floor),
            p50(&by_ferry)
        );
    }
    by_floor.unavailable_ms = judged("the floor", observers.0.stop().await?)?;
    by_ferry.unavailable_ms = judged("Ferry", observers.1.stop().await?)?;
    let calls = scene.calls()?;
    tell(report, &by_floor, &by_ferry, &calls);
    react(report, scene, &ferried, &moved, &calls);
    Ok(())
}

/// The times without a ready replica, if the observer has nothing to say against it.
fn judged(who: &str, report: observer::Report) -> Result<Vec<f64>> {
    let said: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
    ensure!(said.is_empty(), "the observer accuses {who}: {}", said.join("; "));
    Ok(report.handoffs.iter().map(|handoff| handoff.unavailable_ms as f64 / 1000.0).collect())
}

/// Seconds of each handoff.
fn walls(done: &Done) -> Summary {
    let seconds = |span: &Span| milliseconds(span.began, span.ended) / 1000.0;
    Summary::of(done.spans.iter().map(seconds).collect())
}

fn tell(report: &mut Report, floor: &Done, ferry: &Done, calls: &[Call]) {
    let count = |user: &str, done: &Done| {
        let within = |at: Timestamp| done.spans.iter().any(|span| at >= span.began && at <= span.ended);
        let of = |is_it: fn(&Call) -> bool| {
            let made = calls.iter().filter(|call| call.user == user && within(call.at) && is_it(call));
            made.count() as f64 / done.spans.len() as f64
        };
        json!({
            "writes": of(Call::is_write),
            "reads": of(|call| !call.is_write() && call.verb != "watch"),
            "watches": of(|call| call.verb == "watch"),
        })
    };
    report.add(Figure {
        id: "P1",
        what: "handoff on real nodes: Ferry / floor",
        unit: "s",
        measure: Measure::Ratio { of: ("ferry", walls(ferry)), by: ("floor", walls(floor)) },
        target: Target::AtMost(1.10),
        extra: json!({
            "calls_per_handoff": {"ferry": count(FERRY, ferry), "floor": count(floor::USER, floor)},
        }),
    });
    report.add(Figure {
        id: "P2",
        what: "time without a ready replica: Ferry / floor",
        unit: "s",
        measure: Measure::Ratio {
            of: ("ferry", Summary::of(ferry.unavailable_ms.clone())),
            by: ("floor", Summary::of(floor.unavailable_ms.clone())),
        },
        target: Target::AtMost(1.10),
        extra: serde_json::Value::Null,
    });
}

fn react(report: &mut Report, scene: &Scene, workload: &Workload, moved: &[Handoff], calls: &[Call]) {
    let log = scene.eyes.log();
    let writes: Vec<Call> =
        calls.iter().filter(|call| call.user == FERRY && call.is_write()).cloned().collect();
    let mut reactions = Reactions::new();
    for handoff in moved {
        reaction::gather(&mut reactions, workload, handoff, &log, &writes);
    }
    let steps: serde_json::Map<_, _> = reactions
        .iter()
        .map(|(step, samples)| ((*step).to_owned(), json!(Summary::of(samples.clone()))))
        .collect();
    report.add(Figure {
        id: "P1r",
        what: "reaction: event seen outside to Ferry's next write",
        unit: "ms",
        measure: Measure::Value("ferry", Summary::of(reactions.into_values().flatten().collect())),
        target: Target::AtMost(30.0),
        extra: json!({"steps": steps}),
    });
}
