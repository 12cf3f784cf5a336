//! `Probe` (K6, H22): a scratch disk of our own, made in one cluster, read in another, removed.
//!
//! The one place where Ferry makes and ends a pod by itself, and where it deletes a disk: nobody's data is on it. Every
//! object has the probe's name (the command's workload, which no StatefulSet's claim can have) and the label [`LABEL`]
//! with it; what has not is never written to or deleted. Detach is proven by the code of step 6, on both sides.
//!
//! A part ends in evidence also when it could not be done: then with the problem, and with what is left here. Each finds
//! its own work, so a command that is sent again goes on.

use std::time::Duration;

use ferry_proto::agent::v1::{NodeIdentity, Probe, ProbePart, Probed, Slice};
use serde_json::{Value, json};

use super::{
    api::{self, CLAIM, Halt, Halted, Key, NODE, POD, VOLUME, Written},
    object,
    release::{Ran, Steps, Work, detach},
    slice_patch::Change,
    tombstone,
    volumes::{self, Recorded},
    wait::Wait,
};
use crate::{
    context::Context,
    outcome::{Stop, bounded},
};

mod body;
mod make;
mod pod;
mod read;
mod remove;

/// On every object of a probe: its name.
const LABEL: &str = "ferry.dev/probe";
/// On the claim: the node that ran the pod, so that a new process knows whose proof it needs.
const RAN_ON: &str = "ferry.dev/probe-node";
/// What progress is reported for: nothing of a handoff.
const STEP: u32 = 0;

/// A probe's part, with what it needs in each of its steps.
struct Scratch<'a> {
    ctx: &'a Context,
    command: &'a Probe,
    patience: Duration,
}

/// Carries one part out.
pub(super) async fn run(ctx: &Context, command: &Probe) -> Halted<Probed> {
    if crate::inventory::ordinal_of(&ctx.command.workload).is_some() {
        return Err(Stop::not_understood("A probe has the name of a StatefulSet's claim").into());
    }
    let scratch = Scratch { ctx, command, patience: Duration::from_millis(command.patience_ms) };
    let ended = match ProbePart::try_from(command.part) {
        Ok(ProbePart::Make) => make::run(&scratch).await,
        Ok(ProbePart::Read) => read::run(&scratch).await,
        Ok(ProbePart::Remove) => remove::run(&scratch).await,
        Ok(ProbePart::Unspecified) | Err(_) => {
            return Err(Stop::not_understood("The part of a probe is not known to this agent").into());
        }
    };
    match ended {
        Ok(probed) => Ok(probed),
        Err(Halt::Stop(Stop::Refused { message, .. })) => {
            let left = scratch.left().await?;
            Ok(Probed { problem: bounded(message), left, ..Probed::default() })
        }
        Err(halt) => Err(halt),
    }
}

impl Scratch<'_> {
    fn name(&self) -> &str {
        &self.ctx.command.workload
    }

    fn pod(&self) -> Key {
        Key::of(self.ctx, POD, self.name())
    }

    fn claim(&self) -> Key {
        Key::of(self.ctx, CLAIM, self.name())
    }

    /// Whether the object is of this probe.
    fn owns(&self, object: &Value) -> bool {
        object::label(object, LABEL) == Some(self.name())
    }

    /// The object, if it is here and ours.
    ///
    /// # Errors
    /// A conflict if somebody else's has the name.
    async fn ours(&self, key: &Key) -> Result<Option<Value>, Stop> {
        let found = api::read(self.ctx, key).await?;
        if found.as_ref().is_some_and(|found| !self.owns(found)) {
            return Err(Stop::conflict(format!(
                "{key} is not of this probe: it lacks the label {LABEL}={}. Look at it, then probe again",
                self.name()
            )));
        }
        Ok(found)
    }

    /// Creates the object unless it is here.
    async fn create(&self, key: &Key, body: &Value) -> Halted<()> {
        if self.ours(key).await?.is_some() {
            return Ok(());
        }
        match api::create(self.ctx, key, body).await? {
            Written::Done(_) => Ok(()),
            Written::Unfit(said) => Err(Stop::conflict(format!("The API server refuses {key}: {said}")).into()),
            Written::Missing => Err(Stop::conflict(format!(
                "{key} cannot be made: its namespace does not exist in {}. Create it, or probe in another (-n)",
                self.ctx.cluster
            ))
            .into()),
            Written::Exists | Written::Changed => Err(Halt::Again(format!("{key} was made meanwhile"))),
        }
    }

    /// Asks whether pods may be deleted here, before one is made: by deleting one that cannot exist.
    async fn may_end_pods(&self) -> Halted<()> {
        api::delete(self.ctx, &self.pod(), "none", None).await.map(drop)
    }

    /// Our PersistentVolumes here.
    async fn volumes(&self) -> Result<Vec<Value>, Stop> {
        let mut all = api::list(self.ctx, VOLUME, "").await?;
        all.retain(|volume| self.owns(volume));
        Ok(all)
    }

    /// Ends the pod, and proves that no node holds the disk.
    async fn let_go(&self, volume: Option<&Value>) -> Halted<()> {
        let (pod, claim) = (self.ours(&self.pod()).await?, self.ours(&self.claim()).await?);
        let mut nodes = Vec::new();
        if let Some(claim) = &claim {
            if let Some(pod) = &pod {
                self.note_node(pod, claim).await?;
            }
            let claim = self.ours(&self.claim()).await?;
            let noted = claim.as_ref().and_then(|claim| object::annotation(claim, RAN_ON));
            nodes.extend(noted.and_then(node_of));
        }
        if let Some(pod) = &pod {
            self.delete(&self.pod(), pod).await?;
        }
        let Some(volume) = volume else { return Ok(()) };
        let recorded = recorded(volume);
        let nothing = Slice { start: 0, replicas: 0 };
        let work = Work {
            ctx: self.ctx,
            change: Change { ordinal: 0, stateful_set_uid: String::new(), from: nothing, to: nothing },
            held: Ran::default(),
            volumes: vec![recorded],
            claims: Vec::new(),
            steps: Steps { pod: STEP, detach: STEP, claims: STEP },
            everywhere: true,
            attested: &[],
        };
        detach::run(&work, &Ran { pod_uid: String::new(), nodes }).await
    }

    /// Writes down who runs the pod, before it is deleted.
    async fn note_node(&self, pod: &Value, claim: &Value) -> Halted<()> {
        let name = object::text(pod, "/spec/nodeName");
        if name.is_empty() || object::annotation(claim, RAN_ON).is_some() {
            return Ok(());
        }
        let key = Key::of(self.ctx, NODE, name);
        let Some(node) = api::read(self.ctx, &key).await? else {
            return Err(Stop::unknown(format!(
                "{key}, which ran {}, does not exist any more: whether it holds the disk cannot be told from here",
                self.pod()
            ))
            .into());
        };
        let NodeIdentity { name, uid, boot_id } = object::node_identity(&node);
        let note = json!({"name": name, "uid": uid, "bootID": boot_id}).to_string();
        let changes = object::annotate(claim, &[(RAN_ON, &note)]);
        api::amend(self.ctx, &self.claim(), claim, changes).await.map(drop)
    }

    /// Deletes what was read, and waits until it is gone.
    async fn delete(&self, key: &Key, seen: &Value) -> Halted<()> {
        let uid = object::uid(seen);
        if !object::is_ending(seen) {
            match api::delete(self.ctx, key, uid, None).await? {
                Written::Done(_) | Written::Missing => {}
                _ => return Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
            }
        }
        let mut wait = Wait::new(self.ctx, STEP);
        wait.watch(key);
        while let Some(now) = api::read(self.ctx, key).await? {
            if object::uid(&now) != uid {
                return Err(Halt::Again(format!("{key} was made anew meanwhile")));
            }
            wait.pause(format!("the deletion of {key}{}", tombstone::held_by(&now))).await?;
        }
        Ok(())
    }

    /// The volume as it is now, with `policy` and the label, read back.
    async fn amended(&self, volume: &Value, policy: &str) -> Halted<Value> {
        let key = Key::of(self.ctx, VOLUME, object::name(volume));
        let mut changes = Vec::new();
        if object::text(volume, volumes::RECLAIM) != policy {
            changes.push(json!({"op": "add", "path": volumes::RECLAIM, "value": policy}));
        }
        if !self.owns(volume) {
            if volume.pointer("/metadata/labels").is_none() {
                changes.push(json!({"op": "add", "path": "/metadata/labels", "value": {}}));
            }
            let path = format!("/metadata/labels/{}", LABEL.replace('/', "~1"));
            changes.push(json!({"op": "add", "path": path, "value": self.name()}));
        }
        if !changes.is_empty() {
            api::amend(self.ctx, &key, volume, changes).await?;
        }
        match api::read(self.ctx, &key).await? {
            Some(now) if object::text(&now, volumes::RECLAIM) == policy => Ok(now),
            _ => Err(Halt::Again(format!("{key} was changed by somebody else meanwhile"))),
        }
    }

    /// Objects of the probe that are here.
    async fn left(&self) -> Result<Vec<String>, Stop> {
        let mut left = Vec::new();
        for key in [self.pod(), self.claim()] {
            let found = api::read(self.ctx, &key).await?;
            left.extend(found.filter(|found| self.owns(found)).map(|_| key.to_string()));
        }
        let volumes = self.volumes().await?;
        left.extend(volumes.iter().map(|volume| format!("PersistentVolume {}", object::name(volume))));
        Ok(left)
    }
}

/// The disk in the form that the proof of detach takes; the claim plays no part in it.
fn recorded(volume: &Value) -> Recorded {
    Recorded { claim: Value::Null, volume: volume.clone(), id: object::volume_id(volume) }
}

fn node_of(note: &str) -> Option<NodeIdentity> {
    let note: Value = serde_json::from_str(note).ok()?;
    let text = |field: &str| note.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    Some(NodeIdentity { name: text("name")?, uid: text("uid")?, boot_id: text("bootID")? })
}
