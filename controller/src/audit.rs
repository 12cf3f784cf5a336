//! The audit log: who did what, on what, and how it ended.
//!
//! A record is made of each request that changes something, with its answer, and of each change of an ordinal's custody,
//! whoever decided it. Records are written in the transaction of the entries that they are about, so that neither is there
//! without the other; they are numbered, never changed, and the oldest go only when there are more than a bound. Reading is
//! by pages, through the event loop.
//!
//! Not here: calls that were denied before they were understood (they are in the controller's log), and reads. A token that
//! nobody may redeem is not recorded either: whoever needs no credential must not be able to fill the log.

use std::collections::{BTreeMap, BTreeSet};

use ferry_core::{
    AuditRecord, Entry, Epoch, MigrationId, Millis, Ordinal, Reply, State, Workload, input::Request,
    tokens::Subject, volume::Custody,
};

/// `result` of what was done.
pub(crate) const DONE: &str = "done";
/// `by` of what nobody asked for just then.
const CONTROLLER: &str = "controller";

/// A request that will be recorded when it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    by: String,
    action: &'static str,
    subject: String,
    migration: Option<MigrationId>,
    refusals: bool,
}

impl Intent {
    fn new(by: &str, action: &'static str, subject: impl Into<String>) -> Self {
        Self { by: by.to_owned(), action, subject: subject.into(), migration: None, refusals: true }
    }

    fn on(by: &str, action: &'static str, id: &MigrationId) -> Self {
        Self { migration: Some(id.clone()), ..Self::new(by, action, id.to_string()) }
    }

    /// What a request is to be recorded as; none for reads.
    pub(crate) fn of(body: &Request) -> Option<Self> {
        Some(match body {
            Request::CreateToken { subject, by, .. } => Self::new(by, "create-token", said(subject)),
            Request::RedeemToken { .. } => {
                Self { refusals: false, ..Self::new("join token", "redeem-token", "") }
            }
            Request::StartMigration { hash, by } => {
                Self::new(by, "start-migration", format!("plan {}", hash.0.get(..12).unwrap_or(&hash.0)))
            }
            Request::PauseMigration { id, by } => Self::on(by, "pause-migration", id),
            Request::ResumeMigration { id, by } => Self::on(by, "resume-migration", id),
            Request::RollbackMigration { id, all: false, by } => Self::on(by, "rollback-ordinal", id),
            Request::RollbackMigration { id, all: true, by } => Self::on(by, "rollback-migration", id),
            Request::FinishMigration { id, accept: false, by } => Self::on(by, "finish-migration", id),
            Request::FinishMigration { id, accept: true, by } => Self::on(by, "accept-migration", id),
            Request::SetStorageDomain { set, by } => {
                let domain = if set.domain.is_empty() { &set.driver } else { &set.domain };
                let subject = format!("driver {} of {}: domain {domain}", set.driver, set.cluster);
                Self::new(by, "set-storage-domain", subject)
            }
            Request::AddStorageMap { map, by } => {
                Self::new(by, "add-storage-map", format!("{} to {}", map_key(map), map.to_class))
            }
            Request::RemoveStorageMap { map, by } => Self::new(by, "remove-storage-map", map_key(map)),
            Request::CreatePlan(_)
            | Request::ListClusters
            | Request::ListVolumes(_)
            | Request::ListMigrations(_)
            | Request::GetMigration { .. }
            | Request::ListStorageDomains
            | Request::ListStorageMaps => return None,
        })
    }

    /// The record, now that the answer is known; none if it is not worth one.
    pub(crate) fn answered(self, reply: &Reply, at: Millis) -> Option<AuditRecord> {
        let Self { by, action, subject, migration, refusals } = self;
        let mut record = AuditRecord {
            at,
            by,
            action: action.to_owned(),
            subject,
            migration,
            result: DONE.to_owned(),
            message: String::new(),
        };
        match reply {
            Reply::Rejected(_) if !refusals => return None,
            Reply::Rejected(rejection) => {
                rejection.code().clone_into(&mut record.result);
                record.message = rejection.to_string();
            }
            Reply::TokenRedeemed(subject) => record.subject = said(subject),
            Reply::Started(migration) | Reply::Migration(migration) => {
                record.migration = Some(migration.id.clone());
                record.subject =
                    format!("{} from {} to {}", migration.workload, migration.from, migration.to);
                record.message.clone_from(&migration.message);
            }
            Reply::TokenCreated
            | Reply::Planned(_)
            | Reply::Clusters(_)
            | Reply::Volumes(_)
            | Reply::Migrations(_)
            | Reply::StorageDomains(_)
            | Reply::StorageMaps(_) => {}
        }
        Some(record)
    }
}

fn said(subject: &Subject) -> String {
    match subject {
        Subject::Cluster(name) => format!("cluster/{name}"),
        Subject::Role { role, name } => format!("role/{role}/{name}"),
    }
}

fn map_key(map: &ferry_core::StorageMap) -> String {
    let namespace = map.namespace.as_deref().map_or_else(String::new, |name| format!(" in {name}"));
    format!("StorageClass {} from {} to {}{namespace}", map.from_class, map.from, map.to)
}

type Custodies = BTreeMap<Ordinal, (Custody, Epoch)>;

/// Who had which ordinal when it was last looked.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<Workload, Custodies>);

impl Seen {
    /// As the state has it.
    pub(crate) fn of(state: &State) -> Self {
        Self(
            state
                .ledger
                .workloads
                .keys()
                .map(|workload| (workload.clone(), custodies(state, workload)))
                .collect(),
        )
    }

    /// Records of what these entries, which the state has taken in, changed.
    pub(crate) fn changes(&mut self, entries: &[Entry], state: &State, at: Millis) -> Vec<AuditRecord> {
        let moved: BTreeSet<&MigrationId> = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Moved { .. } | Entry::MigrationStarted { .. }))
            .filter_map(Entry::migration)
            .collect();
        let mut records = Vec::new();
        for id in moved {
            let Some(migration) = state.migrations.get(id) else { continue };
            let now = custodies(state, &migration.workload);
            let before = self.0.insert(migration.workload.clone(), now.clone()).unwrap_or_default();
            for (ordinal, (custody, epoch)) in &now {
                let Some((was, _)) = before.get(ordinal).filter(|(was, _)| was != custody) else { continue };
                records.push(AuditRecord {
                    at,
                    by: CONTROLLER.to_owned(),
                    action: "owner-changed".to_owned(),
                    subject: format!("{} ordinal {ordinal}", migration.workload),
                    migration: Some(id.clone()),
                    result: DONE.to_owned(),
                    message: format!("{} became {}, epoch {epoch}", words(was), words(custody)),
                });
            }
        }
        records
    }
}

fn custodies(state: &State, workload: &Workload) -> Custodies {
    let record = state.ledger.workloads.get(workload);
    let ordinals = record.into_iter().flat_map(|record| &record.ordinals);
    ordinals.map(|(ordinal, of)| (*ordinal, (of.custody.clone(), of.epoch))).collect()
}

fn words(custody: &Custody) -> String {
    match custody {
        Custody::Owned { cluster } => format!("owned by {cluster}"),
        Custody::Releasing { from, to } => format!("releasing {from} to {to}"),
        Custody::Granted { from, to } => format!("granted to {to} by {from}"),
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
