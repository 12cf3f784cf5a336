//! Plans: what agents found and what the ledger knows, merged into one answer with one hash.
//!
//! The checks K1 to K15 are the agents': each sees its own cluster. What only the ledger can see is refused here,
//! under the code `P`: who owns what, what is on its way, where a disk is usable twice. Every refusal is named, not
//! just the first one. The hash covers everything that matters but times; what it is made of is in `fingerprint`.

mod fingerprint;
mod refusals;
mod storage;

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Description, Finding, SourceReport, TargetReport};
use crate::ids::{ClusterName, Ordinal, PlanHash, Workload};
use crate::input::PlanRequest;
use crate::limits;
use crate::observed::Observed;
use crate::plan::{Order, Plan, PlanRecord, PlannedVolume, PlannedWrite};
use crate::state::State;
use crate::time::Millis;

pub(crate) use fingerprint::differences;

/// What a plan is made from.
pub(crate) struct Survey<'a> {
    pub(crate) state: &'a State,
    pub(crate) observed: &'a Observed,
    pub(crate) asked: &'a PlanRequest,
    /// What the source said, if it could be asked.
    pub(crate) source: Option<&'a SourceReport>,
    /// What the target said, if it could be asked.
    pub(crate) target: Option<&'a TargetReport>,
    pub(crate) now: Millis,
}

/// The cluster to move from: the one that was named, or the only one that runs replicas of the workload.
pub(crate) fn source_of(observed: &Observed, asked: &PlanRequest) -> Option<ClusterName> {
    if asked.from.is_some() {
        return asked.from.clone();
    }
    // The target may run some of it: what an earlier migration moved.
    let runs_in = refusals::runs_in(observed, &asked.workload);
    let others: Vec<&ClusterName> = runs_in.iter().filter(|cluster| **cluster != asked.to).collect();
    match (others.as_slice(), runs_in.as_slice()) {
        ([only], _) => Some((*only).clone()),
        ([], [only]) => Some(only.clone()),
        _ => None,
    }
}

/// Names of the target's StorageClasses by the source's: what admins mapped, and what this plan maps otherwise.
pub(crate) fn classes(state: &State, from: &ClusterName, asked: &PlanRequest) -> BTreeMap<String, String> {
    let mut classes = state.storage.classes(from, &asked.to, &asked.workload.namespace);
    classes.extend(asked.storage_classes.clone());
    classes
}

/// The ordinals that are to move, in their order, or all of the slice if those that were asked for are not a run at the
/// edge where the order begins.
pub(crate) fn moving(description: &Description, asked: &PlanRequest) -> Result<Vec<Ordinal>, Vec<Ordinal>> {
    let all = in_order(description, asked.order);
    if asked.ordinals.is_empty() {
        return Ok(all);
    }
    let wanted: BTreeSet<Ordinal> = asked.ordinals.iter().copied().collect();
    let first: BTreeSet<Ordinal> = all.iter().take(wanted.len()).copied().collect();
    if first == wanted { Ok(all.into_iter().take(wanted.len()).collect()) } else { Err(all) }
}

/// The ordinals in the order they will move.
fn in_order(description: &Description, order: Order) -> Vec<Ordinal> {
    let slice = description.slice;
    if slice.replicas as usize > limits::ORDINALS {
        return Vec::new();
    }
    let ordinals = slice.ordinals();
    match order {
        Order::HighestFirst => ordinals.rev().collect(),
        Order::LowestFirst => ordinals.collect(),
    }
}

impl Survey<'_> {
    /// The plan; it has a hash if nothing refuses it.
    pub(crate) fn plan(&self) -> PlanRecord {
        let from = source_of(self.observed, self.asked).unwrap_or_default();
        let to = &self.asked.to;
        let description = self.source.and_then(|report| report.description.as_ref());
        let mut findings = refusals::all(self, &from);
        findings.extend(of_cluster(&from, self.source.map(|report| report.findings.as_slice())));
        findings.extend(of_cluster(to, self.target.map(|report| report.findings.as_slice())));
        findings.sort_by(|a, b| key(a).cmp(&key(b)));
        let ordinals = description.and_then(|known| moving(known, self.asked).ok()).unwrap_or_default();
        let volumes = description.map(|known| volumes(known, &ordinals)).unwrap_or_default();
        let mut plan = Plan {
            hash: None,
            workload: self.asked.workload.clone(),
            from: from.clone(),
            to: to.clone(),
            order: self.asked.order,
            ordinals,
            budget: description.map_or(0, |known| known.budget),
            volumes,
            writes: self.writes(&from),
            findings,
            expires_at: self.now.plus(limits::PLAN_TTL_MS),
            storage_classes: classes(self.state, &from, self.asked),
            deadlines: deadlines(self.asked),
            on_failure: self.asked.on_failure,
        };
        let parts = fingerprint::parts(self, &plan);
        let refused = plan.findings.iter().any(|finding| finding.severity == crate::facts::Severity::Refuse);
        if !refused && description.is_some() && self.target.is_some() {
            plan.hash = Some(PlanHash(fingerprint::digest_of_parts(&parts)));
        }
        PlanRecord { plan, parts }
    }

    fn writes(&self, from: &ClusterName) -> Vec<PlannedWrite> {
        let of = |cluster: &ClusterName, writes: &[String]| -> Vec<PlannedWrite> {
            writes
                .iter()
                .map(|write| PlannedWrite { cluster: cluster.clone(), write: write.clone() })
                .collect()
        };
        let description = self.source.and_then(|report| report.description.as_ref());
        let mut writes = description.map(|known| of(from, &known.planned_writes)).unwrap_or_default();
        writes
            .extend(self.target.map(|report| of(&self.asked.to, &report.planned_writes)).unwrap_or_default());
        writes
    }

    fn workload(&self) -> &Workload {
        &self.asked.workload
    }
}

/// Refusals first, then by check.
fn key(finding: &Finding) -> (std::cmp::Reverse<crate::facts::Severity>, u32, &str, &str, &str, &str) {
    let number = finding.check.trim_start_matches('K').parse().unwrap_or(0);
    (
        std::cmp::Reverse(finding.severity),
        number,
        &finding.check,
        &finding.code,
        &finding.cluster,
        &finding.subject,
    )
}

fn of_cluster(cluster: &ClusterName, findings: Option<&[Finding]>) -> Vec<Finding> {
    let name = |finding: &Finding| Finding { cluster: cluster.0.clone(), ..finding.clone() };
    findings.unwrap_or_default().iter().map(name).collect()
}

/// How long each step may take: the defaults, and what was asked for otherwise.
fn deadlines(asked: &PlanRequest) -> BTreeMap<u32, u64> {
    let mut deadlines: BTreeMap<u32, u64> = limits::STEP_DEADLINES_MS.into_iter().collect();
    deadlines.extend(&asked.deadlines);
    deadlines
}

fn volumes(description: &Description, moving: &[Ordinal]) -> Vec<PlannedVolume> {
    description
        .ordinals
        .iter()
        .filter(|of| moving.contains(&of.ordinal))
        .flat_map(|of| {
            of.volumes.iter().map(|volume| PlannedVolume {
                ordinal: of.ordinal,
                claim: volume.claim.name.clone(),
                pv_name: volume.volume.name.clone(),
                driver: volume.driver.clone(),
                handle: volume.handle.clone(),
            })
        })
        .collect()
}
