//! Requests that need agents to look first: plans, and starts of plans.
//!
//! The source is looked at, then the target with what the source said. A start looks again, because minutes have
//! passed since the plan: only if the world has the same fingerprint does it run. A cluster that goes away or stays
//! silent ends the request with words, never with a guess.

use std::collections::BTreeSet;

use crate::command::{Command, CommandBody};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::facts::{Description, OutcomeResult, TargetReport};
use crate::ids::{ClusterName, CommandId, Epoch, Ordinal, RequestId, Session};
use crate::input::PlanRequest;
use crate::inspection::{Inspection, Purpose};
use crate::limits;
use crate::migration::timeout_ms;
use crate::planner::{Survey, classes, moving, source_of};
use crate::rejection::Rejection;
use crate::reply::Reply;

use super::Step;

impl Step<'_> {
    pub(super) fn inspect(&mut self, request: RequestId, purpose: Purpose, asked: PlanRequest) {
        if self.observed.inspections.len() >= limits::INSPECTIONS {
            let message = format!("{} plans are being made already: try again", limits::INSPECTIONS);
            self.reply(request, Reply::Rejected(Rejection::Busy(message)));
            return;
        }
        let from = source_of(self.observed, &asked).unwrap_or_default();
        let attached = self.observed.session(&from).is_some();
        let number = self.state.inspections + 1;
        let body = CommandBody::InspectSource { target_pod_cidrs: self.pod_cidrs(&asked.to) };
        let command = self.inspection_command(number, &asked, body);
        let deadline = self.now.plus(limits::INSPECTION_DEADLINE_MS);
        let cluster = from.clone();
        let inspection =
            Inspection { request, purpose, asked, from, cluster, command, source: None, deadline };
        if !attached || inspection.from == inspection.asked.to {
            self.conclude(&inspection, None);
            return;
        }
        self.record(Entry::InspectionNumbered { number });
        self.send_inspection(&inspection);
        self.observed.inspections.insert(number, inspection);
    }

    fn inspection_command(&self, number: u64, asked: &PlanRequest, body: CommandBody) -> Command {
        Command {
            id: CommandId(format!("inspection-{number}/-/{}/1", body.verb())),
            epoch: Epoch(0),
            timeout_ms: timeout_ms(&body),
            workload: asked.workload.clone(),
            migration: None,
            generation: self.state.generation(),
            body,
        }
    }

    fn send_inspection(&mut self, inspection: &Inspection) {
        let cluster = inspection.cluster.clone();
        if let Some(session) = self.observed.session(&cluster) {
            self.release(Effect::Send { cluster, session, command: Box::new(inspection.command.clone()) });
        }
    }

    pub(super) fn resend_inspections(&mut self, cluster: &ClusterName, session: Session) {
        let sends: Vec<Effect> = self
            .observed
            .inspections
            .values()
            .filter(|inspection| inspection.cluster == *cluster)
            .map(|inspection| Effect::Send {
                cluster: cluster.clone(),
                session,
                command: Box::new(inspection.command.clone()),
            })
            .collect();
        self.effects.extend(sends);
    }

    pub(super) fn inspection_of(&self, cluster: &ClusterName, id: &CommandId) -> Option<u64> {
        self.observed
            .inspections
            .iter()
            .find(|(_, inspection)| inspection.cluster == *cluster && inspection.command.id == *id)
            .map(|(number, _)| *number)
    }

    pub(super) fn inspected(&mut self, number: u64, result: OutcomeResult) {
        let Some(mut inspection) = self.observed.inspections.remove(&number) else {
            return;
        };
        let verb = inspection.command.body.verb();
        match (&inspection.command.body, result) {
            (CommandBody::InspectSource { .. }, OutcomeResult::SourceReport(report)) => {
                let description = report.description.clone();
                inspection.source = Some(*report);
                let attached = self.observed.session(&inspection.asked.to).is_some();
                match description {
                    Some(description) if attached => self.inspect_target(number, inspection, description),
                    Some(_) | None => self.conclude(&inspection, None),
                }
            }
            (CommandBody::InspectTarget { .. }, OutcomeResult::TargetReport(report)) => {
                self.conclude(&inspection, Some(&report));
            }
            (_, OutcomeResult::Refusal(refusal)) => {
                let message =
                    format!("cluster {} could not be inspected: {}", inspection.cluster, refusal.message);
                self.reply(inspection.request, Reply::Rejected(Rejection::ClusterSilent(message)));
            }
            (_, OutcomeResult::Unknown(unknown)) => {
                let message =
                    format!("cluster {} could not be inspected: {}", inspection.cluster, unknown.message);
                self.reply(inspection.request, Reply::Rejected(Rejection::ClusterSilent(message)));
            }
            (_, other) => {
                let message = format!(
                    "the agent of {} answered {verb} with evidence of another kind ({}): run agents of the \
                     controller's version",
                    inspection.cluster,
                    other.name()
                );
                self.reply(inspection.request, Reply::Rejected(Rejection::ClusterSilent(message)));
            }
        }
    }

    fn inspect_target(&mut self, number: u64, mut inspection: Inspection, description: Description) {
        let to = inspection.asked.to.clone();
        let record = self.state.ledger.workloads.get(&inspection.asked.workload);
        let known_uids = record.map(|record| record.known_in(&to)).unwrap_or_default();
        let ordinals: BTreeSet<Ordinal> =
            moving(&description, &inspection.asked).unwrap_or_default().into_iter().collect();
        let body = CommandBody::InspectTarget {
            description: Box::new(description),
            known_uids,
            ordinals: ordinals.into_iter().collect(),
            storage_classes: classes(self.state, &inspection.from, &inspection.asked),
            source_pod_cidrs: self.pod_cidrs(&inspection.from),
            pod_cidrs: self.pod_cidrs(&to),
        };
        inspection.command = self.inspection_command(number, &inspection.asked, body);
        inspection.cluster = to;
        self.send_inspection(&inspection);
        self.observed.inspections.insert(number, inspection);
    }

    /// Pod networks that a cluster declared; none if it was never attached.
    fn pod_cidrs(&self, cluster: &ClusterName) -> Vec<String> {
        self.state.clusters.get(cluster).map(|record| record.pod_cidrs.clone()).unwrap_or_default()
    }

    /// Everything that could be asked has been: the plan, or the start of it.
    fn conclude(&mut self, inspection: &Inspection, target: Option<&TargetReport>) {
        let asked = PlanRequest {
            from: Some(inspection.from.clone()).filter(|from| !from.as_str().is_empty()),
            ..inspection.asked.clone()
        };
        let source = inspection.source.as_ref();
        let survey = Survey {
            state: self.state,
            observed: self.observed,
            asked: &asked,
            source,
            target,
            now: self.now,
        };
        let record = survey.plan();
        match &inspection.purpose {
            Purpose::Plan => {
                let plan = record.plan.clone();
                if plan.hash.is_some() {
                    self.record(Entry::PlanMade { record: Box::new(record) });
                }
                self.reply(inspection.request, Reply::Planned(Box::new(plan)));
            }
            Purpose::Start { hash, by } => {
                let description = source.and_then(|report| report.description.as_ref());
                let reply = self.start_planned(hash, by, &record, description.zip(target));
                self.reply(inspection.request, reply);
            }
        }
    }

    pub(super) fn fail_inspections_of(&mut self, cluster: &ClusterName) {
        let failed: Vec<u64> = self
            .observed
            .inspections
            .iter()
            .filter(|(_, inspection)| inspection.cluster == *cluster)
            .map(|(number, _)| *number)
            .collect();
        for number in failed {
            if let Some(inspection) = self.observed.inspections.remove(&number) {
                let message = format!(
                    "the agent of cluster {cluster} went away while it was looking: see to it, then ask again"
                );
                self.reply(inspection.request, Reply::Rejected(Rejection::ClusterNotAttached(message)));
            }
        }
    }

    pub(super) fn expire_inspections(&mut self) {
        let now = self.now;
        let expired: Vec<u64> = self
            .observed
            .inspections
            .iter()
            .filter(|(_, inspection)| inspection.deadline <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in expired {
            if let Some(inspection) = self.observed.inspections.remove(&number) {
                let message = format!(
                    "the agent of cluster {} did not answer within {} s: see to it, then ask again",
                    inspection.cluster,
                    limits::INSPECTION_DEADLINE_MS / 1000
                );
                self.reply(inspection.request, Reply::Rejected(Rejection::ClusterSilent(message)));
            }
        }
    }
}
