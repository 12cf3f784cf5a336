//! Watches of both clusters, kept as tables and as a log with the time at which each event was seen.
//!
//! The tables are what the floor's client acts on: a minimal client with watches. The log is the outside watcher of
//! the reaction times: what could be known when, by whoever watches. Both are one, so that neither sees earlier than
//! the other.
//!
//! Nothing here knows Ferry. Times are this machine's clock in microseconds, the one that the API servers' audit
//! logs are written by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The kinds that are watched: group, version, kind.
const KINDS: [(&str, &str, &str); 9] = [
    ("apps", "v1", "StatefulSet"),
    ("", "v1", "Pod"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "Node"),
    ("storage.k8s.io", "v1", "VolumeAttachment"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("discovery.k8s.io", "v1", "EndpointSlice"),
    ("policy", "v1", "PodDisruptionBudget"),
];
/// Time for the first lists.
const FIRST_LISTS: Duration = Duration::from_secs(20);

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// In which cluster.
    pub cluster: String,
    /// Kind of the object.
    pub kind: &'static str,
    /// Whether the object is gone.
    pub gone: bool,
    /// The object as it is, or was last.
    pub object: Arc<DynamicObject>,
}

impl Seen {
    /// Whether it is about that object.
    #[must_use]
    pub fn is(&self, cluster: &str, kind: &str, name: &str) -> bool {
        self.cluster == cluster && self.kind == kind && self.object.name_any() == name
    }
}

/// Cluster, kind, namespace, name.
type Key = (String, &'static str, String, String);

/// What is there now.
#[derive(Default)]
pub struct View {
    objects: HashMap<Key, Arc<DynamicObject>>,
    log: Vec<Seen>,
    listed: usize,
}

/// The watches; they end with it.
pub struct Eyes {
    view: Arc<Mutex<View>>,
    changed: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl Eyes {
    /// Watches these clusters; returns when every first list is there.
    ///
    /// # Errors
    /// A list does not come.
    pub async fn open(clusters: Vec<(String, Client)>) -> Result<Self> {
        let (sender, changed) = watch::channel(0_u64);
        let (view, sender) = (Arc::new(Mutex::<View>::default()), Arc::new(sender));
        let mut tasks = JoinSet::new();
        let expected = clusters.len() * KINDS.len();
        for (cluster, client) in clusters {
            for (group, version, kind) in KINDS {
                let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
                let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
                tasks.spawn(follow(api, cluster.clone(), kind, Arc::clone(&view), Arc::clone(&sender)));
            }
        }
        let eyes = Self { view, changed, _tasks: tasks };
        eyes.until("the first lists", FIRST_LISTS, |view| (view.listed >= expected).then_some(())).await?;
        Ok(eyes)
    }

    /// Waits until `look` gives a value; it is asked again after each event.
    ///
    /// # Errors
    /// It gives none in time.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&View) -> Option<T>,
    ) -> Result<T> {
        let mut changed = self.changed.clone();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(found) = look(&lock(&self.view)) {
                    return Ok(found);
                }
                changed.changed().await.context("the watches ended")?;
            }
        };
        tokio::time::timeout(limit, wait).await.with_context(|| format!("{limit:?} passed without {what}"))?
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> Vec<Seen> {
        lock(&self.view).log.clone()
    }
}

impl View {
    /// An object, if it exists; `namespace` is empty for a kind that has none.
    #[must_use]
    pub fn find(
        &self,
        cluster: &str,
        kind: &'static str,
        namespace: &str,
        name: &str,
    ) -> Option<&DynamicObject> {
        let key = (cluster.to_owned(), kind, namespace.to_owned(), name.to_owned());
        self.objects.get(&key).map(Arc::as_ref)
    }

    /// Every object of a kind in a cluster and namespace.
    pub fn all<'a>(
        &'a self,
        cluster: &'a str,
        kind: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a DynamicObject> {
        self.objects
            .iter()
            .filter(move |((of, is, within, _), _)| of == cluster && *is == kind && within == namespace)
            .map(|(_, object)| object.as_ref())
    }
}

async fn follow(
    api: Api<DynamicObject>,
    cluster: String,
    kind: &'static str,
    view: Arc<Mutex<View>>,
    changed: Arc<watch::Sender<u64>>,
) {
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        let at = Timestamp::now();
        // The watch repairs itself; while it does, nothing is seen.
        let Ok(event) = event else { continue };
        let (gone, mut object) = match event {
            Event::Init => continue,
            Event::InitDone => {
                lock(&view).listed += 1;
                changed.send_modify(|count| *count += 1);
                continue;
            }
            Event::InitApply(object) | Event::Apply(object) => (false, object),
            Event::Delete(object) => (true, object),
        };
        object.metadata.managed_fields = None;
        let object = Arc::new(object);
        let key = (cluster.clone(), kind, object.namespace().unwrap_or_default(), object.name_any());
        let mut view = lock(&view);
        if gone {
            view.objects.remove(&key);
        } else {
            view.objects.insert(key, Arc::clone(&object));
        }
        view.log.push(Seen { at, cluster: cluster.clone(), kind, gone, object });
        drop(view);
        changed.send_modify(|count| *count += 1);
    }
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text within an object; empty if it is not there.
#[must_use]
pub fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    object.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a condition of an object is True.
#[must_use]
pub fn is_true(object: &DynamicObject, condition: &str) -> bool {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|found| found["type"] == condition && found["status"] == "True")
}

/// Whether the endpoints of a slice have one of that host name that is ready.
#[must_use]
pub fn has_ready(slice: &DynamicObject, hostname: &str) -> bool {
    let endpoints = slice.data.pointer("/endpoints").and_then(Value::as_array);
    let is_ready = |endpoint: &Value| endpoint["conditions"]["ready"] != Value::Bool(false);
    endpoints.into_iter().flatten().any(|endpoint| endpoint["hostname"] == hostname && is_ready(endpoint))
}

/// Whether the disk is in a node's `volumesInUse`.
#[must_use]
pub fn uses(node: &DynamicObject, volume: &DynamicObject) -> bool {
    let name = format!(
        "kubernetes.io/csi/{}^{}",
        text(volume, "/spec/csi/driver"),
        text(volume, "/spec/csi/volumeHandle")
    );
    let used = node.data.pointer("/status/volumesInUse").and_then(Value::as_array);
    used.into_iter().flatten().any(|volume| volume.as_str() == Some(&name))
}
