//! P1r: how long Ferry takes from what an outside watcher sees to its own next write.
//!
//! For each step of a handoff it is known which events make it possible; the moment is the last of them as the outside
//! watcher saw it, by its watches on both API servers. The write is the one that begins the next step, at the time at
//! which the API server received it, by its audit log: neither time is Ferry's own word, and both are of one clock.
//! What a watcher sees it sees a millisecond or two late, as Ferry does; where Ferry was faster than the watcher the
//! reaction counts as zero.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;

use super::audit::Call;
use super::eyes::{Seen, has_ready, is_true, text, uses};
use super::workload::Workload;

/// Slack for a write that came before the watcher's own notice of its cause, in milliseconds.
const SLACK_MS: f64 = 50.0;

/// What is written beside the steps: endpoints have a step of their own, Events are for people.
const ASIDE: [&str; 2] = ["endpointslices", "events"];

/// One handoff by Ferry.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// Cluster that let go.
    pub source: String,
    /// Cluster that took.
    pub target: String,
    /// Which ordinal.
    pub ordinal: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// Reactions in milliseconds, by the step that they lead to.
pub type Reactions = BTreeMap<&'static str, Vec<f64>>;

/// What happened around one handoff.
struct Scene<'a> {
    handoff: &'a Handoff,
    workload: &'a Workload,
    pod: String,
    claim: String,
    seen: Vec<&'a Seen>,
    writes: Vec<&'a Call>,
}

/// Adds the reactions of one handoff.
pub fn gather(into: &mut Reactions, workload: &Workload, handoff: &Handoff, log: &[Seen], writes: &[Call]) {
    let within = |at: Timestamp| at >= handoff.began && at <= handoff.ended;
    let scene = Scene {
        handoff,
        workload,
        pod: workload.pod(handoff.ordinal),
        claim: workload.claim(handoff.ordinal),
        seen: log.iter().filter(|seen| within(seen.at)).collect(),
        writes: writes.iter().filter(|call| within(call.at)).collect(),
    };
    for (step, reaction) in scene.source_steps().into_iter().chain(scene.target_steps()) {
        if let Some(ms) = reaction.filter(|ms| *ms > -SLACK_MS) {
            into.entry(step).or_default().push(ms.max(0.0));
        }
    }
}

impl Scene<'_> {
    fn write(&self, cluster: &str, verb: &str, resource: &str, after: Timestamp) -> Option<Timestamp> {
        let of = |call: &&&Call| {
            call.cluster == cluster && call.verb == verb && call.resource == resource && call.at >= after
        };
        self.writes.iter().find(of).map(|call| call.at)
    }

    /// The first write of a step after `after`; `cluster` empty: in any.
    fn next_write(&self, cluster: &str, after: Timestamp) -> Option<Timestamp> {
        let is_next = |call: &&&Call| {
            (cluster.is_empty() || call.cluster == cluster)
                && !ASIDE.contains(&call.resource.as_str())
                && call.at > after
        };
        self.writes.iter().find(is_next).map(|call| call.at)
    }

    fn event(&self, after: Timestamp, is_it: impl Fn(&Seen) -> bool) -> Option<Timestamp> {
        self.seen.iter().find(|seen| seen.at >= after && is_it(seen)).map(|seen| seen.at)
    }

    fn patched(&self, cluster: &str) -> Option<Timestamp> {
        self.write(cluster, "patch", "statefulsets", self.handoff.began)
    }

    fn source_steps(&self) -> Vec<(&'static str, Option<f64>)> {
        let Some(patched) = self.patched(&self.handoff.source) else { return Vec::new() };
        let source = self.handoff.source.as_str();
        let first = self.next_write(source, patched);
        let buried = first.and_then(|first| self.write(source, "create", "persistentvolumeclaims", first));
        let gone =
            self.event(patched, |seen| seen.gone && seen.is(source, "PersistentVolumeClaim", &self.claim));
        let forgotten = self.write(source, "delete", "persistentvolumes", patched);
        let forgotten_seen = forgotten.and_then(|at| {
            self.event(at, |seen| seen.gone && seen.cluster == source && seen.kind == "PersistentVolume")
        });
        let settled = forgotten.and_then(|at| self.next_write("", at));
        vec![
            ("5 slice", between(self.held(patched), Some(patched))),
            ("7 claim away", between(self.detached(patched), first)),
            ("7 tombstone", between(gone, buried)),
            ("12 volume away", between(self.converged(), forgotten)),
            ("13 settle", between(forgotten_seen, settled)),
        ]
    }

    fn target_steps(&self) -> Vec<(&'static str, Option<f64>)> {
        let (source, target) = (self.handoff.source.as_str(), self.handoff.target.as_str());
        let Some(patched) = self.patched(source) else { return Vec::new() };
        let gone =
            self.event(patched, |seen| seen.gone && seen.is(source, "PersistentVolumeClaim", &self.claim));
        let Some(gone) = gone else { return Vec::new() };
        let buried =
            self.event(gone, |seen| !seen.gone && seen.is(source, "PersistentVolumeClaim", &self.claim));
        let released = self.event(gone, |seen| {
            seen.cluster == source
                && seen.kind == "PersistentVolume"
                && text(&seen.object, "/spec/claimRef/name") == self.claim
                && text(&seen.object, "/status/phase") == "Released"
        });
        let granted = later(buried, released);
        let away =
            self.event(gone, |seen| seen.gone && seen.is(target, "PersistentVolumeClaim", &self.claim));
        let claimed =
            away.and_then(|_| self.write(target, "create", "persistentvolumeclaims", self.handoff.began));
        let mirrored = self.own_ready().and_then(|at| {
            let slack = jiff::SignedDuration::from_millis(SLACK_MS as i64);
            self.mirror_write(source, at.checked_sub(slack).ok()?)
        });
        vec![
            ("9 volume", between(granted, self.next_write(target, gone))),
            ("9 claim", between(away, claimed)),
            ("10 slice", between(self.bound(), self.patched(target))),
            ("11 mirror", between(self.own_ready(), mirrored)),
        ]
    }

    fn mirror_write(&self, cluster: &str, after: Timestamp) -> Option<Timestamp> {
        let is_it =
            |call: &&&Call| call.cluster == cluster && call.resource == "endpointslices" && call.at >= after;
        self.writes.iter().find(is_it).map(|call| call.at)
    }

    /// Steps 2 and 3 before step 5: when both budgets were taken up.
    fn held(&self, patched: Timestamp) -> Option<Timestamp> {
        let taken = self.seen.iter().rev().find(|seen| {
            let observed = seen.object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
            seen.at <= patched
                && seen.kind == "PodDisruptionBudget"
                && seen.object.namespace().as_deref() == Some(&self.workload.name)
                && observed.is_some()
                && observed == seen.object.metadata.generation
        });
        taken.map(|seen| seen.at)
    }

    /// Steps 5 and 6: the pod gone and the disk detached, by the node's own word.
    fn detached(&self, patched: Timestamp) -> Option<Timestamp> {
        let source = self.handoff.source.as_str();
        let gone = self.event(patched, |seen| seen.gone && seen.is(source, "Pod", &self.pod))?;
        let pod = self.seen.iter().find(|seen| seen.gone && seen.is(source, "Pod", &self.pod))?;
        let node = text(&pod.object, "/spec/nodeName");
        let mut moment = Some(gone);
        moment = later(
            moment,
            self.event(patched, |seen| {
                let number = |pointer: &str| seen.object.data.pointer(pointer).and_then(Value::as_i64);
                seen.is(source, "StatefulSet", &self.workload.name)
                    && number("/status/observedGeneration") == seen.object.metadata.generation
                    && number("/status/replicas") == number("/spec/replicas")
            }),
        );
        let volume = self.seen.iter().rev().find(|seen| {
            seen.cluster == source
                && seen.kind == "PersistentVolume"
                && text(&seen.object, "/spec/claimRef/name") == self.claim
        })?;
        let attached = |seen: &Seen| {
            let of = text(&seen.object, "/spec/source/persistentVolumeName");
            seen.cluster == source && seen.kind == "VolumeAttachment" && of == volume.object.name_any()
        };
        moment = later(moment, self.event(patched, |seen| seen.gone && attached(seen)));
        moment = later(
            moment,
            self.event(patched, |seen| seen.is(source, "Node", node) && !uses(&seen.object, &volume.object)),
        );
        let lease = |seen: &Seen| seen.is(source, "Lease", node);
        later(moment, self.event(gone, lease))
    }

    /// Step 9: claim and volume Bound at the target.
    fn bound(&self) -> Option<Timestamp> {
        let target = self.handoff.target.as_str();
        let claim = self.event(self.handoff.began, |seen| {
            seen.is(target, "PersistentVolumeClaim", &self.claim)
                && text(&seen.object, "/status/phase") == "Bound"
        });
        let volume = self.event(self.handoff.began, |seen| {
            seen.cluster == target
                && seen.kind == "PersistentVolume"
                && text(&seen.object, "/spec/claimRef/name") == self.claim
                && text(&seen.object, "/status/phase") == "Bound"
        });
        later(claim, volume)
    }

    /// Step 10: the target's own endpoints have the ready pod.
    fn own_ready(&self) -> Option<Timestamp> {
        let target = self.handoff.target.as_str();
        self.event(self.patched(target)?, |seen| self.shows(seen, target, true))
    }

    /// Step 11: the pod Ready, and its endpoint mirrored to the source.
    fn converged(&self) -> Option<Timestamp> {
        let (source, target) = (self.handoff.source.as_str(), self.handoff.target.as_str());
        let patched = self.patched(target)?;
        let ready =
            self.event(patched, |seen| seen.is(target, "Pod", &self.pod) && is_true(&seen.object, "Ready"));
        later(ready, self.event(patched, |seen| self.shows(seen, source, false)))
    }

    /// Whether an EndpointSlice, the cluster's own or a mirrored one, shows the pod ready.
    fn shows(&self, seen: &Seen, cluster: &str, own: bool) -> bool {
        let managed = seen.object.labels().get("endpointslice.kubernetes.io/managed-by");
        let is_own = managed.is_some_and(|by| by == "endpointslice-controller.k8s.io");
        seen.cluster == cluster
            && seen.kind == "EndpointSlice"
            && is_own == own
            && seen.object.namespace().as_deref() == Some(&self.workload.name)
            && has_ready(&seen.object, &self.pod)
    }
}

/// The later of two moments that both must have come.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    Some(one?.max(other?))
}

fn between(event: Option<Timestamp>, write: Option<Timestamp>) -> Option<f64> {
    Some(milliseconds(event?, write?))
}

/// From one moment to another, in milliseconds.
#[must_use]
pub fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_microsecond() - from.as_microsecond()) as f64 / 1000.0
}
