//! Ferry's side of a comparison: a migration by the operator's command, and when each ordinal began and ended.
//!
//! The times are those that `ferry migrate -o json` prints: an ordinal begins with step 1, before anything is asked of
//! a cluster, and ends with step 13, after both clusters have settled. Preparation and the plan come once for all
//! ordinals and before a replica stops; they are not part of a handoff on either side.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::reaction::Handoff;
use super::workload::Workload;
use crate::ferry::Ferry;

/// Longest time of one migration.
const MIGRATION: Duration = Duration::from_secs(300);

/// Migrates the workload; each handoff, in order.
///
/// # Errors
/// The migration does not complete.
pub async fn migrate(
    ferry: &Ferry,
    workload: &Workload,
    (from, to): (&str, &str),
    order: &str,
) -> Result<Vec<Handoff>> {
    let set = format!("statefulset/{}", workload.name);
    let arguments =
        ["migrate", "-n", &workload.name, &set, "--to", to, "--order", order, "--yes", "-o", "json"];
    let run = tokio::time::timeout(MIGRATION, ferry.cli().run(&arguments)).await;
    let output = run.with_context(|| format!("{} was not moved within {MIGRATION:?}", workload.name))??;
    let output = output.success()?;
    let last = output.stdout.lines().last().context("`ferry migrate` printed nothing")?;
    let migration: Value = serde_json::from_str(last)?;
    ensure!(migration["phase"] == "completed", "{} ended as {}", workload.name, migration["phase"]);
    let ordinals = migration["ordinals"].as_array().context("no ordinals")?;
    ordinals
        .iter()
        .map(|ordinal| {
            let time = |field: &str| {
                let text = ordinal[field].as_str().with_context(|| format!("no {field}"))?;
                anyhow::Ok(text.parse()?)
            };
            Ok(Handoff {
                source: from.to_owned(),
                target: to.to_owned(),
                ordinal: u32::try_from(ordinal["ordinal"].as_u64().context("no ordinal")?)?,
                began: time("startedAt")?,
                ended: time("endedAt")?,
            })
        })
        .collect()
}
