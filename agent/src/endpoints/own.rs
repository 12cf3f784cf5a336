//! Watches this cluster's own endpoints of governed Services, and says when they changed.
//!
//! Three watches for each namespace that has a governed Service: Services, the EndpointSlices that Kubernetes manages
//! (the selector leaves every other writer's out) and pods, of which only the readiness is kept: with
//! `publishNotReadyAddresses` a slice says nothing about it (H21). A report is made at once on a change, and again for
//! each stream that begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use ferry_proto::agent::v1::{EndpointsReport, GovernedService};
use kube::Client;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    ServiceKey,
    report::{self, Tables},
};
use crate::watch::{Change, Revival, Source, Status, Watched, follow};

/// Selects the slices that the cluster's own controller writes.
const KUBERNETES: &str = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.k8s.io";

/// This cluster's own endpoints. Clones share them.
#[derive(Clone)]
pub struct Own(Arc<Shared>);

struct Shared {
    client: Client,
    revival: Revival,
    state: Mutex<State>,
    due: Notify,
}

#[derive(Default)]
struct State {
    namespaces: BTreeMap<String, Namespace>,
    reports: BTreeMap<ServiceKey, Reported>,
    revision: u64,
}

#[derive(Default)]
struct Namespace {
    services: BTreeSet<String>,
    tables: Tables,
    watches: Vec<Status>,
    tasks: JoinSet<()>,
}

struct Reported {
    report: EndpointsReport,
    due: bool,
}

impl Own {
    /// Nothing is governed yet.
    pub fn new(client: Client, revival: Revival) -> Self {
        Self(Arc::new(Shared { client, revival, state: Mutex::default(), due: Notify::new() }))
    }

    /// The complete set of governed Services: watches begin and end accordingly.
    pub fn govern(&self, services: &[GovernedService]) {
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for governed in services {
            wanted.entry(governed.namespace.clone()).or_default().insert(governed.service.clone());
        }
        let mut state = self.0.lock();
        state.namespaces.retain(|namespace, _| wanted.contains_key(namespace));
        state.reports.retain(|(namespace, service), _| {
            wanted.get(namespace).is_some_and(|services| services.contains(service))
        });
        for (namespace, services) in wanted {
            let known = state.namespaces.entry(namespace.clone()).or_insert_with(|| self.watch(&namespace));
            known.services = services;
            state.report(&namespace);
        }
        drop(state);
        self.0.due.notify_one();
    }

    /// A stream begins: every report is due again.
    pub fn attached(&self) {
        for reported in self.0.lock().reports.values_mut() {
            reported.due = true;
        }
        self.0.due.notify_one();
    }

    /// The next report that is due; waits for one. To be called by one task at a time; cancel-safe.
    pub async fn next_report(&self) -> EndpointsReport {
        loop {
            if let Some(reported) = self.0.lock().reports.values_mut().find(|reported| reported.due) {
                reported.due = false;
                return reported.report.clone();
            }
            self.0.due.notified().await;
        }
    }

    /// What is wrong with a watch, if anything.
    pub fn error(&self) -> Option<String> {
        let state = self.0.lock();
        state.namespaces.values().flat_map(|namespace| &namespace.watches).find_map(Status::error)
    }

    fn watch(&self, namespace: &str) -> Namespace {
        let mut made = Namespace::default();
        let core = |kind: &str| format!("/api/v1/namespaces/{namespace}/{kind}");
        self.feed(&mut made, namespace, "Services", core("services"), None, |tables, change| {
            tables.services.fold(change, report::service)
        });
        let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        self.feed(&mut made, namespace, "EndpointSlices", slices, Some(KUBERNETES), |tables, change| {
            tables.slices.fold(change, report::slice)
        });
        self.feed(&mut made, namespace, "Pods", core("pods"), None, |tables, change| {
            tables.pods.fold(change, report::pod)
        });
        made
    }

    fn feed<T: Watched>(
        &self,
        into: &mut Namespace,
        namespace: &str,
        what: &'static str,
        path: String,
        labels: Option<&'static str>,
        fold: impl Fn(&mut Tables, Change<T>) -> bool + Send + 'static,
    ) {
        let status = Status::new(what);
        into.watches.push(status.clone());
        let (shared, namespace) = (Arc::downgrade(&self.0), namespace.to_owned());
        into.tasks.spawn(follow(
            self.0.client.clone(),
            Source { what, path, labels, revival: self.0.revival.clone(), optional: false },
            status,
            move |change| changed(&shared, &namespace, |tables| fold(tables, change)),
        ));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes the reports of `namespace` anew; those that differ are due.
    fn report(&mut self, namespace: &str) {
        let Some(known) = self.namespaces.get(namespace) else { return };
        if !known.tables.is_complete() {
            return;
        }
        for service in &known.services {
            let mut report = report::build(namespace, service, &known.tables);
            let key = (namespace.to_owned(), service.clone());
            if let Some(before) = self.reports.get(&key) {
                report.revision = before.report.revision;
                if report == before.report {
                    continue;
                }
            }
            self.revision += 1;
            report.revision = self.revision;
            self.reports.insert(key, Reported { report, due: true });
        }
    }
}

fn changed(shared: &Weak<Shared>, namespace: &str, fold: impl FnOnce(&mut Tables) -> bool) {
    let Some(shared) = shared.upgrade() else { return };
    let mut state = shared.lock();
    let Some(known) = state.namespaces.get_mut(namespace) else { return };
    if fold(&mut known.tables) {
        state.report(namespace);
        drop(state);
        shared.due.notify_one();
    }
}
