//! Writes other clusters' endpoints as EndpointSlices here, and confirms what was written.
//!
//! One task for each (Service, origin) that has something to write; a newer mirror replaces one that waits, so that a
//! slow API server sees only the latest. A confirmation goes out after the API server accepted every write of a
//! revision, and after the slices that the revision does not have are gone. What fails is said at once and tried again
//! until it works or something newer comes; what is refused (see [`super::slices`]) is said once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ferry_proto::agent::v1::{GovernedService, Mirror, MirrorApplied};
use futures::{TryFutureExt as _, future::try_join};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::{ServiceKey, slices};
use crate::{
    backoff::Backoff,
    limits,
    outcome::{Class, bounded, classify, said},
    progress::hold,
};

/// Mirrors of other clusters' endpoints. Clones share them.
#[derive(Clone)]
pub struct Mirrors(Arc<Shared>);

struct Shared {
    client: Client,
    cluster: String,
    state: Mutex<State>,
    answered: Notify,
    writers: Semaphore,
}

#[derive(Default)]
struct State {
    governed: BTreeSet<ServiceKey>,
    waiting: BTreeMap<Key, Mirror>,
    working: BTreeSet<Key>,
    answers: VecDeque<MirrorApplied>,
}

/// Namespace, Service, origin.
type Key = (String, String, String);

impl Mirrors {
    /// Nothing is governed yet; `cluster` is this one's name.
    pub fn new(client: Client, cluster: impl Into<String>) -> Self {
        Self(Arc::new(Shared {
            client,
            cluster: cluster.into(),
            state: Mutex::default(),
            answered: Notify::new(),
            writers: Semaphore::new(limits::MIRROR_WRITERS),
        }))
    }

    /// The complete set of Services for which mirrors are accepted. Slices of others stay as they are.
    pub fn govern(&self, services: &[GovernedService]) {
        let mut state = self.0.lock();
        state.governed =
            services.iter().map(|governed| (governed.namespace.clone(), governed.service.clone())).collect();
        let State { governed, waiting, .. } = &mut *state;
        waiting.retain(|(namespace, service, _), _| governed.contains(&(namespace.clone(), service.clone())));
    }

    /// Takes `mirror`; the answer comes out of [`Mirrors::next_answer`].
    pub fn submit(&self, mirror: Mirror) {
        let key = (mirror.namespace.clone(), mirror.service.clone(), mirror.origin.clone());
        let mut state = self.0.lock();
        let refusal = if state.governed.contains(&(key.0.clone(), key.1.clone())) {
            slices::check(&mirror, &self.0.cluster).err().map(|refusal| refusal.to_string())
        } else {
            Some(format!("Service {}/{} is not governed", key.0, key.1))
        };
        if let Some(refusal) = refusal {
            tracing::warn!(namespace = key.0, service = key.1, origin = key.2, refusal, "mirror refused");
            state.answer(&mirror, refusal);
            drop(state);
            self.0.answered.notify_one();
            return;
        }
        state.waiting.insert(key.clone(), mirror);
        if state.working.insert(key.clone()) {
            tokio::spawn(work(self.0.clone(), key));
        }
    }

    /// The next confirmation or error; waits for one. To be called by one task at a time; cancel-safe.
    pub async fn next_answer(&self) -> MirrorApplied {
        loop {
            if let Some(answer) = self.0.lock().answers.pop_front() {
                return answer;
            }
            self.0.answered.notified().await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what waits for `key`; when nothing does the key's task is over.
    fn take(&self, key: &Key) -> Option<Mirror> {
        let mut state = self.lock();
        let taken = state.waiting.remove(key);
        if taken.is_none() {
            state.working.remove(key);
        }
        taken
    }

    fn answer(&self, mirror: &Mirror, error: String) {
        self.lock().answer(mirror, error);
        self.answered.notify_one();
    }
}

impl State {
    /// The answer replaces an older one for the same Service and origin that was not taken yet.
    fn answer(&mut self, mirror: &Mirror, error: String) {
        let answer = MirrorApplied {
            namespace: mirror.namespace.clone(),
            service: mirror.service.clone(),
            origin: mirror.origin.clone(),
            revision: mirror.revision,
            origin_instance_id: mirror.origin_instance_id.clone(),
            error: bounded(error),
        };
        self.answers.retain(|older| {
            (&older.namespace, &older.service, &older.origin)
                != (&answer.namespace, &answer.service, &answer.origin)
        });
        if self.answers.len() == limits::MIRROR_ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }
}

async fn work(shared: Arc<Shared>, key: Key) {
    let mut backoff = Backoff::new();
    while let Some(mirror) = shared.take(&key) {
        hold::at_mirror().await;
        let applied = match shared.writers.acquire().await {
            Ok(_permit) => {
                let written = timeout(limits::MIRROR_TIMEOUT, apply(&shared.client, &mirror)).await;
                let seconds = limits::MIRROR_TIMEOUT.as_secs();
                written.unwrap_or_else(|_| Err(format!("the API server gave no answer within {seconds} s")))
            }
            Err(_closed) => return,
        };
        match applied {
            Ok(()) => {
                backoff.reset();
                shared.answer(&mirror, String::new());
            }
            Err(error) => {
                tracing::warn!(
                    namespace = key.0,
                    service = key.1,
                    origin = key.2,
                    error,
                    "mirror not written"
                );
                shared.answer(&mirror, error);
                shared.lock().waiting.entry(key.clone()).or_insert(mirror);
                backoff.pause().await;
            }
        }
    }
}

/// Makes the slices here exactly those of `mirror`.
async fn apply(client: &Client, mirror: &Mirror) -> Result<(), String> {
    let slices_here: Api<EndpointSlice> = Api::namespaced(client.clone(), &mirror.namespace);
    let selector = slices::selector(&mirror.service, &mirror.origin);
    let params = ListParams::default().labels(&selector);
    let listed =
        slices_here.list(&params).map_err(|error| format!("cannot list EndpointSlices: {}", said(&error)));
    let (service, listed) = try_join(local_service(client, mirror), listed).await?;
    let wanted = match service {
        Some(service) => slices::build(mirror, &service),
        None if mirror.endpoints.is_empty() => Vec::new(),
        None => {
            return Err(format!(
                "Service {}/{} does not exist here; it is made when the target is prepared",
                mirror.namespace, mirror.service
            ));
        }
    };
    let params = PatchParams::apply(limits::FIELD_MANAGER).force();
    for slice in &wanted {
        slices_here
            .patch(&slice.name_any(), &params, &Patch::Apply(slice))
            .await
            .map_err(|error| format!("cannot write EndpointSlice {}: {}", slice.name_any(), said(&error)))?;
    }
    let is_wanted =
        |slice: &EndpointSlice| wanted.iter().any(|want| want.metadata.name == slice.metadata.name);
    for slice in listed.items.iter().filter(|slice| !is_wanted(slice)) {
        delete(&slices_here, slice).await?;
    }
    Ok(())
}

async fn local_service(client: &Client, mirror: &Mirror) -> Result<Option<slices::LocalService>, String> {
    let services: Api<Service> = Api::namespaced(client.clone(), &mirror.namespace);
    let found = services.get_opt(&mirror.service).await;
    let found = found.map_err(|error| {
        format!("cannot read Service {}/{}: {}", mirror.namespace, mirror.service, said(&error))
    })?;
    Ok(found.map(|service| slices::LocalService {
        uid: service.metadata.uid.unwrap_or_default(),
        headless: service.spec.and_then(|spec| spec.cluster_ip).as_deref() == Some("None"),
    }))
}

async fn delete(slices_here: &Api<EndpointSlice>, slice: &EndpointSlice) -> Result<(), String> {
    let preconditions = Preconditions { uid: slice.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match slices_here.delete(&slice.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(classify(&error), Class::Missing | Class::Conflict) => Ok(()),
        Err(error) => Err(format!("cannot delete EndpointSlice {}: {}", slice.name_any(), said(&error))),
    }
}
