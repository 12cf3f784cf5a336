//! The referee: watches every cluster and the array's log from outside and says when an invariant broke.
//!
//! It shares no code with Ferry and knows nothing of its plans: only the API servers, the array and the invariants
//! I1 to I4 and I7 of handoff.md section 2. Every end-to-end test and the demo run under it, and the demo's sabotage
//! shows that it can see.
//!
//! Two API servers share no order, so what the watches show together is only a suspicion. Before it calls a violation
//! it reads all clusters twice, one after the other (A, B, A, B): what A held in both of its reads, as the same
//! object, it held while B was read in between. A suspicion that the second look does not confirm is counted and
//! printed, not called. The array's log needs no second look: it is the arbiter of I1 and of I7.
//!
//! What it cannot see: an overlap shorter than a look that never reached the array. The array refuses and logs those
//! that matter.

mod array_log;
mod rules;
mod standing;
mod timeline;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use kube::Client;
use serde::Serialize;
use tokio::sync::{Mutex, Notify, broadcast, watch as signal};
use tokio::task::JoinSet;

pub use rules::{Invariant, Violation};
pub use timeline::Sighting;
use view::View;

/// What is watched, and what is right for it.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Namespace of the workload.
    pub namespace: String,
    /// Name of the StatefulSet.
    pub workload: String,
    /// First ordinal of the whole workload.
    pub start: u32,
    /// Replicas over all clusters.
    pub replicas: u32,
    /// Budget *d*: replicas that may be unavailable at once (I4).
    pub budget: u32,
    /// Ordinals that may be on their way at once (I3).
    pub in_flight: u32,
}

impl Subject {
    /// Every ordinal of the workload, ascending.
    fn ordinals(&self) -> std::ops::Range<u32> {
        self.start..self.start + self.replicas
    }
}

/// What was seen between start and stop.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Broken invariants, in the order they were called.
    pub violations: Vec<Violation>,
    /// Suspicions that a second look did not confirm.
    pub unconfirmed: u64,
    /// Ordinals that were not ready at times when nobody had taken them down: no violation, but a reason to look.
    pub fallen: BTreeSet<u32>,
    /// Watch events judged.
    pub events: u64,
    /// For each ordinal the times it had no ready pod anywhere, in milliseconds.
    pub unavailable_ms: BTreeMap<u32, Vec<u64>>,
    /// Moves seen: an ordinal ready in another cluster than before.
    pub handoffs: Vec<timeline::Handoff>,
}

/// A running observer.
pub struct Observer {
    shared: Arc<Shared>,
    tasks: JoinSet<Result<()>>,
    stop: signal::Sender<bool>,
}

struct Shared {
    subject: Subject,
    clusters: Vec<view::Cluster>,
    changed: Notify,
    report: Mutex<Report>,
    timeline: Mutex<timeline::Timeline>,
    standing: Mutex<standing::Standing>,
    /// Handles of the workload's volumes ever seen: a disk may be deleted after its objects are gone.
    handles: Mutex<BTreeSet<String>>,
    sightings: broadcast::Sender<Sighting>,
}

impl Observer {
    /// Starts to watch, and returns when every watch has its first list and the array's log is open at its end.
    pub async fn start(
        clusters: Vec<(String, Client)>,
        array_log: PathBuf,
        subject: Subject,
    ) -> Result<Self> {
        let (sightings, _) = broadcast::channel(256);
        let (stop, stopped) = signal::channel(false);
        let mut tasks = JoinSet::new();
        let mut watched = Vec::new();
        let mut signals = Vec::new();
        for (index, (name, client)) in clusters.into_iter().enumerate() {
            let (cluster, changes) = watch::spawn(&mut tasks, index, name, client, &subject).await?;
            watched.push(cluster);
            signals.push(changes);
        }
        let shared = Arc::new(Shared {
            subject,
            clusters: watched,
            changed: Notify::new(),
            report: Mutex::default(),
            timeline: Mutex::default(),
            standing: Mutex::default(),
            handles: Mutex::default(),
            sightings,
        });
        for changes in signals {
            tasks.spawn(watch::judge_deletions(shared.clone(), changes));
        }
        shared.look().await?;
        let log = array_log::open_at_end(&array_log).await.context("the array's log")?;
        tasks.spawn(array_log::follow(shared.clone(), log, stopped.clone()));
        tasks.spawn(judge(shared.clone(), stopped));
        Ok(Self { shared, tasks, stop })
    }

    /// Each change of readiness from now on, as it is seen. A receiver that falls 256 behind loses the oldest.
    pub fn sightings(&self) -> broadcast::Receiver<Sighting> {
        self.shared.sightings.subscribe()
    }

    /// Takes a last look, reads the array's log to its end, and reports.
    pub async fn stop(mut self) -> Result<Report> {
        self.shared.look_again().await?;
        self.stop.send(true).ok();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        let mut failures = Vec::new();
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.tasks.join_next()).await {
            if let Err(failure) = ended.context("an observer's task").and_then(|result| result) {
                failures.push(failure);
            }
        }
        self.tasks.abort_all();
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure.context("the observer went blind: its word is worth nothing"));
        }
        let mut report = self.shared.report.lock().await.clone();
        let timeline = self.shared.timeline.lock().await;
        report.unavailable_ms = timeline.unavailable_ms();
        report.handoffs = timeline.handoffs();
        Ok(report)
    }
}

impl Shared {
    async fn call(&self, violation: Violation) {
        let mut report = self.report.lock().await;
        if !report.violations.iter().any(|known| known.same(&violation)) {
            eprintln!("observer: VIOLATION {violation}");
            report.violations.push(violation);
        }
    }

    async fn look(&self) -> Result<()> {
        let views: Vec<View> =
            self.clusters.iter().map(|cluster| cluster.cached_view(&self.subject)).collect();
        self.handles.lock().await.extend(views.iter().flat_map(View::handles));
        for sighting in self.timeline.lock().await.advance(&self.subject, &views) {
            self.sightings.send(sighting).ok();
        }
        let standing = {
            let mut standing = self.standing.lock().await;
            let fallen = standing.advance(&self.subject, &views);
            let mut report = self.report.lock().await;
            for ordinal in fallen {
                if report.fallen.insert(ordinal) {
                    eprintln!("observer: ordinal {ordinal} is not ready, and nobody took it down");
                }
            }
            standing.clone()
        };
        let suspects = !rules::judge(&self.subject, &standing, &views, &views).is_empty();
        if suspects && !self.look_again().await? {
            self.report.lock().await.unconfirmed += 1;
        }
        Ok(())
    }

    /// Reads everything twice and calls what that proves; whether it proves anything.
    async fn look_again(&self) -> Result<bool> {
        let first = self.read_all().await?;
        let second = self.read_all().await?;
        let mut standing = self.standing.lock().await.clone();
        standing.advance(&self.subject, &first);
        let confirmed = rules::judge(&self.subject, &standing, &first, &second);
        let proves = !confirmed.is_empty();
        for violation in confirmed {
            self.call(violation).await;
        }
        Ok(proves)
    }

    async fn read_all(&self) -> Result<Vec<View>> {
        let mut views = Vec::new();
        for cluster in &self.clusters {
            views.push(cluster.read_view(&self.subject).await?);
        }
        Ok(views)
    }
}

async fn judge(shared: Arc<Shared>, mut stopped: signal::Receiver<bool>) -> Result<()> {
    loop {
        tokio::select! {
            () = shared.changed.notified() => {}
            _ = stopped.changed() => return Ok(()),
        }
        shared.report.lock().await.events += 1;
        shared.look().await?;
    }
}
