//! What people, scripts and enrolment ask.
//!
//! Reads are answered from what is known now. Changes are answered in the same step as their entries, so a reply is
//! released only once what it says is durable.
//! Starting is the one request with two looks at the world: `before_start`, and after the inspection `start_planned`.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::Entry;
use crate::facts::{Description, OrdinalEpoch, TargetReport};
use crate::ids::{Epoch, MigrationId, Ordinal, PlanHash, RequestId, ServiceName, TokenHash};
use crate::input::{MigrationFilter, PlanRequest, Request};
use crate::inspection::Purpose;
use crate::limits;
use crate::migration::{Ask, Control, Migration, OrdinalProgress, Phase, Stage, Work};
use crate::plan::{Plan, PlanRecord};
use crate::planner::differences;
use crate::rejection::Rejection;
use crate::reply::{ClusterView, Reply};
use crate::slice::Slice;
use crate::time::Millis;
use crate::tokens::{Subject, Token};
use crate::volume::list;

use super::Step;
use super::finish::claims;

/// Only steps that take time have deadlines, within reason.
fn deadlines_fit(asked: &PlanRequest) -> Result<(), Rejection> {
    let (least, most) = (limits::STEP_DEADLINE_LEAST_MS, limits::STEP_DEADLINE_MOST_MS);
    for (step, ms) in &asked.deadlines {
        let known = limits::STEP_DEADLINES_MS.iter().any(|(known, _)| known == step);
        if !known || !(least..=most).contains(ms) {
            let steps: Vec<String> =
                limits::STEP_DEADLINES_MS.iter().map(|(step, _)| step.to_string()).collect();
            return Err(Rejection::Invalid(format!(
                "a deadline of {ms} ms for step {step}; expected {least} to {most} ms for one of the steps {}",
                steps.join(", ")
            )));
        }
    }
    Ok(())
}

/// Both slices together: they touch, or the first handoff would not fit.
fn span(source: Slice, target: Slice) -> Slice {
    let start = if target.is_empty() { source.start } else { source.start.min(target.start) };
    Slice::new(start, source.replicas + target.replicas)
}

impl Step<'_> {
    pub(super) fn asked(&mut self, request: RequestId, body: Request) {
        if let Some(action) = self.action(&body) {
            self.observed.actions.insert(request, action);
        }
        if let Some(reply) = self.answer(request, body) {
            self.reply(request, reply);
        }
    }

    /// The answer; none if agents have to be asked first.
    fn answer(&mut self, request: RequestId, body: Request) -> Option<Reply> {
        Some(match body {
            Request::CreateToken { hash, subject, expires_at, by: _ } => {
                self.create_token(hash, subject, expires_at)
            }
            Request::RedeemToken { hash } => self.redeem_token(hash),
            Request::CreatePlan(asked) => {
                if let Err(rejection) = deadlines_fit(&asked) {
                    return Some(Reply::Rejected(rejection));
                }
                self.inspect(request, Purpose::Plan, asked);
                return None;
            }
            Request::StartMigration { hash, by } => match self.before_start(&hash) {
                Ok(asked) => {
                    self.inspect(request, Purpose::Start { hash, by }, asked);
                    return None;
                }
                Err(reply) => reply,
            },
            Request::PauseMigration { id, by } => self.control(&id, Ask::Pause, &by),
            Request::ResumeMigration { id, by } => self.control(&id, Ask::Resume, &by),
            Request::RollbackMigration { id, all, by } => {
                self.control(&id, if all { Ask::Rollback } else { Ask::Undo }, &by)
            }
            Request::AttestFenced { node, reason, by: _ } => self.attest(&node, &reason),
            Request::FinishMigration { id, accept, by } => return self.finish(request, &id, accept, &by),
            Request::SetStorageDomain { set, by: _ } => self.set_storage_domain(set),
            Request::ListStorageDomains => Reply::StorageDomains(self.state.storage.domains.clone()),
            Request::AddStorageMap { map, by: _ } => self.add_storage_map(map),
            Request::RemoveStorageMap { map, by: _ } => self.remove_storage_map(map),
            Request::ListStorageMaps => Reply::StorageMaps(self.state.storage.maps.clone()),
            Request::ProbeStorage { asked, by: _ } => return self.probe(request, asked),
            Request::ListClusters => Reply::Clusters(self.clusters()),
            Request::ListVolumes(filter) => Reply::Volumes(list(&self.state.ledger, &filter)),
            Request::ListMigrations(filter) => Reply::Migrations(self.migrations(&filter)),
            Request::GetMigration { id } => match self.state.migrations.get(&id) {
                Some(migration) => Reply::Migration(Box::new(migration.clone())),
                None => Reply::Rejected(Self::unknown_migration(&id)),
            },
        })
    }

    fn create_token(&mut self, hash: TokenHash, subject: Subject, expires_at: Millis) -> Reply {
        let live = self.state.tokens.by_hash.values().filter(|token| token.expires_at > self.now).count();
        if live >= limits::TOKENS {
            let message = format!("{} tokens have not expired yet: wait for some to", limits::TOKENS);
            return Reply::Rejected(Rejection::Busy(message));
        }
        let token = Token { subject, expires_at, redeemed_at: None };
        let at = self.now;
        self.record(Entry::TokenCreated { hash, token, at });
        Reply::TokenCreated
    }

    fn redeem_token(&mut self, hash: TokenHash) -> Reply {
        match self.state.tokens.redeemable(&hash, self.now).cloned() {
            Ok(subject) => {
                let at = self.now;
                self.record(Entry::TokenRedeemed { hash, at });
                Reply::TokenRedeemed(subject)
            }
            Err(rejection) => Reply::Rejected(rejection),
        }
    }

    /// The migration that this plan became, if it did.
    fn started_by_plan(&self, hash: &PlanHash) -> Option<Reply> {
        let known = self.state.migrations.values().find(|migration| migration.plan_hash == *hash)?;
        Some(Reply::Started(Box::new(known.clone())))
    }

    /// What can be told without looking at the clusters again.
    fn before_start(&self, hash: &PlanHash) -> Result<PlanRequest, Reply> {
        if let Some(started) = self.started_by_plan(hash) {
            return Err(started);
        }
        let Some(record) = self.state.plans.get(hash) else {
            return Err(Reply::Rejected(Rejection::PlanUnknown(format!(
                "no plan {hash} is known: it was refused, is one of more than {} made since, or was made by another \
                 controller; plan again and approve that",
                limits::PLANS
            ))));
        };
        let plan = &record.plan;
        if plan.expires_at <= self.now {
            return Err(Reply::Rejected(Rejection::PlanExpired(format!(
                "plan {hash} expired {} s ago; it could be started for {} min: plan again and approve that",
                self.now.since(plan.expires_at) / 1000,
                limits::PLAN_TTL_MS / 60_000
            ))));
        }
        self.may_start(plan).map_err(Reply::Rejected)?;
        Ok(PlanRequest {
            workload: plan.workload.clone(),
            from: Some(plan.from.clone()),
            to: plan.to.clone(),
            order: plan.order,
            ordinals: plan.ordinals.clone(),
            storage_classes: plan.storage_classes.clone(),
            deadlines: plan.deadlines.clone(),
            on_failure: plan.on_failure,
        })
    }

    fn may_start(&self, plan: &Plan) -> Result<(), Rejection> {
        if let Some(running) = self.state.running(&plan.workload) {
            return Err(Rejection::AlreadyMigrating(format!(
                "migration {} moves {} from {} to {}: wait for it to end (`ferry watch {}`)",
                running.id, plan.workload, running.from, running.to, running.id
            )));
        }
        if let Some(id) = self.finishing(&plan.workload) {
            return Err(Rejection::Busy(format!(
                "migration {id} of {} is being finished in its source: wait for that to end",
                plan.workload
            )));
        }
        if let Some((id, record)) = self.state.ledger.conflicts(&plan.workload).next() {
            let message = format!("volume {} is {}", id.handle, crate::volume::conflict_message(record));
            return Err(Rejection::VolumeConflict(message));
        }
        for cluster in [&plan.from, &plan.to] {
            if self.observed.session(cluster).is_none() {
                return Err(Rejection::ClusterNotAttached(format!(
                    "cluster {cluster} is not attached: see to its agent, then start again"
                )));
            }
        }
        if self.state.work.len() >= limits::RUNNING_MIGRATIONS {
            return Err(Rejection::Busy(format!(
                "{} migrations are running: wait for one to end",
                limits::RUNNING_MIGRATIONS
            )));
        }
        Ok(())
    }

    /// Starts the plan if the world, looked at again, is what the plan saw.
    pub(super) fn start_planned(
        &mut self,
        hash: &PlanHash,
        by: &str,
        again: &PlanRecord,
        seen: Option<(&Description, &TargetReport)>,
    ) -> Reply {
        if let Some(started) = self.started_by_plan(hash) {
            return started;
        }
        if let Err(rejection) = self.may_start(&again.plan) {
            return Reply::Rejected(rejection);
        }
        let Some((description, target)) = seen.filter(|_| again.plan.hash.as_ref() == Some(hash)) else {
            return Reply::Rejected(self.world_changed(hash, again));
        };
        let (migration, work) = self.prepared(&again.plan, (hash, by), description, target);
        let epochs = self.epochs_at_start(&migration, description);
        let id = migration.id.clone();
        self.record(Entry::MigrationStarted { migration: Box::new(migration), work: Box::new(work), epochs });
        match self.state.migrations.get(&id) {
            Some(migration) => Reply::Started(Box::new(migration.clone())),
            None => panic!("{id} was started and is not there"),
        }
    }

    fn world_changed(&self, hash: &PlanHash, again: &PlanRecord) -> Rejection {
        let refusals: Vec<String> = again
            .plan
            .findings
            .iter()
            .filter(|finding| finding.severity == crate::facts::Severity::Refuse)
            .map(|finding| format!("{} {}: found {}", finding.code, finding.subject, finding.found))
            .collect();
        let mut changed =
            self.state.plans.get(hash).map(|before| differences(before, again)).unwrap_or_default();
        changed.extend(refusals);
        let message = format!(
            "the world is not what plan {hash} saw; changed: {}. Expected no change between plan and start: plan \
             again, read it, approve that",
            changed.join("; ")
        );
        Rejection::WorldChanged(limits::cut(&message))
    }

    /// Above whatever any cluster keeps: also after the ledger was lost or restored from an old backup (H18).
    fn epochs_at_start(&self, migration: &Migration, description: &Description) -> Vec<OrdinalEpoch> {
        let epoch = |ordinal: Ordinal| {
            let known = self.state.ledger.epoch(&migration.workload, ordinal);
            let kept = self.observed.highest_kept(&migration.workload, ordinal).unwrap_or(Epoch(1));
            OrdinalEpoch { ordinal, epoch: known.max(kept) }
        };
        description.slice.ordinals().map(epoch).collect()
    }

    fn prepared(
        &self,
        plan: &Plan,
        (hash, by): (&PlanHash, &str),
        description: &Description,
        target: &TargetReport,
    ) -> (Migration, Work) {
        let number = self.state.migrations_started + 1;
        let id = MigrationId(format!("{}-{number}", plan.workload.name));
        let service = Some(&description.service)
            .filter(|name| !name.is_empty())
            .map(|name| ServiceName::new(plan.workload.namespace.as_str(), name.as_str()));
        let migration = Migration {
            id,
            number,
            workload: plan.workload.clone(),
            from: plan.from.clone(),
            to: plan.to.clone(),
            order: plan.order,
            phase: Phase::Preparing,
            message: String::new(),
            unknown: Vec::new(),
            ordinals: plan
                .ordinals
                .iter()
                .map(|ordinal| OrdinalProgress { ordinal: *ordinal, ..OrdinalProgress::default() })
                .collect(),
            started_at: self.now,
            ended_at: None,
            plan_hash: hash.clone(),
            started_by: by.to_owned(),
            control: Control::default(),
            storage_classes: plan.storage_classes.clone(),
            deadlines: plan.deadlines.clone(),
            on_failure: plan.on_failure,
            certificate: None,
            source_uid: description.uid.clone(),
            commands: 0,
            service: service.clone(),
            claims: description.ordinals.iter().map(|of| (of.ordinal, claims(&of.volumes))).collect(),
        };
        let empty = Slice::new(description.slice.start, 0);
        let target_existed = !target.stateful_set_uid.is_empty();
        let target_slice = target.slice.filter(|_| target_existed).unwrap_or(empty);
        let work = Work {
            stage: Stage::PreparingSource,
            description: Some(Box::new(description.clone())),
            service: service.clone(),
            budget: description.budget,
            resolvers_wait_ms: u64::from(description.dns_ttl_wait_seconds) * 1000,
            source_uid: description.uid.clone(),
            target_uid: String::new(),
            source_slice: description.slice,
            target_slice,
            volumes: description.ordinals.iter().map(|of| (of.ordinal, of.volumes.clone())).collect(),
            originals: None,
            moved: 0,
            handoff: None,
            settled: BTreeSet::new(),
            slots: BTreeMap::new(),
            commands: 0,
            waits_for: String::new(),
            reversed: false,
            span: span(description.slice, target_slice),
            target_existed,
            prepared: BTreeSet::new(),
            left: Vec::new(),
            reconverge: false,
            step_since: None,
            overdue: false,
        };
        (migration, work)
    }

    fn clusters(&self) -> Vec<ClusterView> {
        self.state
            .clusters
            .iter()
            .map(|(name, record)| {
                let mut view = ClusterView {
                    name: name.clone(),
                    uid: record.uid.clone(),
                    kubernetes_version: record.kubernetes_version.clone(),
                    agent_version: record.agent_version.clone(),
                    last_seen: record.attached_at,
                    message: "its agent is not attached: see to it".to_owned(),
                    ..ClusterView::default()
                };
                let volumes = self
                    .state
                    .ledger
                    .volumes
                    .values()
                    .filter(|volume| volume.sightings.contains_key(name))
                    .count();
                view.volumes = u32::try_from(volumes).unwrap_or(u32::MAX);
                if let Some(observed) = self.observed.clusters.get(name) {
                    let health = &observed.health;
                    view.last_seen = observed.last_seen;
                    view.workloads = u32::try_from(observed.workloads.len()).unwrap_or(u32::MAX);
                    view.nodes = health.nodes;
                    view.nodes_ready = health.nodes_ready;
                    view.watch_lag_ms = health.watch_lag_ms;
                    if !health.kubernetes_version.is_empty() {
                        view.kubernetes_version.clone_from(&health.kubernetes_version);
                    }
                    if observed.session.is_some() {
                        view.attached = true;
                        view.api_server_ok = health.api_server_ok;
                        view.message.clone_from(&health.message);
                    }
                }
                view
            })
            .collect()
    }

    fn migrations(&self, filter: &MigrationFilter) -> Vec<Migration> {
        let mut found: Vec<Migration> = self
            .state
            .migrations
            .values()
            .filter(|of| {
                filter.namespace.as_ref().is_none_or(|namespace| *namespace == of.workload.namespace)
            })
            .filter(|of| filter.workload.as_ref().is_none_or(|name| *name == of.workload.name))
            .cloned()
            .collect();
        found.sort_by_key(|migration| std::cmp::Reverse(migration.number));
        found
    }
}
