//! Plans: what agents found and what the ledger knows, merged into one answer with one hash.
//!
//! The checks K1 to K15 are the agents': each sees its own cluster. What only the ledger can see is refused here,
//! under the code `P`: who owns what, what is on its way, where a disk is usable twice. Every refusal is named, not
//! just the first one. The hash covers everything that matters but times; what it is made of is in `fingerprint`.

mod fingerprint;
mod refusals;

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
    match refusals::runs_in(observed, &asked.workload).as_slice() {
        [only] => Some(only.clone()),
        [] | [_, _, ..] => None,
    }
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
        let mut plan = Plan {
            hash: None,
            workload: self.asked.workload.clone(),
            from: from.clone(),
            to: to.clone(),
            order: self.asked.order,
            ordinals: description.map(|known| in_order(known, self.asked.order)).unwrap_or_default(),
            budget: description.map_or(0, |known| known.budget),
            volumes: description.map(volumes).unwrap_or_default(),
            writes: self.writes(&from),
            findings,
            expires_at: self.now.plus(limits::PLAN_TTL_MS),
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

fn volumes(description: &Description) -> Vec<PlannedVolume> {
    description
        .ordinals
        .iter()
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
