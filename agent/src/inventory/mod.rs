//! What the cluster holds, as far as the ledger and the resync need it: reported, never acted on.
//!
//! Eight watches are folded into tables of small values ([`trim`]); [`build`] joins them into the wire's `Inventory`.
//! Kept are StatefulSets, the volumes and claims whose names end in an ordinal, attachments by volume, nodes by
//! readiness and pod network, the epochs that the cluster keeps, and what is wrong with the guards that stand. A report may be stale by [`Inventory::lag`];
//! executors read the API server themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_proto::agent::v1 as wire;
use ipnet::IpNet;
use kube::Client;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    guard::watch as guard,
    limits,
    outcome::said,
    watch::{Change, Revival, Source, Status, Watched, follow, table::Table},
};

pub mod build;
pub mod quantity;
pub mod trim;

/// The tables. Clones of [`Inventory`] share them.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) sets: Table<trim::Set>,
    pub(crate) volumes: Table<trim::Volume>,
    pub(crate) claims: Table<trim::Claim>,
    pub(crate) attachments: Table<trim::Attachment>,
    pub(crate) nodes: Table<trim::Node>,
    pub(crate) epochs: Table<trim::Epochs>,
    pub(crate) guards: guard::Standing,
    pub(crate) policies: Table<String>,
    pub(crate) bindings: Table<String>,
    /// What is wrong with a guard, by the workload's namespace and name.
    pub(crate) faults: BTreeMap<(String, String), String>,
}

/// What the cluster holds.
#[derive(Clone)]
pub struct Inventory(Arc<Shared>);

struct Shared {
    tables: Mutex<Tables>,
    changed: watch::Sender<u64>,
    revision: AtomicU64,
    watches: Vec<Status>,
    _tasks: JoinSet<()>,
}

/// Nodes, and how many of them are Ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// In the cluster.
    pub all: u32,
    /// With condition Ready True.
    pub ready: u32,
}

impl Inventory {
    /// Begins to watch; the watches end with the last clone.
    pub fn follow(client: &Client, revival: &Revival) -> Self {
        Self(Arc::new_cyclic(|shared| {
            let mut feeds = Feeds {
                client,
                revival,
                shared: shared.clone(),
                changed: watch::Sender::new(0),
                optional: false,
                tasks: JoinSet::new(),
                watches: Vec::new(),
            };
            feeds.add("StatefulSets", "/apis/apps/v1/statefulsets", None, |tables, change| {
                tables.sets.fold(change, trim::set)
            });
            feeds.add("PersistentVolumes", "/api/v1/persistentvolumes", None, |tables, change| {
                tables.volumes.fold(change, trim::volume)
            });
            feeds.add("PersistentVolumeClaims", "/api/v1/persistentvolumeclaims", None, |tables, change| {
                tables.claims.fold(change, trim::claim)
            });
            feeds.add(
                "VolumeAttachments",
                "/apis/storage.k8s.io/v1/volumeattachments",
                None,
                |tables, change| tables.attachments.fold(change, trim::attachment),
            );
            feeds.add("Nodes", "/api/v1/nodes", None, |tables, change| tables.nodes.fold(change, trim::node));
            let ours = Some("app.kubernetes.io/managed-by=ferry");
            feeds.add("ConfigMaps", "/api/v1/configmaps", ours, |tables, change| {
                let guarded = tables.guards.fold(&change);
                tables.epochs.fold(change, trim::epochs) || guarded
            });
            let group = "/apis/admissionregistration.k8s.io/v1";
            feeds.optional = true;
            feeds.add(
                "ValidatingAdmissionPolicies",
                &format!("{group}/validatingadmissionpolicies"),
                ours,
                |tables, change| tables.policies.fold(change, trim::admission),
            );
            feeds.add(
                "ValidatingAdmissionPolicyBindings",
                &format!("{group}/validatingadmissionpolicybindings"),
                ours,
                |tables, change| tables.bindings.fold(change, trim::admission),
            );
            feeds.tasks.spawn(look_after_guards(client.clone(), shared.clone(), feeds.changed.subscribe()));
            Shared {
                tables: Mutex::default(),
                changed: feeds.changed,
                revision: AtomicU64::new(0),
                watches: feeds.watches,
                _tasks: feeds.tasks,
            }
        }))
    }

    /// Whether every table was filled once.
    pub fn is_complete(&self) -> bool {
        self.0.watches.iter().all(Status::is_complete)
    }

    /// Rises with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Every watch, and how it fares.
    pub fn watches(&self) -> &[Status] {
        &self.0.watches
    }

    /// Time since the quietest watch heard anything: how stale a report may be.
    pub fn lag(&self) -> Duration {
        self.0.watches.iter().map(Status::age).max().unwrap_or_default()
    }

    /// What is wrong with a watch, if anything.
    pub fn error(&self) -> Option<String> {
        self.0.watches.iter().find_map(Status::error)
    }

    /// The inventory now, with the next revision; and what had to be left out, in words.
    pub fn report(&self) -> (wire::Inventory, Option<String>) {
        let (mut inventory, left_out) = build::inventory(&self.lock());
        inventory.revision = self.0.revision.fetch_add(1, Ordering::Relaxed) + 1;
        (inventory, left_out)
    }

    /// The epochs that the cluster keeps.
    pub fn epochs(&self) -> Vec<wire::KeptEpoch> {
        build::epochs(&self.lock())
    }

    /// Nodes.
    pub fn nodes(&self) -> Nodes {
        let tables = self.lock();
        let ready = tables.nodes.iter().filter(|(_, node)| node.ready).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Nodes { all: count(tables.nodes.len()), ready: count(ready) }
    }

    /// The union of the nodes' pod networks, joined where they touch, ascending.
    pub fn pod_cidrs(&self) -> Vec<IpNet> {
        let tables = self.lock();
        let all: BTreeSet<IpNet> =
            tables.nodes.iter().flat_map(|(_, node)| &node.pod_cidrs).map(IpNet::trunc).collect();
        IpNet::aggregate(&all.into_iter().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock()
    }
}

impl Shared {
    /// Guards that are not as they were put up, as far as the watches tell.
    fn suspects(&self) -> Vec<guard::Guard> {
        let tables = self.lock();
        if !tables.policies.is_complete() || !tables.bindings.is_complete() {
            return Vec::new();
        }
        let version = |table: &'_ Table<String>, name: &str| table.at(name).cloned();
        tables.guards.suspects(|name| version(&tables.policies, name), |name| version(&tables.bindings, name))
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Feeds<'a> {
    client: &'a Client,
    revival: &'a Revival,
    shared: Weak<Shared>,
    changed: watch::Sender<u64>,
    /// Whether what is added from now on may be unknown to the API server.
    optional: bool,
    tasks: JoinSet<()>,
    watches: Vec<Status>,
}

impl Feeds<'_> {
    fn add<T: Watched>(
        &mut self,
        what: &'static str,
        path: &str,
        labels: Option<&'static str>,
        fold: impl Fn(&mut Tables, Change<T>) -> bool + Send + 'static,
    ) {
        let status = Status::new(what);
        self.watches.push(status.clone());
        let shared = self.shared.clone();
        let (path, optional) = (path.to_owned(), self.optional);
        let source = Source { what, path, labels, revival: self.revival.clone(), optional };
        self.tasks.spawn(follow(self.client.clone(), source, status, move |change| {
            let Some(shared) = shared.upgrade() else { return };
            if fold(&mut shared.lock(), change) {
                shared.changed.send_modify(|changes| *changes += 1);
            }
        }));
    }
}

/// Keeps the faults of guards: what watches make suspect is read again whenever anything changes.
async fn look_after_guards(client: Client, shared: Weak<Shared>, mut changed: watch::Receiver<u64>) {
    while changed.changed().await.is_ok() {
        let Some(suspects) = shared.upgrade().map(|shared| shared.suspects()) else { return };
        let mut faults = BTreeMap::new();
        for guard in suspects {
            let fault = loop {
                match guard::verify(&client, &guard).await {
                    Ok(fault) => break fault,
                    Err(error) => {
                        tracing::warn!(error = said(&error), "a guard cannot be read; tried again");
                        tokio::time::sleep(limits::READ_RETRY_MOST).await;
                    }
                }
            };
            if let Some(fault) = fault {
                faults.insert((guard.namespace, guard.workload), fault);
            }
        }
        let Some(shared) = shared.upgrade() else { return };
        if std::mem::replace(&mut shared.lock().faults, faults.clone()) == faults {
            continue;
        }
        for ((namespace, workload), fault) in &faults {
            tracing::warn!(namespace, workload, fault, "somebody else changed a guard");
        }
        shared.changed.send_modify(|changes| *changes += 1);
    }
}

/// `<namespace>/<name>` split.
pub(crate) fn split(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}

/// A name that ends in an ordinal, as `(everything before the dash, ordinal)`.
pub(crate) fn ordinal_of(name: &str) -> Option<(&str, u32)> {
    let (stem, digits) = name.rsplit_once('-')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    if stem.is_empty() || !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((stem, digits.parse().ok()?))
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
