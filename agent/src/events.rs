//! Kubernetes Events about what Ferry does: on the StatefulSet, and on the claims that come and go.
//!
//! For whoever runs `kubectl describe` and has never heard of Ferry. Which reasons there are is in
//! docs/observability.md. Each names the pod of its ordinal as the related object, so that events of two ordinals are
//! two events; one that repeats is counted up, not written again. They are written by a task of their own out of a
//! bounded queue: an API server that is slow to take them holds nothing up, and events that cannot be written are
//! lost, not tried again. Nothing is ever decided by an event.

use ferry_proto::agent::v1::{ClaimedVolume, command::Body};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use prometheus_client::metrics::counter::Counter;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    context::Facts,
    limits,
    outcome::{Evidence, said},
    telemetry::{Metrics, parts},
};

/// Who reports.
const REPORTER: &str = "ferry-agent";

/// Writes events, or loses them. Clones share the queue.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(Event, ObjectReference)>,
    dropped: Counter,
}

/// What a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    namespace: String,
    workload: String,
    uid: String,
    ordinal: Option<u32>,
    verb: String,
    migration: String,
    claims: Vec<ClaimedVolume>,
}

impl Events {
    /// Begins to write; ends with the last clone.
    pub fn start(client: Client, cluster: &str, metrics: &Metrics) -> Self {
        let (queue, waiting) = mpsc::channel(limits::EVENTS_WAITING);
        let reporter = Reporter { controller: REPORTER.to_owned(), instance: Some(cluster.to_owned()) };
        let counts = (metrics.events.of(["written"]), metrics.events.of(["failed"]));
        tokio::spawn(write(Recorder::new(client, reporter), waiting, counts));
        Self { queue, dropped: metrics.events.of(["dropped"]) }
    }

    /// A command about `subject` begins.
    pub fn begins(&self, subject: &Subject) {
        let said = match subject.verb.as_str() {
            "release" => ("HandoffReleasing", "stops here, to start in another cluster"),
            "adopt" => ("HandoffAdopting", "is about to start here, with its disks"),
            "fence" => ("HandoffFencing", "is taken out again: its handoff to this cluster is taken back"),
            "reclaim" => ("HandoffReclaiming", "comes back: its handoff to another cluster is taken back"),
            _ => return,
        };
        let note = format!("{} {}", subject.what(), said.1);
        self.publish(subject, subject.set(), EventType::Normal, said.0, &note);
    }

    /// It ended.
    pub fn ended(&self, subject: &Subject, evidence: &Evidence) {
        let what = subject.what();
        let note = |reason, note: String| {
            self.publish(subject, subject.set(), EventType::Normal, reason, &note);
        };
        match evidence {
            Evidence::SourcePrepared(_) => note(
                "MigrationPrepared",
                "prepared to move to another cluster: every disk is kept whatever happens to its claim"
                    .to_owned(),
            ),
            Evidence::TargetPrepared(prepared) => {
                let set = ObjectReference { uid: Some(prepared.stateful_set_uid.clone()), ..subject.set() };
                let note = "prepared to take over replicas from another cluster";
                self.publish(subject, set, EventType::Normal, "MigrationPrepared", note);
            }
            Evidence::Released(_) => {
                note("HandoffReleased", format!("{what} is stopped, and its disks are let go"));
                let claim = "its disk goes to another cluster; what has its name now keeps the place empty";
                self.on_claims(subject, &subject.claims, "HandoffReleased", claim);
            }
            Evidence::Adopted(adopted) => {
                note("HandoffAdopted", format!("{what} runs here"));
                let claim = "bound to the disk that came from another cluster";
                self.on_claims(subject, &adopted.volumes, "HandoffAdopted", claim);
            }
            Evidence::Fenced(_) => note("HandoffFenced", format!("{what} is kept out of this cluster")),
            Evidence::Reclaimed(taken) => {
                note("HandoffReclaimed", format!("{what} runs here again"));
                let claim = "bound to its disk again: the handoff was taken back";
                self.on_claims(subject, &taken.volumes, "HandoffReclaimed", claim);
            }
            Evidence::Refusal(refusal) => self.failed(subject, "HandoffRefused", &refusal.message),
            Evidence::Unknown(unknown) => self.failed(subject, "HandoffUnknown", &unknown.message),
            _ => {}
        }
    }

    fn failed(&self, subject: &Subject, reason: &str, why: &str) {
        if !subject.uid.is_empty() {
            self.publish(subject, subject.set(), EventType::Warning, reason, why);
        }
    }

    fn on_claims(&self, subject: &Subject, volumes: &[ClaimedVolume], reason: &str, note: &str) {
        for claim in volumes.iter().filter_map(|volume| volume.claim.as_ref()) {
            let reference = ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("PersistentVolumeClaim".to_owned()),
                namespace: Some(subject.namespace.clone()),
                name: Some(claim.name.clone()),
                uid: Some(claim.uid.clone()).filter(|uid| !uid.is_empty()),
                ..ObjectReference::default()
            };
            self.publish(subject, reference, EventType::Normal, reason, note);
        }
    }

    fn publish(&self, subject: &Subject, on: ObjectReference, type_: EventType, reason: &str, note: &str) {
        let text = format!("{note} (migration {})", subject.migration);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(cut(text)),
            action: subject.verb.clone(),
            secondary: subject.pod(),
        };
        if self.queue.try_send((event, on)).is_err() {
            self.dropped.inc();
        }
    }
}

impl Subject {
    /// What the command is about; none if it is no part of a migration, or changes nothing worth an event.
    pub fn of(facts: &Facts, body: Option<&Body>) -> Option<Self> {
        let (uid, claims): (&str, &[ClaimedVolume]) = match body? {
            Body::PrepareSource(command) => (&command.stateful_set_uid, &[]),
            Body::PrepareTarget(_) => ("", &[]),
            Body::Hold(command) => (&command.stateful_set_uid, &[]),
            Body::Release(command) => (&command.stateful_set_uid, &command.volumes),
            Body::Adopt(command) => (&command.stateful_set_uid, &command.volumes),
            Body::Fence(command) => (&command.stateful_set_uid, &command.volumes),
            Body::Reclaim(command) => (&command.stateful_set_uid, &command.volumes),
            _ => return None,
        };
        let (ordinal, verb) = parts(&facts.id);
        Some(Self {
            namespace: facts.namespace.clone(),
            workload: facts.workload.clone(),
            uid: uid.to_owned(),
            ordinal,
            verb: verb.to_owned(),
            migration: facts.migration.clone(),
            claims: claims.to_vec(),
        })
    }

    fn what(&self) -> String {
        self.ordinal.map_or_else(|| self.workload.clone(), |ordinal| format!("{}-{ordinal}", self.workload))
    }

    fn set(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("StatefulSet".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.workload.clone()),
            uid: Some(self.uid.clone()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        }
    }

    fn pod(&self) -> Option<ObjectReference> {
        self.ordinal.map(|_| ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.what()),
            ..ObjectReference::default()
        })
    }
}

/// `text`, no longer than the API server takes a note.
fn cut(mut text: String) -> String {
    if text.len() > limits::EVENT_NOTE_BYTES {
        text.truncate(text.floor_char_boundary(limits::EVENT_NOTE_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

async fn write(
    recorder: Recorder,
    mut waiting: mpsc::Receiver<(Event, ObjectReference)>,
    (written, failed): (Counter, Counter),
) {
    let mut refused = false;
    while let Some((event, on)) = waiting.recv().await {
        let error = match timeout(limits::REQUEST_TIMEOUT, recorder.publish(&event, &on)).await {
            Ok(Ok(())) => {
                written.inc();
                refused = false;
                continue;
            }
            Ok(Err(error)) => said(&error),
            Err(_) => "no answer".to_owned(),
        };
        failed.inc();
        if !refused {
            tracing::warn!(
                reason = event.reason,
                error,
                "cannot write an event; said once until it works again"
            );
        }
        refused = true;
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
