//! Reads what a plan needs: the checks K* of handoff.md that one cluster can see, and the workload's description.
//!
//! Two inspections, one for each side. Each reads its facts once ([`facts`]), hands them to every check, and reports
//! all findings at once: a person who repairs three faults must not need four plans. A check is a function of the
//! facts, one file each; what it lacks, it says, instead of passing. Nothing is written: server-side dry runs ask
//! admission and persist nothing.
//!
//! What needs both sides (K7, K14) is checked by the target, which is told what it needs of the source. Storage domains
//! (K6), and whether two workloads conflict, are the planner's business, which knows all clusters.

mod amounts;
mod budget;
mod compare;
mod describe;
mod dry_run;
mod facts;
mod finding;
mod k01_ordinals;
mod k02_rollout;
mod k03_available;
mod k04_collision;
mod k05_csi;
mod k07_class;
mod k08_quota;
mod k08_room;
mod k09_admission;
mod k10_deletion;
mod k11_budget;
mod k12_template;
mod k12_volumes;
mod k13_writers;
mod k14_identity;
mod k14_leader;
mod k14_network;
mod k14_policies;
mod k14_service;
mod k14_spread;
mod k15_nodes;
mod network;
mod nodes;
mod place;
mod planned;
mod read;
mod read_source;
mod read_target;
mod shape;
mod template;

#[cfg(test)]
mod fixtures;

use ferry_proto::agent::v1::{
    Finding, InspectSource, InspectTarget, Severity, Slice, SourceReport, TargetReport,
};

use crate::{
    context::Context,
    outcome::{Ended, Evidence},
};

pub(crate) use describe::DNS_TTL;

/// A check of the source: every finding it has.
type SourceCheck = fn(&facts::Source) -> Vec<Finding>;

/// In the order in which the plan prints them.
const SOURCE_CHECKS: [SourceCheck; 15] = [
    |facts| k01_ordinals::check(&facts.server),
    k02_rollout::check,
    k03_available::check,
    k05_csi::check,
    k10_deletion::check,
    k11_budget::check,
    k12_volumes::check,
    k13_writers::check,
    k14_service::check,
    k14_network::check,
    k14_policies::check,
    k14_spread::check,
    k14_identity::check,
    k14_leader::check,
    k15_nodes::check,
];

/// Describes the command's workload and checks it as a source.
///
/// # Errors
/// What could not be read: see [`crate::outcome::Stop`].
pub async fn source(ctx: &Context, command: InspectSource) -> Ended {
    let Some(facts) = read_source::read(ctx, &command.target_pod_cidrs).await? else {
        let missing = k03_available::missing(&ctx.command.namespace, &ctx.command.workload);
        return Ok(Evidence::SourceReport(SourceReport { description: None, findings: vec![missing] }));
    };
    let findings = SOURCE_CHECKS.iter().flat_map(|check| check(&facts)).collect();
    let description = Some(describe::describe(&facts));
    Ok(Evidence::SourceReport(SourceReport { description, findings: worst_first(findings) }))
}

/// Checks this cluster as the target of a described workload.
///
/// # Errors
/// What could not be read, or a description that is not understood: see [`crate::outcome::Stop`].
pub async fn target(ctx: &Context, command: InspectTarget) -> Ended {
    let volumes = match &command.description {
        Some(description) => read_target::described_volumes(description)?,
        None => Vec::new(),
    };
    let facts = read_target::read(ctx, command, &volumes).await?;
    let mut findings = k01_ordinals::check(&facts.server);
    findings.extend(k04_collision::check(&facts, &volumes));
    findings.extend(k05_csi::check_target(&facts, &volumes));
    findings.extend(k07_class::check(&facts, &volumes));
    findings.extend(k08_room::check(&facts));
    findings.extend(k08_quota::check(&facts));
    findings.extend(k09_admission::check(&facts));
    findings.extend(k11_budget::check_target(&facts));
    findings.extend(k14_network::check_target(&facts));
    findings.extend(k14_policies::check_target(&facts));
    let ours = facts.set.as_ref().filter(|_| facts.set_is_ours());
    let shape = ours.map(|set| shape::Shape::of(&set.object));
    Ok(Evidence::TargetReport(TargetReport {
        findings: worst_first(findings),
        stateful_set_uid: ours.and_then(|set| set.object.metadata.uid.clone()).unwrap_or_default(),
        slice: shape.map(|shape| Slice { start: shape.start, replicas: shape.replicas }),
        planned_writes: planned::target(&facts),
    }))
}

/// Refusals, then warnings, then notes; each in the order of the checks.
fn worst_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| {
        let severity = finding.severity();
        [Severity::Refuse, Severity::Warn, Severity::Note].iter().position(|one| *one == severity)
    });
    findings
}
