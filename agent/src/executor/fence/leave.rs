//! Undo of step 10: the slice without the ordinal again, and the end of its pod.
//!
//! The set is written to in any case, also where the ordinal is not in its slice: the adoption's patch, decided before,
//! fails then. The same write records the pod and every node that may have its disks, by the pod, by the
//! VolumeAttachments, and by the pod again for as long as it ends (it may have been scheduled since): a new process
//! needs them for the proof of detach. Unlike step 5 this does not wait for the other pods to be well first: that the
//! newcomer is not is the usual reason to take it back (H14). The retention policy is looked at as there.

use ferry_proto::agent::v1::NodeIdentity;
use serde_json::{Value, json};

use crate::executor::{
    api::{self, ATTACHMENT, Halt, Halted, Key, NODE},
    object,
    release::{Ran, Work, stop},
    slice_patch, stateful_set,
    wait::Wait,
};

/// How the ordinal left.
pub(super) struct Left {
    /// Who ran it.
    pub(super) ran: Ran,
    /// Whether this process found it in the slice.
    pub(super) was_in_slice: bool,
}

/// Takes the ordinal out of the slice unless that is done, and waits for the pod's end.
pub(super) async fn run(work: &Work<'_>) -> Halted<Left> {
    let (ctx, change) = (work.ctx, &work.change);
    let step = work.steps.pod;
    ctx.progress.started(step, format!("taking ordinal {} out of the slice again", change.ordinal)).await;
    let set = stateful_set::read(ctx, &change.stateful_set_uid).await?;
    let side = slice_patch::side(&set, change)?;
    let was_in_slice = side == slice_patch::Side::Before;
    let set = if was_in_slice {
        stop::kept(&set)?;
        let handoff = handoff(work, &seen(work).await?);
        slice_patch::apply(ctx, &set, change, &handoff).await?
    } else if slice_patch::recorded(ctx, &set, change.ordinal).is_none() {
        let handoff = handoff(work, &seen(work).await?);
        slice_patch::fence(ctx, &set, change.ordinal, &handoff).await?
    } else {
        set
    };
    let ran = ended(work, &recorded(work, &set)).await?;
    let name = stop::pod(work).name;
    ctx.progress.done(step, format!("no pod {name} is here, and none can start"));
    Ok(Left { ran, was_in_slice })
}

/// The pod and the nodes that may have the disks, as they are now.
async fn seen(work: &Work<'_>) -> Halted<Ran> {
    let mut ran = Ran::default();
    if let Some(pod) = api::read(work.ctx, &stop::pod(work)).await? {
        object::uid(&pod).clone_into(&mut ran.pod_uid);
        add(work, &mut ran, object::text(&pod, "/spec/nodeName")).await?;
    }
    for attachment in api::list(work.ctx, ATTACHMENT, "").await? {
        let volume = object::text(&attachment, "/spec/source/persistentVolumeName");
        if work.volumes.iter().any(|recorded| object::name(&recorded.volume) == volume) {
            add(work, &mut ran, object::text(&attachment, "/spec/nodeName")).await?;
        }
    }
    Ok(ran)
}

/// A node that does not exist any more is recorded as well: it cannot prove anything, and that has to be said.
async fn add(work: &Work<'_>, ran: &mut Ran, name: &str) -> Halted<bool> {
    if name.is_empty() || ran.nodes.iter().any(|node| node.name == name) {
        return Ok(false);
    }
    let node = api::read(work.ctx, &Key::of(work.ctx, NODE, name)).await?;
    let gone = NodeIdentity { name: name.to_owned(), ..NodeIdentity::default() };
    ran.nodes.push(node.as_ref().map_or(gone, object::node_identity));
    Ok(true)
}

fn handoff(work: &Work<'_>, ran: &Ran) -> Value {
    let nodes: Vec<_> = ran
        .nodes
        .iter()
        .map(|node| json!({"name": node.name, "uid": node.uid, "bootID": node.boot_id}))
        .collect();
    json!({
        "ordinal": work.change.ordinal, "epoch": work.ctx.command.epoch, "pod": ran.pod_uid, "nodes": nodes,
    })
}

fn recorded(work: &Work<'_>, set: &Value) -> Ran {
    let kept = slice_patch::recorded(work.ctx, set, work.change.ordinal).unwrap_or_default();
    let nodes = object::items(&kept, "/nodes").iter().map(|node| NodeIdentity {
        name: object::text(node, "/name").to_owned(),
        uid: object::text(node, "/uid").to_owned(),
        boot_id: object::text(node, "/bootID").to_owned(),
    });
    Ran { pod_uid: object::text(&kept, "/pod").to_owned(), nodes: nodes.collect() }
}

/// Waits until the set's controller has seen the slice and no pod of the ordinal is there; who ran it, completed.
pub(super) async fn ended(work: &Work<'_>, ran: &Ran) -> Halted<Ran> {
    let (ctx, change) = (work.ctx, &work.change);
    let (key, set_key) = (stop::pod(work), stateful_set::key(ctx));
    let mut ran = ran.clone();
    let mut wait = Wait::new(ctx, work.steps.pod);
    wait.watch(&key);
    wait.watch(&set_key);
    loop {
        let set = stateful_set::read(ctx, &change.stateful_set_uid).await?;
        if slice_patch::side(&set, change)? == slice_patch::Side::Before {
            return Err(Halt::Again(format!("the slice of {set_key} has the ordinal again")));
        }
        let message = match api::read(ctx, &key).await? {
            Some(pod) => {
                if add(work, &mut ran, object::text(&pod, "/spec/nodeName")).await? {
                    object::uid(&pod).clone_into(&mut ran.pod_uid);
                    slice_patch::fence(ctx, &set, change.ordinal, &handoff(work, &ran)).await?;
                }
                stop::waited_for(ctx, &set, &pod).await?
            }
            None if !object::is_observed(&set) => {
                format!("the StatefulSet controller to take up the slice of {set_key}")
            }
            None if object::number(&set, "/status/replicas") != u64::from(change.to.replicas) => {
                format!("{set_key} to have {} pods", change.to.replicas)
            }
            None => return Ok(ran),
        };
        wait.pause(message).await?;
    }
}
