//! What was struck, and what came of it: lines for people, `target/steps/report.json` for everything else.
//!
//! Points are counted, not claimed: what exists comes from the runs without faults, what was recovered from those with
//! them, and [`Report::missed`] is the difference. [`Report::complete`] holds both against the commands of the wire, so
//! that none is left out. What a fault does, and what has to hold after it, is not known here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    harmless,
    run::{Hit, Outcome, Reference},
    stopped::Late,
};
use crate::journey::{Journey, Verb};

/// Where it is written.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/steps");
/// The wire.
const WIRE: &str = include_str!("../../../proto/ferry/agent/v1/agent.proto");
/// Commands that change nothing.
const READING: [&str; 2] = ["inspect_source", "inspect_target"];

type Place = (&'static str, usize);

/// What all tests of one process struck.
#[derive(Debug)]
pub(crate) struct Report {
    /// Writes of each place, and its command.
    exists: BTreeMap<Place, (Verb, Vec<String>)>,
    /// The least writes that a place made in a run that did not strike it: one that had to try twice made more.
    least: BTreeMap<Place, usize>,
    /// What was met and recovered from.
    met: BTreeSet<Hit>,
    /// What was done to processes that were stopped.
    stopped: Stopped,
}

/// Writes that were held while what they belong to was taken back.
#[derive(Debug)]
struct Stopped {
    /// Command and number of the write, with the write and the API server's answer.
    pub(crate) refused: BTreeMap<(Verb, usize), (String, u16)>,
    /// The same, with the reason why a write that passed does no harm.
    pub(crate) harmless: BTreeMap<(Verb, usize), (String, &'static str)>,
}

impl Report {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        let stopped = Stopped { refused: BTreeMap::new(), harmless: BTreeMap::new() };
        Self { exists: BTreeMap::new(), least: BTreeMap::new(), met: BTreeSet::new(), stopped }
    }

    /// The writes of a course without a fault.
    pub(crate) fn exists(&mut self, course: &'static str, places: BTreeMap<usize, Verb>, found: &Reference) {
        for (number, verb) in places {
            let writes = found.get(&number).map(|expected| expected.writes.clone()).unwrap_or_default();
            self.exists.insert((course, number), (verb, writes));
        }
    }

    /// What a run recovered from.
    pub(crate) fn met(&mut self, Outcome { hits, shorter, .. }: Outcome) {
        for (place, made) in shorter {
            let least = self.least.entry(place).or_insert(made);
            *least = made.min(*least);
        }
        self.met.extend(hits.into_iter().filter(|hit| self.exists.contains_key(&hit.place)));
    }

    /// Writes that exist, in every run that came so far, and did not meet one of `faults`.
    pub(crate) fn missed(&self, faults: &BTreeSet<String>, share: usize) -> Vec<String> {
        let mut missed = Vec::new();
        for (place, (verb, writes)) in &self.exists {
            let least = self.least.get(place).copied().unwrap_or(usize::MAX);
            for (at, name) in writes.iter().enumerate().take(least).step_by(share) {
                for fault in faults {
                    let is_death = fault.starts_with("killed");
                    let is_met =
                        |hit: &Hit| hit.place == *place && hit.number == at + 1 && hit.fault == *fault;
                    if (is_death || place.0 != "abandoned") && !self.met.iter().any(is_met) {
                        missed.push(format!("{verb:?}, write {} ({name}), {fault}", at + 1));
                    }
                }
            }
        }
        missed
    }

    /// Processes that were stopped before their write of that number went on.
    pub(crate) fn let_go(&mut self, number: usize, late: Vec<Late>) {
        for Late { verb, write, status } in late {
            match harmless::reason(verb, &write).filter(|_| status < 300) {
                Some(reason) => drop(self.stopped.harmless.insert((verb, number), (write, reason))),
                None => drop(self.stopped.refused.insert((verb, number), (write, status))),
            }
        }
    }

    /// Commands that were stopped.
    pub(crate) fn held(&self) -> BTreeSet<Verb> {
        let Stopped { refused, harmless } = &self.stopped;
        refused.keys().chain(harmless.keys()).map(|(verb, _)| *verb).collect()
    }

    /// Every command of the wire that changes something has writes that are points.
    pub(crate) fn complete(&self) -> Result<()> {
        let struck: BTreeSet<&str> = self
            .exists
            .values()
            .filter(|(verb, writes)| !writes.is_empty() && !matches!(verb, Verb::Mirror | Verb::Unmirror))
            .map(|(verb, _)| super::named(&Journey::default().body(*verb)))
            .collect();
        let body = WIRE.split_once("oneof body {").context("the wire has no commands")?.1;
        let body = body.split_once('}').context("the wire's commands do not end")?.0;
        let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && line.contains('='));
        let commands = lines.filter_map(|line| line.split_whitespace().nth(1));
        let without: Vec<_> =
            commands.filter(|name| !READING.contains(name) && !struck.contains(name)).collect();
        ensure!(without.is_empty(), "commands whose writes no course strikes: {without:?}");
        Ok(())
    }

    /// Prints and writes what was struck, unless nothing was.
    pub(crate) fn told(&self) -> Result<()> {
        if self.met.is_empty() && self.stopped.refused.is_empty() {
            return Ok(());
        }
        let mut by_step: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
        let mut by_fault: BTreeMap<&str, usize> = BTreeMap::new();
        for hit in &self.met {
            *by_step.entry(format!("{:?}", hit.verb)).or_default().entry(&hit.fault).or_default() += 1;
            *by_fault.entry(&hit.fault).or_default() += 1;
        }
        let writes: usize = self.exists.values().map(|(_, writes)| writes.len()).sum();
        for (step, faults) in &by_step {
            println!("step {step}: {faults:?}");
        }
        println!("steps: {writes} writes, {} points (step x write x fault), all recovered", self.met.len());
        for (fault, points) in &by_fault {
            println!("fault {fault}: {points} points");
        }
        let Stopped { refused, harmless } = &self.stopped;
        let points = refused.len() + harmless.len();
        println!("stopped: {points} writes held, {} refused, {} harmless", refused.len(), harmless.len());
        for ((verb, number), (write, reason)) in harmless {
            println!("harmless: {verb:?}, write {number} ({write}): {reason}");
        }
        let named: Vec<_> = harmless
            .iter()
            .map(|((verb, number), (write, reason))| {
                json!({"step": format!("{verb:?}"), "number": number, "write": write, "reason": reason})
            })
            .collect();
        let report = json!({
            "alone": super::is_alone(),
            "writes": writes,
            "points": {"total": self.met.len(), "by_step": by_step, "by_fault": by_fault},
            "recovered": self.met.len(),
            "sigstop": {"points": points, "refused": refused.len(), "harmless": named},
        });
        std::fs::create_dir_all(FOLDER)?;
        let path = Path::new(FOLDER).join("report.json");
        std::fs::write(&path, serde_json::to_string_pretty(&report)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
