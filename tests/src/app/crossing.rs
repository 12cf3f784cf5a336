//! A database under watch: everything that must be true of a crossing from the application's side.
//!
//! [`Crossing`] brings an etcd up, marks each disk with a nonce, starts the writer and the observer, looks at a
//! member's own disk each time the observer sees it ready in another cluster, and at the end compares what was
//! acknowledged with what is found. Whoever moves the replicas meanwhile (Ferry, or a naive script) is not its business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use super::client::{Client, Writer};
use super::etcd::Etcd;
use super::{disk, member};
use crate::observer::{Observer, Report, Sighting, Subject, Violation};
use crate::world::{Wait, World};

/// Time for all members to become Ready.
const READY: Duration = Duration::from_secs(90);
/// Time for a member that is Ready to answer: on a busy machine, or while its cluster is cut off, a question may time
/// out, and that says nothing of a disk.
const ANSWER: Duration = Duration::from_secs(60);
/// How often each member is asked how far its log is.
const SAMPLE: Duration = Duration::from_millis(300);

/// A database at work.
pub struct Crossing {
    began: Instant,
    client: Client,
    writer: Writer,
    observer: Observer,
    verifier: JoinHandle<Result<Vec<DiskCheck>>>,
}

/// What a crossing came to: the demo's report.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Writes that a member acknowledged.
    pub writes_acknowledged: usize,
    /// Of these, those found at the end.
    pub writes_found: usize,
    /// Why the writer or the final read gave up; `None` when neither did.
    pub outage: Option<String>,
    /// Longest time between two acknowledgements.
    pub longest_client_gap_ms: u64,
    /// For each ordinal, the times it was ready nowhere.
    pub unavailable_ms: BTreeMap<u32, Vec<u64>>,
    /// Moves that the observer saw.
    pub handoffs: usize,
    /// Of these, those after which the member's own disk was found to be the one it had.
    pub disks_verified: usize,
    /// Disks that were not, and why.
    pub disks_failed: Vec<String>,
    /// Broken invariants.
    pub violations: Vec<Violation>,
    /// Suspicions that a second look did not confirm.
    pub unconfirmed: u64,
    /// Ordinals that were not ready at times when nobody had taken them down.
    pub fallen: BTreeSet<u32>,
    /// Wall time.
    pub seconds: u64,
}

/// A look at one disk after one handoff; `fault` is empty when all was right.
#[derive(Debug, Clone)]
struct DiskCheck {
    ordinal: u32,
    cluster: String,
    fault: Option<String>,
}

struct Verifier {
    world: World,
    etcd: Etcd,
    nonces: BTreeMap<u32, String>,
    homes: BTreeMap<u32, String>,
    indexes: BTreeMap<u32, u64>,
    addresses: BTreeMap<u32, IpAddr>,
}

impl Outcome {
    /// Whether nothing was lost and nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
            && self.disks_failed.is_empty()
            && self.outage.is_none()
            && self.writes_found == self.writes_acknowledged
            && self.disks_verified == self.handoffs
    }
}

impl Crossing {
    /// Brings the database up in one cluster and begins.
    ///
    /// # Errors
    /// It does not become Ready, or the observer cannot watch.
    pub async fn begin(world: &World, home: &str, etcd: &Etcd) -> Result<Self> {
        let cluster = world.cluster(home)?;
        etcd.create(&cluster.client().await?).await?;
        let pods = ready_pods(world, home, etcd).await?;
        let mut verifier = Verifier {
            world: world.clone(),
            etcd: etcd.clone(),
            nonces: BTreeMap::new(),
            homes: BTreeMap::new(),
            indexes: BTreeMap::new(),
            addresses: BTreeMap::new(),
        };
        for (ordinal, pod) in pods {
            verifier.mark(ordinal, home, &pod)?;
        }
        let dns: Vec<SocketAddr> = world.clusters().iter().map(|cluster| cluster.dns()).collect();
        let mut clusters = Vec::new();
        for cluster in world.clusters() {
            clusters.push((cluster.name().to_owned(), cluster.client().await?));
        }
        let subject = Subject {
            namespace: etcd.namespace.clone(),
            workload: etcd.name.clone(),
            start: etcd.start,
            replicas: etcd.replicas,
            budget: 1,
            in_flight: 1,
        };
        let observer = Observer::start(clusters, world.array_dir().join("array.log"), subject).await?;
        let sightings = observer.sightings();
        let verifier = tokio::spawn(verifier.run(sightings));
        let client = Client::new(etcd, &dns)?;
        let writer = client.write();
        Ok(Self { began: Instant::now(), client, writer, observer, verifier })
    }

    /// Stops the writer and the observer, reads everything back, and reports.
    ///
    /// # Errors
    /// The observer had gone blind, or a task of the crossing panicked.
    pub async fn end(self) -> Result<Outcome> {
        let written = self.writer.stop().await?;
        let (keys, unread) = match self.client.keys().await {
            Ok(keys) => (keys, None),
            Err(failure) => (BTreeSet::new(), Some(format!("{failure:#}"))),
        };
        let Report { violations, unconfirmed, fallen, unavailable_ms, handoffs, .. } =
            self.observer.stop().await?;
        let checks = self.verifier.await??;
        let faults = checks.iter().filter_map(|check| {
            Some(format!("ordinal {} in {}: {}", check.ordinal, check.cluster, check.fault.as_ref()?))
        });
        Ok(Outcome {
            writes_acknowledged: written.keys.len(),
            writes_found: written.keys.iter().filter(|key| keys.contains(*key)).count(),
            outage: written.gave_up.or(unread),
            longest_client_gap_ms: u64::try_from(written.longest_gap.as_millis())?,
            unavailable_ms,
            handoffs: handoffs.len(),
            disks_verified: checks.iter().filter(|check| check.fault.is_none()).count(),
            disks_failed: faults.collect(),
            violations,
            unconfirmed,
            fallen,
            seconds: self.began.elapsed().as_secs(),
        })
    }
}

/// The pods of a workload that lies whole in one cluster, once all are Ready.
///
/// # Errors
/// They are not within 90 seconds.
pub async fn ready_pods(world: &World, home: &str, etcd: &Etcd) -> Result<BTreeMap<u32, Pod>> {
    let client = world.cluster(home)?.client().await?;
    let api = Api::<Pod>::namespaced(client, &etcd.namespace);
    Wait::new(format!("{} of {} in {home} to be Ready", etcd.replicas, etcd.name), READY)
        .until(async || {
            let mut ready = BTreeMap::new();
            for ordinal in etcd.ordinals() {
                let pod = api.get(&etcd.pod(ordinal)).await?;
                ensure!(is_ready(&pod), "{} is not Ready: {}", pod.name_any(), what_it_waits_for(&pod));
                ready.insert(ordinal, pod);
            }
            Ok(Some(ready))
        })
        .await
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The conditions of a pod that do not hold, in Kubernetes' words.
fn what_it_waits_for(pod: &Pod) -> String {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let open = conditions.iter().filter(|condition| condition.status != "True").map(|condition| {
        format!("{} {}", condition.type_, condition.message.as_deref().unwrap_or("without a message"))
    });
    open.collect::<Vec<_>>().join("; ")
}

impl Verifier {
    fn mark(&mut self, ordinal: u32, home: &str, pod: &Pod) -> Result<()> {
        let uid = pod.uid().context("a pod without UID")?;
        let nonce = format!("{}-{ordinal}-{uid}-{:016x}", self.etcd.name, rand::random::<u64>());
        for template in &self.etcd.templates {
            disk::write(&uid, &nonce_path(template), &nonce)?;
        }
        self.nonces.insert(ordinal, nonce);
        self.homes.insert(ordinal, home.to_owned());
        self.addresses.extend(address(pod).map(|address| (ordinal, address)));
        Ok(())
    }

    /// Looks at each disk whose member came up in another cluster, until the observer ends.
    async fn run(
        mut self,
        mut sightings: tokio::sync::broadcast::Receiver<Sighting>,
    ) -> Result<Vec<DiskCheck>> {
        let mut checks = Vec::new();
        let mut sample = tokio::time::interval(SAMPLE);
        loop {
            let sighting = tokio::select! {
                sighting = sightings.recv() => sighting,
                _ = sample.tick() => {
                    self.sample().await;
                    continue;
                }
            };
            match sighting {
                Ok(sighting) => checks.extend(self.see(sighting).await),
                Err(RecvError::Closed) => return Ok(checks),
                Err(RecvError::Lagged(missed)) => anyhow::bail!("{missed} sightings were missed"),
            }
        }
    }

    async fn see(&mut self, sighting: Sighting) -> Option<DiskCheck> {
        let Sighting { ordinal, ready_in, pod_uid } = sighting;
        let Some((cluster, uid)) = ready_in.zip(pod_uid) else {
            self.addresses.remove(&ordinal);
            return None;
        };
        let moved = self.homes.insert(ordinal, cluster.clone()).is_some_and(|home| home != cluster);
        let fault = self.verify(ordinal, &cluster, &uid, moved).await.err().map(|fault| format!("{fault:#}"));
        moved.then_some(DiskCheck { ordinal, cluster, fault })
    }

    async fn verify(&mut self, ordinal: u32, cluster: &str, uid: &str, moved: bool) -> Result<()> {
        for template in &self.etcd.templates {
            let found = disk::read(uid, &nonce_path(template))?;
            let expected = &self.nonces[&ordinal];
            ensure!(&found == expected, "nonce of /{template} is {found:?}, expected {expected:?}");
        }
        let client = self.world.cluster(cluster)?.client().await?;
        let pods = Api::<Pod>::namespaced(client, &self.etcd.namespace);
        let name = self.etcd.pod(ordinal);
        let pod = answer(|| async { Ok(pods.get(&name).await?) }).await?;
        let address = address(&pod).context("the pod has no address")?;
        self.addresses.insert(ordinal, address);
        let status = answer(|| member::status(address)).await?;
        let before = self.indexes.get(&ordinal).copied().unwrap_or(0);
        ensure!(status.raft_index >= before, "raft index {}, was {before} before", status.raft_index);
        ensure!(
            !moved || status.snapshots_received == 0,
            "{} snapshots received from peers: the disk was refilled",
            status.snapshots_received
        );
        Ok(())
    }

    /// A member that does not answer is on its way; its last answer stands.
    async fn sample(&mut self) {
        for (ordinal, address) in &self.addresses {
            if let Ok(status) = member::status(*address).await {
                self.indexes.insert(*ordinal, status.raft_index);
            }
        }
    }
}

/// What a member says of itself, or an API server of its pod: asked until it answers.
async fn answer<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(_) if began.elapsed() < ANSWER => tokio::time::sleep(SAMPLE).await,
            answered => return answered,
        }
    }
}

fn nonce_path(template: &str) -> String {
    format!("/{template}/ferry-nonce")
}

fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}
