//! What came of it: printed for a person, and as `target/chaos/report.json`.
//!
//! `blows` by kind, each with its target and time away; `migrations` with how each ended; `outcome` as the demo's
//! report has it (writes acknowledged and found, longest gap of the client, disks verified, violations); `failure` if
//! the run could not go on.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use ferry_tests::app::crossing::Outcome;
use serde::Serialize;

use crate::blow::{Blow, Kind};
use crate::journey::Migration;

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/chaos");

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    blows_by_kind: BTreeMap<Kind, usize>,
    blows: Vec<Blow>,
    migrations: Vec<Migration>,
    /// Handoffs that the completed migrations stand for; the observer has to have seen as many.
    handoffs_expected: usize,
    outcome: Outcome,
    failure: Option<String>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        blows: Vec<Blow>,
        migrations: Vec<Migration>,
        handoffs_expected: usize,
        outcome: Outcome,
        failure: Option<String>,
    ) -> Self {
        let mut blows_by_kind = BTreeMap::new();
        for blow in &blows {
            *blows_by_kind.entry(blow.kind).or_default() += 1;
        }
        Self { seed, blows_by_kind, blows, migrations, handoffs_expected, outcome, failure }
    }

    /// Whether every migration ended well and nothing was lost or broken.
    pub(crate) fn is_clean(&self) -> bool {
        self.failure.is_none()
            && self.outcome.is_clean()
            && self.outcome.handoffs == self.handoffs_expected
            && self.outcome.writes_acknowledged > 0
            && !self.migrations.is_empty()
            && self.migrations.iter().all(|migration| migration.phase == "completed")
    }

    pub(crate) fn print(&self) {
        println!("\nblows                 {}", self.blows.len());
        for (kind, count) in &self.blows_by_kind {
            println!("  {:<19} {count}", format!("{kind:?}"));
        }
        println!("migrations            {}", self.migrations.len());
        for (phase, count) in self.phases() {
            println!("  {phase:<19} {count}");
        }
        let outcome = &self.outcome;
        println!("writes acknowledged   {}", outcome.writes_acknowledged);
        println!("writes found          {}", outcome.writes_found);
        if let Some(outage) = &outcome.outage {
            println!("  OUTAGE {outage}");
        }
        println!("longest client gap    {} ms", outcome.longest_client_gap_ms);
        println!("handoffs              {} of {}", outcome.handoffs, self.handoffs_expected);
        println!("disks verified        {}", outcome.disks_verified);
        for fault in &outcome.disks_failed {
            println!("  DISK {fault}");
        }
        println!("violations            {}", outcome.violations.len());
        for violation in &outcome.violations {
            println!("  {violation}");
        }
        println!("seconds               {}", outcome.seconds);
        if let Some(failure) = &self.failure {
            println!("FAILED                {failure}");
        }
    }

    fn phases(&self) -> BTreeMap<&str, usize> {
        let mut phases = BTreeMap::new();
        for migration in &self.migrations {
            *phases.entry(migration.phase.as_str()).or_default() += 1;
        }
        phases
    }

    pub(crate) fn write(&self) -> Result<()> {
        std::fs::create_dir_all(PLACE)?;
        let path = Path::new(PLACE).join("report.json");
        std::fs::write(&path, serde_json::to_vec_pretty(self)?).context("the report")
    }
}
