//! Every write of every command, forwards and back, struck by every fault.
//!
//! What there is to strike is found, not listed: each course is gone through once without a fault, and the writes that
//! its commands make are the points; then it is gone through again for each number of a write and each fault, in which
//! every command of it meets that fault at its write of that number. `make steps` does all of that. Every run of the
//! tests strikes a share: deaths and stops at one of [`SHARE`] numbers, and what an executor survives by itself (a
//! refusal, an answer that is lost) at several writes of one run.
//!
//! A command that is new has to be given a course: [`named`] does not build without it, and [`Report::complete`] holds
//! what was struck against the commands of the wire.

mod course;
mod harmless;
mod plain;
pub(crate) mod process;
mod report;
mod run;
mod stopped;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use ferry_proto::agent::v1::command::Body;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::OnceCell;

use self::{
    course::{Act, COURSES, Course},
    report::Report,
    run::{Outcome, Reference, Strike},
    stopped::SCRIPTS,
};
use crate::{
    clusters::Clusters,
    journey::Verb,
    proxy::{Fault, Sight, Which},
};

/// Runs at once: they mostly wait for controllers.
const AT_ONCE: usize = 6;
/// Statuses with which an API server refuses what it has not done.
pub(crate) const REFUSALS: [u16; 4] = [409, 410, 429, 500];
/// Of so many writes one is struck, in a run that strikes several.
const STRIDE: usize = 3;
/// Of so many numbers of a write one is struck by deaths and stops, unless all are asked for.
const SHARE: usize = 4;
/// Reads that a command may be told something old by, at most.
const OLD_MOST: usize = 60;
/// Set to have every fault alone in its run.
const ALONE: &str = "FERRY_STEPS_ALONE";

static REFERENCE: OnceCell<BTreeMap<&'static str, Reference>> = OnceCell::const_new();
static REPORT: Mutex<Report> = Mutex::new(Report::new());

impl Fault {
    /// In reports.
    pub(crate) fn name(self) -> String {
        match self {
            Self::KilledBefore => "killed before".to_owned(),
            Self::KilledAfter => "killed after".to_owned(),
            Self::Dropped => "answer dropped".to_owned(),
            Self::Refused(code) => format!("refused {code}"),
            Self::Stopped => "stopped".to_owned(),
        }
    }
}

impl Sight {
    /// In reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Stale(_) => "stale read",
            Self::StaleWatches => "stale watch",
            Self::Unobserved => "watch unobserved",
        }
    }
}

/// The name of a command on the wire. There is no arm for the rest: whoever adds a command to the wire names it here, and
/// [`Report::complete`] then asks for a course in which its writes are struck.
pub(crate) fn named(body: &Body) -> &'static str {
    match body {
        Body::InspectSource(_) => "inspect_source",
        Body::InspectTarget(_) => "inspect_target",
        Body::PrepareSource(_) => "prepare_source",
        Body::PrepareTarget(_) => "prepare_target",
        Body::Hold(_) => "hold",
        Body::Release(_) => "release",
        Body::Adopt(_) => "adopt",
        Body::Retire(_) => "retire",
        Body::Settle(_) => "settle",
        Body::Fence(_) => "fence",
        Body::Reclaim(_) => "reclaim",
        Body::Unprepare(_) => "unprepare",
        Body::Probe(_) => "probe",
        Body::Finish(_) => "finish",
    }
}

/// Processes that die before and after each write.
pub(crate) async fn killed(clusters: &Clusters) -> Result<()> {
    let reference = reference(clusters).await?;
    let mut strikes = Vec::new();
    for number in (1..=most(reference)).step_by(share()) {
        strikes.push(at(number, Fault::KilledBefore));
        strikes.push(at(number, Fault::KilledAfter));
    }
    struck(clusters, reference, strikes).await
}

/// Answers that are lost, and refusals, each once.
pub(crate) async fn answers(clusters: &Clusters) -> Result<()> {
    let reference = reference(clusters).await?;
    let mut strikes = Vec::new();
    for (index, fault) in REFUSALS.map(Fault::Refused).into_iter().chain([Fault::Dropped]).enumerate() {
        if is_alone() {
            strikes.extend((1..=most(reference)).map(|number| at(number, fault)));
        } else {
            strikes.push(every(index % STRIDE, fault));
        }
    }
    struck(clusters, reference, strikes).await
}

/// Reads that tell what was, and watches that tell what was or nothing.
pub(crate) async fn reads(clusters: &Clusters) -> Result<()> {
    let reference = reference(clusters).await?;
    let seen = |name: &str, sight| Strike { name: name.to_owned(), write: None, sight };
    let mut strikes = vec![
        seen("unobserved", Sight::Unobserved),
        seen("stale-watches", Sight::StaleWatches),
        seen("stale", Sight::Stale(None)),
    ];
    if is_alone() {
        let alone = (1..=OLD_MOST).map(|number| seen(&format!("stale-{number}"), Sight::Stale(Some(number))));
        strikes.extend(alone);
    }
    struck(clusters, reference, strikes).await
}

/// Processes that are stopped before each write, and go on when what they did was taken back.
pub(crate) async fn stopped(clusters: &Clusters) -> Result<()> {
    let reference = reference(clusters).await?;
    let mut writes: BTreeMap<Verb, usize> = BTreeMap::new();
    for course in &COURSES {
        for (number, verb) in places(course) {
            let found = reference[course.name].get(&number).map(|expected| expected.writes.len());
            let most = writes.entry(verb).or_default();
            *most = found.unwrap_or_default().max(*most);
        }
    }
    let runs = (1..=most(reference))
        .step_by(share())
        .flat_map(|number| SCRIPTS.iter().map(move |script| (*script, number)));
    let runs = runs.filter(|((_, script), number)| {
        let mut held = script.iter().filter_map(|part| match part {
            stopped::Move::Hold(verb) => Some(verb),
            _ => None,
        });
        held.any(|verb| writes.get(verb).is_some_and(|most| most >= number))
    });
    let ended: Vec<Result<(usize, Vec<stopped::Late>)>> = stream::iter(runs)
        .map(|(script, number)| async move {
            let late = stopped::run(clusters, script, number).await.map(|late| (number, late));
            if let Err(error) = &late {
                println!("{error:#}");
            }
            late
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let count = ended.len();
    let mut wrong = Vec::new();
    for late in ended {
        match late {
            Ok((number, late)) => lock().let_go(number, late),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{} of {count} runs: {}", wrong.len(), wrong.join("\n"));
    let processes = process::stopped(clusters).await.context("processes that were stopped")?;
    println!("stopped: {processes} processes by SIGSTOP");
    let held = lock().held();
    let never: Vec<_> =
        writes.keys().filter(|verb| !is_alone_of_its_kind(**verb) && !held.contains(verb)).collect();
    ensure!(never.is_empty(), "commands that were never stopped: {never:?}");
    Ok(())
}

/// Mirrors and probes have no epoch and are never taken back: a mirror is superseded by the next one, and the names of a
/// probe's objects are its own for ever.
fn is_alone_of_its_kind(verb: Verb) -> bool {
    matches!(verb, Verb::Mirror | Verb::Unmirror | Verb::ProbeMake | Verb::ProbeRead | Verb::ProbeRemove)
}

fn at(number: usize, fault: Fault) -> Strike {
    let name = format!("{}-{number}", fault.name().replace(' ', "-"));
    Strike { name, write: Some((Which::Number(number), fault)), sight: Sight::Clear }
}

fn every(first: usize, fault: Fault) -> Strike {
    let name = format!("{}-every-{first}", fault.name().replace(' ', "-"));
    Strike { name, write: Some((Which::Every { first, of: STRIDE }, fault)), sight: Sight::Clear }
}

/// Whether every fault is to be alone in its run.
pub(crate) fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

fn share() -> usize {
    if is_alone() { 1 } else { SHARE }
}

/// Every course without a fault, once for all tests.
async fn reference(clusters: &Clusters) -> Result<&'static BTreeMap<&'static str, Reference>> {
    let found = REFERENCE.get_or_try_init(|| async {
        let strike = Strike { name: "reference".to_owned(), write: None, sight: Sight::Clear };
        let runs = COURSES.iter().map(|course| {
            let strike = &strike;
            async move {
                let outcome = run::run(clusters, course, strike, None).await?;
                anyhow::Ok((course.name, outcome.reference))
            }
        });
        let found: BTreeMap<_, _> = stream::iter(runs).buffer_unordered(COURSES.len()).try_collect().await?;
        let mut report = lock();
        for course in &COURSES {
            report.exists(course.name, places(course), &found[course.name]);
        }
        report.complete()?;
        drop(report);
        anyhow::Ok(found)
    });
    found.await.context("the courses without a fault")
}

/// Commands of a course whose writes are points, with the numbers of their acts.
fn places(course: &Course) -> BTreeMap<usize, Verb> {
    let acts = course.acts.iter().enumerate();
    acts.filter_map(|(number, act)| match act {
        Act::Place(verb) | Act::Abandoned(verb) => Some((number, *verb)),
        _ => None,
    })
    .collect()
}

/// The most writes that a command has.
fn most(reference: &BTreeMap<&str, Reference>) -> usize {
    let all = reference.values().flat_map(BTreeMap::values).map(|expected| expected.writes.len());
    all.max().unwrap_or_default()
}

/// Goes through each course with each of the faults that its commands can meet.
async fn struck(
    clusters: &Clusters,
    reference: &'static BTreeMap<&'static str, Reference>,
    strikes: Vec<Strike>,
) -> Result<()> {
    let runs = strikes.iter().flat_map(|strike| COURSES.iter().map(move |course| (course, strike)));
    let runs = runs.filter(|(course, strike)| is_worth(course, strike, &reference[course.name]));
    let ended: Vec<Result<Outcome>> = stream::iter(runs)
        .map(|(course, strike)| async move {
            let outcome = run::run(clusters, course, strike, Some(&reference[course.name])).await;
            if let Err(error) = &outcome {
                println!("{error:#}");
            }
            outcome
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let count = ended.len();
    let mut wrong = Vec::new();
    for outcome in ended {
        match outcome {
            Ok(outcome) => lock().met(outcome),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{} of {count} runs: {}", wrong.len(), wrong.join("\n"));
    let names: BTreeSet<String> = strikes
        .iter()
        .filter_map(|strike| strike.write)
        .filter(|(which, _)| matches!(which, Which::Number(_)))
        .map(|(_, fault)| fault.name())
        .collect();
    let missed = lock().missed(&names, share());
    if missed.is_empty() { Ok(()) } else { Err(anyhow!("points that no run came to: {}", missed.join("; "))) }
}

/// Whether the course has a command that the fault can strike.
fn is_worth(course: &Course, strike: &Strike, reference: &Reference) -> bool {
    let Some((which, fault)) = strike.write else { return !course.is_of_deaths };
    let is_death = matches!(fault, Fault::KilledBefore | Fault::KilledAfter);
    if course.is_of_deaths && !is_death {
        return false;
    }
    let most = reference.values().map(|expected| expected.writes.len()).max().unwrap_or_default();
    match which {
        Which::Number(number) => number <= most,
        Which::Every { first, .. } => first < most,
    }
}

fn lock() -> std::sync::MutexGuard<'static, Report> {
    REPORT.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Prints what was struck and writes it down; nothing if no step was struck.
pub(crate) fn told() -> Result<()> {
    lock().told()
}
