//! The durable state: the fold of the journal's entries.
//!
//! A snapshot is its JSON, byte for byte the same however it was reached; recovery is a snapshot and the entries
//! after it. Only [`State::apply`] changes it. An entry that does not fit the state is a bug of whoever decided it,
//! and panics: the controller crashes and replays rather than go on from a state that nobody decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandBody};
use crate::entry::Entry;
use crate::ids::{ClusterName, MigrationId, PlanHash, ServiceName, Workload};
use crate::limits;
use crate::migration::{Migration, Work, apply_ask, apply_event, apply_step_report, asked_by};
use crate::plan::PlanRecord;
use crate::storage::Storage;
use crate::time::Millis;
use crate::tokens::Tokens;
use crate::volume::Ledger;

/// A cluster that was attached at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// UID of its namespace kube-system: its identity.
    pub uid: String,
    /// `gitVersion` of its API server.
    pub kubernetes_version: String,
    /// Version of its agent.
    pub agent_version: String,
    /// Its pod networks.
    pub pod_cidrs: Vec<String>,
    /// When it last attached.
    pub attached_at: Millis,
}

/// A completed migration whose source is asked to end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finishing {
    /// The source.
    pub cluster: ClusterName,
    /// The command that is out.
    pub command: Command,
    /// Identity of who asked.
    pub by: String,
}

/// What may be under way from now on, whatever becomes of the command.
fn note_sent(work: &mut Work, cluster: &ClusterName, body: &CommandBody) {
    match (body, work.handoff.as_mut()) {
        (CommandBody::Release { .. }, Some(handoff)) => handoff.release_sent = true,
        (CommandBody::Adopt { .. }, Some(handoff)) => handoff.adopt_sent = true,
        (CommandBody::PrepareSource { .. } | CommandBody::PrepareTarget { .. }, _) => {
            work.prepared.insert(cluster.clone());
        }
        _ => {}
    }
}

/// The durable state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Join tokens.
    pub tokens: Tokens,
    /// Clusters that were ever attached.
    pub clusters: BTreeMap<ClusterName, ClusterRecord>,
    /// Volumes, and who owns what.
    pub ledger: Ledger,
    /// Services whose endpoints are mirrored, each between these clusters.
    pub governed: BTreeMap<ServiceName, BTreeSet<ClusterName>>,
    /// Plans that may be started.
    pub plans: BTreeMap<PlanHash, PlanRecord>,
    /// Inspections numbered so far.
    pub inspections: u64,
    /// Migrations started so far.
    pub migrations_started: u64,
    /// Migrations, running and ended.
    pub migrations: BTreeMap<MigrationId, Migration>,
    /// The machine's part of those that run.
    pub work: BTreeMap<MigrationId, Work>,
    /// How often this ledger was restored from a backup.
    pub restores: u64,
    /// Completed migrations that are being finished.
    #[serde(default)]
    pub finishing: BTreeMap<MigrationId, Finishing>,
    /// Finishes asked for so far: numbers the next one.
    #[serde(default)]
    pub finishes: u64,
    /// What admins said about storage.
    #[serde(default)]
    pub storage: Storage,
}

impl State {
    /// Restore generation of the ledger (H18), as commands and `Attached` carry it: 1 for one never restored.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.restores + 1
    }

    /// What becomes of a state that comes from a backup (H18). Its generation rises; whatever is numbered goes on above
    /// what may have been given out since; what was asked for is asked for anew, under an epoch that nobody was given,
    /// and what was proven of an ordinal between two clusters is proven anew.
    pub fn restored(&mut self) {
        self.restores += 1;
        self.migrations_started += limits::RESTORED_MIGRATIONS;
        self.inspections += limits::RESTORED_NUMBERS;
        self.finishes += limits::RESTORED_NUMBERS;
        let ordinals = self.ledger.workloads.values_mut().flat_map(|record| record.ordinals.values_mut());
        for ordinal in ordinals {
            ordinal.epoch.0 += limits::RESTORED_NUMBERS;
        }
        for (id, work) in &mut self.work {
            work.commands += limits::RESTORED_NUMBERS;
            for slot in work.slots.values_mut() {
                slot.pending = None;
            }
            let of = work.handoff.as_ref().map(|handoff| handoff.ordinal);
            let workload = self.migrations.get(id).map(|migration| &migration.workload);
            let record = workload.and_then(|workload| self.ledger.workloads.get_mut(workload));
            if let Some(record) = record.zip(of).and_then(|(record, of)| record.ordinals.get_mut(&of)) {
                crate::migration::restored(work, record);
            }
        }
    }

    /// The running migration of that workload.
    #[must_use]
    pub fn running(&self, workload: &Workload) -> Option<&Migration> {
        self.work
            .keys()
            .filter_map(|id| self.migrations.get(id))
            .find(|running| running.workload == *workload)
    }

    /// Services that this cluster reports and imports, by name.
    #[must_use]
    pub fn governed_in(&self, cluster: &ClusterName) -> Vec<ServiceName> {
        self.governed
            .iter()
            .filter(|(_, clusters)| clusters.contains(cluster))
            .map(|(service, _)| service.clone())
            .collect()
    }

    /// Applies one entry: deterministic, and total for entries that this core decided.
    ///
    /// # Panics
    /// On an entry that does not fit the state: a bug, never a matter of input.
    #[expect(clippy::too_many_lines, reason = "exhaustive: one short arm for each kind of entry")]
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::ClusterAttached { cluster, record } => {
                self.clusters.insert(cluster.clone(), record.clone());
            }
            Entry::VolumesSeen { cluster, seen, gone, at } => self.ledger.see(cluster, seen, gone, *at),
            Entry::TokenCreated { hash, token, at } => self.tokens.add(hash, token, *at),
            Entry::TokenRedeemed { hash, at } => self.tokens.redeem(hash, *at),
            Entry::InspectionNumbered { number } => self.inspections = *number,
            Entry::PlanMade { record } => self.keep_plan(record),
            Entry::MigrationStarted { migration, work, epochs } => {
                let started = crate::migration::Started { migration, work, epochs };
                crate::migration::start(self, &started);
            }
            Entry::ServiceGoverned { service, clusters } => {
                self.governed.entry(service.clone()).or_default().extend(clusters.iter().cloned());
            }
            Entry::CommandIssued { migration, cluster, command } => {
                let work = self.work_mut(migration);
                work.commands += 1;
                let slot = work.slots.entry(cluster.clone()).or_default();
                assert!(slot.pending.is_none(), "{migration}: two commands at once in {cluster}");
                slot.pending = Some((**command).clone());
                note_sent(work, cluster, &command.body);
            }
            Entry::CommandAnswered { migration, cluster, command_id } => {
                let slot = self.work_mut(migration).slots.entry(cluster.clone()).or_default();
                let pending = slot.pending.take().map(|command| command.id);
                assert_eq!(pending.as_ref(), Some(command_id), "{migration}: answer to no pending command");
            }
            Entry::SetBack { migration, cluster, setback } => {
                let slot = self.work_mut(migration).slots.entry(cluster.clone()).or_default();
                slot.setback = Some(setback.clone());
            }
            Entry::Moved { migration, event, at } => {
                apply_event(self, migration, event, *at);
            }
            Entry::StepReported { migration, ordinal, step, state, message, at } => {
                apply_step_report(self, migration, *ordinal, (*step, *state, message), *at);
            }
            Entry::ServiceUngoverned { service, clusters } => {
                if let Some(known) = self.governed.get_mut(service) {
                    known.retain(|cluster| !clusters.contains(cluster));
                    if known.len() < 2 {
                        self.governed.remove(service);
                    }
                }
            }
            Entry::Controlled { migration, asked, by, at } => {
                apply_ask(self, migration, *asked, &asked_by(by, *at));
            }
            Entry::Attested { migration, cluster, node } => {
                let work = self.work_mut(migration);
                if let Some(handoff) = &mut work.handoff {
                    handoff.attested.insert((cluster.clone(), node.clone()));
                }
                if let Some(slot) = work.slots.get_mut(cluster) {
                    slot.setback.take_if(|setback| setback.unproven.contains(node));
                }
            }
            Entry::DeadlinePassed { migration } => self.work_mut(migration).overdue = true,
            Entry::FinishAsked { migration, finishing } => {
                self.finishes += 1;
                self.finishing.insert(migration.clone(), (**finishing).clone());
            }
            Entry::FinishAnswered { migration, certificate } => {
                self.finishing.remove(migration);
                if let (Some(migration), Some(_)) = (self.migrations.get_mut(migration), certificate) {
                    migration.certificate.clone_from(certificate);
                }
            }
            Entry::StorageDomainSet { set } => {
                let before = self.storage.domain(&set.cluster, &set.driver);
                self.storage.set_domain(set);
                let after = self.storage.domain(&set.cluster, &set.driver);
                self.ledger.rename(&set.cluster, (&set.driver, &before, &after));
            }
            Entry::StorageMapAdded { map } => self.storage.add_map(map),
            Entry::StorageMapRemoved { map } => self.storage.remove_map(map),
            Entry::Audited(_) => {}
            Entry::Said { migration, message } => {
                if let Some(migration) = self.migrations.get_mut(migration) {
                    migration.message.clone_from(message);
                }
            }
        }
        self.show_phases(entry);
    }

    fn work_mut(&mut self, id: &MigrationId) -> &mut Work {
        match self.work.get_mut(id) {
            Some(work) => work,
            None => panic!("{id} does not run, but an entry says that it does"),
        }
    }

    /// What people see follows from the machine's part, after whatever touched it.
    fn show_phases(&mut self, entry: &Entry) {
        let (Entry::CommandIssued { migration: id, .. }
        | Entry::CommandAnswered { migration: id, .. }
        | Entry::SetBack { migration: id, .. }
        | Entry::Controlled { migration: id, .. }
        | Entry::Attested { migration: id, .. }
        | Entry::DeadlinePassed { migration: id }
        | Entry::StepReported { migration: id, .. }
        | Entry::Moved { migration: id, .. }) = entry
        else {
            return;
        };
        if let (Some(migration), Some(work)) = (self.migrations.get_mut(id), self.work.get(id)) {
            migration.unknown = work.unknown();
            migration.phase = work.phase(&migration.control);
            migration.control.stopped = migration.control.paused.is_some() && work.stage.is_at_rest();
        }
    }

    fn keep_plan(&mut self, record: &PlanRecord) {
        let Some(hash) = record.plan.hash.clone() else {
            return;
        };
        self.plans.insert(hash, record.clone());
        while self.plans.len() > limits::PLANS {
            let oldest = self
                .plans
                .iter()
                .min_by_key(|(hash, record)| (record.plan.expires_at, (*hash).clone()))
                .map(|(hash, _)| hash.clone());
            if let Some(oldest) = oldest {
                self.plans.remove(&oldest);
            }
        }
    }
}
