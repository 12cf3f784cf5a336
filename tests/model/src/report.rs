//! What was explored, for people and for whoever counts.
//!
//! One line for each exploration with its counts, and below it the shortest way to what was found, an action a line. The
//! same goes to a file as JSON. Counts are of states that were come to, of different ones among them, and of actions on the
//! longest of the shortest ways; they change with every change of the protocol, so nothing compares them.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::{explorations::Exploration, model::Explored};

/// Above the lines.
pub(crate) const HEAD: &str = "     states     unique  depth  seconds  exploration: what was found";

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    exploration: &'a Exploration,
    #[serde(flatten)]
    explored: &'a Explored,
    as_expected: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    states: usize,
    unique_states: usize,
    seconds: f64,
    as_expected: bool,
    explorations: Vec<Line<'a>>,
}

/// One exploration in words.
pub(crate) fn told(exploration: &Exploration, explored: &Explored) -> String {
    let Explored { states, unique_states, depth, seconds, broken, ends, .. } = explored;
    let name = exploration.bounds.name;
    let mut text = format!("{states:>11} {unique_states:>10} {depth:>6} {seconds:>8.1}  {name}: ");
    let wanted = broken.iter().find(|broken| Some(broken.property) == exploration.finds);
    let Some(first) = wanted.or(broken.first()) else {
        let _ = writeln!(text, "all hold; ends: {}", ends.join(", "));
        return text;
    };
    let expected = if explored.is_expected(exploration.finds) { "as expected" } else { "UNEXPECTED" };
    let _ = writeln!(text, "{} is broken, {expected}, in {} actions:", first.property, first.way.len());
    for line in &first.way {
        let _ = writeln!(text, "{:>40}{line}", "");
    }
    text
}

/// All of them.
pub(crate) fn sum(explored: &[(Exploration, Explored)]) -> String {
    let report = report(explored);
    format!(
        "{} explorations, {} states, {} of them different, {:.0} s",
        explored.len(),
        report.states,
        report.unique_states,
        report.seconds
    )
}

fn report(explored: &[(Exploration, Explored)]) -> Report<'_> {
    let lines = explored.iter().map(|(exploration, explored)| Line {
        exploration,
        explored,
        as_expected: explored.is_expected(exploration.finds),
    });
    let all = || explored.iter().map(|(_, explored)| explored);
    Report {
        states: all().map(|of| of.states).sum(),
        unique_states: all().map(|of| of.unique_states).sum(),
        seconds: all().map(|of| of.seconds).sum(),
        as_expected: explored.iter().all(|(exploration, explored)| explored.is_expected(exploration.finds)),
        explorations: lines.collect(),
    }
}

/// Writes the figures; where to.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn write(explored: &[(Exploration, Explored)]) -> anyhow::Result<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let folder = root.join("target/model");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join("report.json");
    fs::write(&path, serde_json::to_vec_pretty(&report(explored))?)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
