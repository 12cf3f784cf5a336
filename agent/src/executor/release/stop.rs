//! Step 5: the slice without the ordinal, and the end of its pod.
//!
//! Done when the set's controller has seen the patch, the set has its new size, no pod of that name exists by a
//! quorum read, and no other pod names the claims (H32). A pod of that name with another uid than the one that was to
//! end is a live successor, not an end. Nothing is ever force-deleted. An OrderedReady set deletes the ordinal only
//! when its other pods are well (H31): the wait says which pod it is that holds it up.

use ferry_proto::agent::v1::NodeIdentity;
use futures::future::{try_join, try_join_all};
use serde_json::{Value, json};

use super::{Ran, Work};
use crate::{
    executor::{
        api::{self, CLAIM, Halt, Halted, Key, NODE, POD},
        hold, object, slice_patch, stateful_set, volumes,
        wait::Wait,
        watches::foresee,
    },
    outcome::Stop,
};

/// Patches the slice unless that is done, and waits for the pod's end. Whether others use the claims is asked apart.
pub(super) async fn run(work: &Work<'_>, set: Value) -> Halted<Ran> {
    let (ctx, change) = (work.ctx, &work.change);
    ctx.progress.started(work.steps.pod, format!("taking ordinal {} out of the slice", change.ordinal)).await;
    let set = match slice_patch::side(&set, change)? {
        slice_patch::Side::After => set,
        slice_patch::Side::Before => {
            let ((), handoff) = try_join(safe(work, &set), handoff(work)).await?;
            slice_patch::apply(ctx, &set, change, &handoff).await?
        }
    };
    let ran = recorded(work, &set);
    gone(work, &ran).await?;
    ctx.progress.done(work.steps.pod, format!("pod {} ended", pod(work).name));
    Ok(ran)
}

/// Step 3 once more, on the very object that is patched (its version is tested): time has passed since the hold. A
/// replica that is down is one more than the budget has (I4); a reclaim policy that somebody put back would let the
/// deletion of a claim destroy the disk (I7).
async fn safe(work: &Work<'_>, set: &Value) -> Result<(), Stop> {
    kept(set)?;
    let volumes = try_join_all(work.volumes.iter().map(|recorded| volumes::retained(work.ctx, recorded)));
    let (incomplete, _) = try_join(hold::incomplete(work.ctx, set), volumes).await?;
    if let Some(message) = incomplete {
        return Err(Stop::not_ready(format!(
            "ordinal {} does not stop before this is over: waiting for {message}",
            work.change.ordinal
        )));
    }
    Ok(())
}

/// A retention policy that somebody put back would let the patch delete the claims (H3).
pub(in crate::executor) fn kept(set: &Value) -> Result<(), Stop> {
    for on in ["whenScaled", "whenDeleted"] {
        let policy = object::text(set, &format!("/spec/persistentVolumeClaimRetentionPolicy/{on}"));
        if !matches!(policy, "" | "Retain") {
            return Err(Stop::conflict(format!(
                "StatefulSet {} has the retention policy {on}: {policy}, expected Retain, as preparation wrote it (H3). \
                 Set it to Retain and keep the other writer away",
                object::name(set)
            )));
        }
    }
    Ok(())
}

/// Where the ordinal's pod is.
pub(in crate::executor) fn pod(work: &Work<'_>) -> Key {
    Key::of(work.ctx, POD, stateful_set::pod_name(&work.ctx.command.workload, work.change.ordinal))
}

/// The pod and the node right before the patch, for the annotation.
async fn handoff(work: &Work<'_>) -> Result<Value, Stop> {
    let (ctx, key) = (work.ctx, pod(work));
    let Some(pod) = api::read(ctx, &key).await? else {
        return Err(Stop::not_ready(format!(
            "{key} does not exist although its ordinal is in the slice: it is being made"
        )));
    };
    let name = object::text(&pod, "/spec/nodeName");
    let node = if name.is_empty() { None } else { api::read(ctx, &Key::of(ctx, NODE, name)).await? };
    let Some(node) = node else {
        return Err(Stop::not_ready(format!(
            "{key} is on no node that exists ({name:?}); the detach could not be proven"
        )));
    };
    let node = object::node_identity(&node);
    Ok(json!({
        "ordinal": work.change.ordinal,
        "epoch": ctx.command.epoch,
        "pod": object::uid(&pod),
        "node": {"name": node.name, "uid": node.uid, "bootID": node.boot_id},
    }))
}

/// Who ran the ordinal: the command's word, and the annotation's if it is of this epoch.
fn recorded(work: &Work<'_>, set: &Value) -> Ran {
    let mut ran = work.held.clone();
    let Some(kept) = slice_patch::recorded(work.ctx, set, work.change.ordinal) else { return ran };
    object::text(&kept, "/pod").clone_into(&mut ran.pod_uid);
    let node = NodeIdentity {
        name: object::text(&kept, "/node/name").to_owned(),
        uid: object::text(&kept, "/node/uid").to_owned(),
        boot_id: object::text(&kept, "/node/bootID").to_owned(),
    };
    if !ran.nodes.contains(&node) {
        ran.nodes.push(node);
    }
    ran
}

/// Waits until the step's condition holds.
pub(super) async fn ended(work: &Work<'_>, ran: &Ran) -> Halted<()> {
    let (has_waited, ()) = try_join(gone(work, ran), unused(work)).await?;
    if has_waited {
        unused(work).await?;
    }
    Ok(())
}

/// Waits for the end of the pod, as the set's controller says it too; whether there was anything to wait for.
async fn gone(work: &Work<'_>, ran: &Ran) -> Halted<bool> {
    let (ctx, to) = (work.ctx, &work.change.to);
    let (key, set_key) = (pod(work), stateful_set::key(ctx));
    let mut has_waited = false;
    let mut wait = Wait::new(ctx, work.steps.pod);
    wait.watch_end(&key);
    let to_slice = *to;
    wait.watch_for(&set_key, move |set| {
        let has_its_size = object::number(set, "/status/replicas") == u64::from(to_slice.replicas);
        object::is_observed(set) && has_its_size || !object::same_slice(&object::slice(set), &to_slice)
    });
    let claims = work.claims.iter().map(|name| Key::of(ctx, CLAIM, name));
    foresee(ctx, claims.chain(work.volumes.iter().map(|recorded| recorded.key(ctx))));
    loop {
        let set = stateful_set::read(ctx, &work.change.stateful_set_uid).await?;
        if !object::same_slice(&object::slice(&set), to) {
            return Err(Halt::Again(format!(
                "the slice of {set_key} changed while pod {} was to end",
                key.name
            )));
        }
        let message = match api::read(ctx, &key).await? {
            Some(pod) if object::uid(&pod) != ran.pod_uid && object::uid(&pod) != work.held.pod_uid => {
                return Err(Stop::not_ready(format!(
                    "{key} has uid {}, expected the end of {}: a live successor runs. It goes when the StatefulSet \
                     controller has seen the new slice",
                    object::uid(&pod),
                    ran.pod_uid
                ))
                .at(work.steps.pod)
                .into());
            }
            Some(pod) => waited_for(ctx, &set, &pod).await?,
            None if !object::is_observed(&set) => {
                format!("the StatefulSet controller to take up the slice of {set_key}")
            }
            None if object::number(&set, "/status/replicas") != u64::from(to.replicas) => format!(
                "{set_key} to have {} pods; its status says {}",
                to.replicas,
                object::number(&set, "/status/replicas")
            ),
            None => break,
        };
        wait.pause(message).await?;
        has_waited = true;
    }
    Ok(has_waited)
}

/// What the pod's end waits for, in words (H31).
pub(in crate::executor) async fn waited_for(
    ctx: &crate::context::Context,
    set: &Value,
    pod: &Value,
) -> Result<String, Stop> {
    let name = object::name(pod);
    if object::is_ending(pod) {
        let grace = object::number(pod, "/metadata/deletionGracePeriodSeconds");
        return Ok(format!(
            "pod {name} to end; it was told to at {}, with {grace} s of grace",
            object::text(pod, "/metadata/deletionTimestamp")
        ));
    }
    if object::text(set, "/spec/podManagementPolicy") != "Parallel" {
        let pods = stateful_set::pods(ctx, object::uid(set), object::slice(set)).await?;
        let unwell =
            pods.iter().find(|other| object::name(other) != name && stateful_set::ready(other).is_none());
        if let Some(unwell) = unwell {
            return Ok(format!(
                "pod {name} to be told to end; the set is OrderedReady and waits for pod {} first: {}",
                object::name(unwell),
                stateful_set::condition_of(unwell)
            ));
        }
    }
    Ok(format!("the StatefulSet controller to tell pod {name} to end"))
}

/// No other pod names the claims.
pub(in crate::executor) async fn unused(work: &Work<'_>) -> Halted<()> {
    for pod in api::list(work.ctx, POD, "").await? {
        if let Some(claim) =
            stateful_set::claims_of(&pod).find(|claim| work.claims.iter().any(|name| name == claim))
        {
            return Err(Stop::conflict(format!(
                "Pod {} uses claim {claim} too; the disk cannot leave while it does. Delete that pod",
                object::name(&pod)
            ))
            .at(work.steps.pod)
            .into());
        }
    }
    Ok(())
}
