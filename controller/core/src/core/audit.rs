//! The audit log: who did what, on what, and how it ended.
//!
//! Every request that changes something leaves one record, refused or not; every change of an ordinal's owner leaves
//! one, by the controller, because nobody asks for those one by one. Records are journal entries that change no state:
//! they are durable with what they tell of, and the shell keeps them in a table of their own.
//! No secret gets here: of a token it is whom it is for.

use crate::entry::{AuditRecord, Entry};
use crate::ids::{ClusterName, MigrationId};
use crate::input::Request;
use crate::migration::{Event, Migration};
use crate::reply::Reply;
use crate::time::Millis;
use crate::tokens::Subject;

use super::Step;

/// Whoever acts when nobody asked.
const CONTROLLER: &str = "controller";

/// What is known of a request before it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    by: String,
    action: &'static str,
    subject: String,
    migration: Option<MigrationId>,
    words: String,
}

impl Action {
    fn new(by: &str, action: &'static str, subject: String) -> Self {
        let by = if by.is_empty() { CONTROLLER } else { by };
        Self { by: by.to_owned(), action, subject, migration: None, words: String::new() }
    }

    fn of(self, id: &MigrationId) -> Self {
        Self { migration: Some(id.clone()), ..self }
    }

    fn with(self, words: String) -> Self {
        Self { words, ..self }
    }
}

fn subject_of(subject: &Subject) -> String {
    match subject {
        Subject::Cluster(name) => format!("cluster/{name}"),
        Subject::Role { role, name } => format!("role/{role}/{name}"),
    }
}

impl Step<'_> {
    /// What a request is about to change; none for those that only read.
    pub(super) fn action(&self, body: &Request) -> Option<Action> {
        let of = |id: &MigrationId, by: &str, action| {
            let workload = self.state.migrations.get(id).map(|of| of.workload.to_string());
            Action::new(by, action, workload.unwrap_or_default()).of(id)
        };
        Some(match body {
            Request::CreateToken { subject, by, .. } => Action::new(by, "create-token", subject_of(subject)),
            Request::RedeemToken { hash } => {
                let known = self.state.tokens.by_hash.get(hash).map(|token| subject_of(&token.subject));
                let by = known.clone().unwrap_or_else(|| "unknown".to_owned());
                Action::new(&by, "redeem-token", known.unwrap_or_default())
            }
            Request::StartMigration { hash, by } => {
                let plan = self.state.plans.get(hash).map(|record| record.plan.workload.to_string());
                Action::new(by, "start-migration", plan.unwrap_or_default()).with(format!("plan {hash}"))
            }
            Request::PauseMigration { id, by } => of(id, by, "pause-migration"),
            Request::ResumeMigration { id, by } => of(id, by, "resume-migration"),
            Request::RollbackMigration { id, all, by } => {
                let what = if *all { "everything" } else { "the ordinal in flight" };
                of(id, by, "rollback-migration").with(what.to_owned())
            }
            Request::AttestFenced { node, reason, by } => {
                Action::new(by, "attest-fenced", format!("node {node}")).with(reason.clone())
            }
            Request::FinishMigration { id, accept, by } => {
                let words = if *accept { "the end is accepted" } else { "" };
                of(id, by, "finish-migration").with(words.to_owned())
            }
            Request::SetStorageDomain { set, by } => {
                let subject = format!("{} {}", set.cluster, set.driver);
                let words = if set.domain.is_empty() { "the driver's name again" } else { &set.domain };
                Action::new(by, "set-storage-domain", subject).with(words.to_owned())
            }
            Request::AddStorageMap { map, by } => {
                let subject = format!("{} to {}", map.from, map.to);
                let words = format!("{} is {} there", map.from_class, map.to_class);
                Action::new(by, "add-storage-map", subject).with(words)
            }
            Request::RemoveStorageMap { map, by } => {
                let subject = format!("{} to {}", map.from, map.to);
                Action::new(by, "remove-storage-map", subject).with(map.from_class.clone())
            }
            Request::ProbeStorage { asked, by } => {
                let subject = format!("{} to {}", asked.from, asked.to);
                let words =
                    format!("{}, {} there, namespace {}", asked.from_class, asked.to_class, asked.namespace);
                Action::new(by, "probe-storage", subject).with(words)
            }
            Request::CreatePlan(_)
            | Request::ListClusters
            | Request::ListVolumes(_)
            | Request::ListMigrations(_)
            | Request::GetMigration { .. }
            | Request::ListStorageDomains
            | Request::ListStorageMaps => return None,
        })
    }

    /// Notes how a request ended.
    pub(super) fn audit(&mut self, action: Action, reply: &Reply) {
        let Action { by, action, subject, migration, words } = action;
        let (result, message) = match reply {
            Reply::Rejected(rejection) => (rejection.code().to_owned(), rejection.to_string()),
            _ => ("done".to_owned(), words),
        };
        let migration = match reply {
            Reply::Started(started) => Some(started.id.clone()),
            _ => migration,
        };
        let action = action.to_owned();
        let message = crate::limits::cut(&message);
        let record = AuditRecord { at: self.now, by, action, subject, migration, result, message };
        self.record(Entry::Audited(Box::new(record)));
    }

    /// The record of an ordinal that changes hands, worked out before the entry is applied.
    pub(super) fn owner_change(&self, entry: &Entry) -> Option<AuditRecord> {
        let Entry::Moved { migration: id, event, at } = entry else {
            return None;
        };
        let (migration, work) = (self.state.migrations.get(id)?, self.state.work.get(id)?);
        let (source, target) = (work.source(migration), work.target(migration));
        let handoff = work.handoff.as_ref();
        let epoch = handoff.map(|handoff| handoff.epoch).unwrap_or_default();
        let back = |epoch| format!("owned by {source}, epoch {epoch}");
        let message = match &**event {
            Event::HandoffBegan { epoch, .. } => format!("releasing {source} to {target}, epoch {epoch}"),
            Event::Released { .. } => format!("granted {target}, epoch {epoch}"),
            Event::Retired { .. } => format!("owned by {target}, epoch {epoch}"),
            Event::Withdrawn | Event::Reclaimed { .. } => back(epoch),
            Event::FenceBegan { epoch } => format!("{target} is fenced, epoch {epoch}"),
            Event::ReclaimBegan { epoch } => reclaiming(source, epoch.0),
            Event::Fenced { .. } => reclaiming(source, epoch.0),
            Event::EpochRaised { epoch } => format!("epoch {epoch}"),
            _ => return None,
        };
        let ordinal = match &**event {
            Event::HandoffBegan { ordinal, .. } => *ordinal,
            _ => handoff?.ordinal,
        };
        Some(AuditRecord {
            at: *at,
            by: CONTROLLER.to_owned(),
            action: "owner-changed".to_owned(),
            subject: format!("{} ordinal {ordinal}", migration.workload),
            migration: Some(id.clone()),
            result: "done".to_owned(),
            message,
        })
    }
}

/// The record of a rollback that nobody asked for but the plan.
pub(super) fn policy_record(migration: &Migration, why: &str, at: Millis) -> AuditRecord {
    AuditRecord {
        at,
        by: CONTROLLER.to_owned(),
        action: "rollback-migration".to_owned(),
        subject: migration.workload.to_string(),
        migration: Some(migration.id.clone()),
        result: "done".to_owned(),
        message: crate::limits::cut(&format!("the ordinal in flight, by {why}")),
    }
}

fn reclaiming(source: &ClusterName, epoch: u64) -> String {
    format!("reclaiming {source}, epoch {epoch}")
}
