//! Step 10: the slice with the ordinal, and its pod Available.
//!
//! Available means Ready for `minReadySeconds`: either the set's controller says that all its replicas are, or the
//! same Ready was seen for that long by this process's own clock; two clocks are never compared. The set's other pods
//! must be the same ones as before. One that was replaced meanwhile is accepted only if it is of the same revision
//! (a drain, a dead node); another revision is a rollout or an API server that does not know slices (H15, H25).
//!
//! A pod that does not come up in time leaves the outcome unknown, with what it says about itself (H14).

use ferry_proto::agent::v1::NodeIdentity;
use futures::future::try_join;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    context::Context,
    executor::{
        api::{self, EVENT, Halted, Key, NODE, POD},
        object,
        slice_patch::{self, Change},
        stateful_set,
        wait::Wait,
    },
    limits,
    outcome::Stop,
};

/// The pod that came.
pub(in crate::executor) struct Started {
    pub(in crate::executor) pod_uid: String,
    pub(in crate::executor) pod_address: String,
    pub(in crate::executor) node: NodeIdentity,
}

/// Patches the slice unless that is done, and waits for the pod.
pub(in crate::executor) async fn run(
    ctx: &Context,
    step: u32,
    change: &Change,
    handoff: &Value,
) -> Halted<Started> {
    ctx.progress.started(step, format!("taking ordinal {} into the slice", change.ordinal)).await;
    let set = stateful_set::read(ctx, &change.stateful_set_uid).await?;
    let set = match slice_patch::side(&set, change)? {
        slice_patch::Side::After => set,
        slice_patch::Side::Before => slice_patch::apply(ctx, &set, change, handoff).await?,
    };
    let pod = available(ctx, step, change, &set).await?;
    let node = Key::of(ctx, NODE, object::text(&pod, "/spec/nodeName"));
    let (found, ()) = try_join(api::read(ctx, &node), peers_unchanged(ctx, step, change, &set)).await?;
    let Some(node) = found else {
        return Err(Stop::not_ready(format!(
            "{node}, which runs pod {}, does not exist",
            object::name(&pod)
        ))
        .into());
    };
    ctx.progress.done(step, format!("pod {} is Available", object::name(&pod)));
    Ok(Started {
        pod_uid: object::uid(&pod).to_owned(),
        pod_address: object::text(&pod, "/status/podIP").to_owned(),
        node: object::node_identity(&node),
    })
}

/// The other pods before the patch, for the annotation.
pub(in crate::executor) async fn handoff(ctx: &Context, change: &Change) -> Result<Value, Stop> {
    let pods = stateful_set::pods(ctx, &change.stateful_set_uid, change.from).await?;
    let peers: serde_json::Map<_, _> = pods
        .iter()
        .map(|pod| {
            let revision = object::label(pod, REVISION).unwrap_or_default();
            (object::name(pod).to_owned(), json!({"uid": object::uid(pod), "revision": revision}))
        })
        .collect();
    Ok(json!({"ordinal": change.ordinal, "epoch": ctx.command.epoch, "peers": peers}))
}

const REVISION: &str = "controller-revision-hash";

async fn available(ctx: &Context, step: u32, change: &Change, set: &Value) -> Halted<Value> {
    let key = Key::of(ctx, POD, stateful_set::pod_name(&ctx.command.workload, change.ordinal));
    let mut wait = Wait::new(ctx, step);
    wait.watch_for(&key, |pod| stateful_set::ready(pod).is_some() || object::is_ending(pod));
    wait.watch_for(&stateful_set::key(ctx), object::is_observed);
    let min_ready = std::time::Duration::from_secs(object::number(set, "/spec/minReadySeconds"));
    let mut since: Option<(String, Instant)> = None;
    loop {
        let set = stateful_set::read(ctx, &change.stateful_set_uid).await?;
        if slice_patch::side(&set, change)? == slice_patch::Side::Before {
            return Err(
                Stop::conflict(format!("{key} was taken out of the slice again by somebody else")).into()
            );
        }
        let pod = api::read(ctx, &key).await?;
        let ready = pod.as_ref().and_then(|pod| Some((pod, stateful_set::ready(pod)?)));
        let mut most = limits::RECHECK;
        let message = match ready {
            Some((pod, condition)) => {
                let mark = format!("{} {}", object::uid(pod), object::text(condition, "/lastTransitionTime"));
                let seen = match &since {
                    Some((known, at)) if *known == mark => *at,
                    _ => since.insert((mark, Instant::now())).1,
                };
                let replicas = u64::from(object::slice(&set).replicas);
                let is_said = object::number(&set, "/status/availableReplicas") == replicas;
                // Before its controller has seen the slice a pod may be Ready that is about to be told to end.
                if object::is_observed(&set) && (is_said || seen.elapsed() >= min_ready) {
                    return Ok(pod.clone());
                }
                most = min_ready.saturating_sub(seen.elapsed()).max(limits::ATTEMPT_PAUSE_FIRST);
                format!("{key} to be Ready for {} s", min_ready.as_secs())
            }
            None => match &pod {
                Some(pod) => format!("{key} to be Available: {}", stateful_set::condition_of(pod)),
                None => format!("the StatefulSet controller to make {key}"),
            },
        };
        if let Err(stop) = wait.pause_most(message, most).await {
            return Err(explained(ctx, pod.as_ref(), stop).await.into());
        }
    }
}

/// The other pods are those of before the patch.
async fn peers_unchanged(ctx: &Context, step: u32, change: &Change, set: &Value) -> Result<(), Stop> {
    let kept = slice_patch::recorded(ctx, set, change.ordinal).unwrap_or_default();
    let peers = kept.pointer("/peers").and_then(Value::as_object);
    let pods = stateful_set::pods(ctx, &change.stateful_set_uid, change.to).await?;
    for (name, before) in peers.into_iter().flatten() {
        let now = pods.iter().find(|pod| object::name(pod) == name);
        let (uid, revision) = (object::text(before, "/uid"), object::text(before, "/revision"));
        match now {
            Some(pod) if object::uid(pod) == uid => {}
            Some(pod) if object::label(pod, REVISION) == Some(revision) => {
                ctx.progress.waiting(
                    step,
                    format!("note: pod {name} was replaced meanwhile, with the same revision"),
                );
            }
            Some(_) => {
                return Err(Stop::conflict(format!(
                    "Pod {name} was replaced by one of another revision while ordinal {} moved: a rollout began, or the \
                     API server does not know slices (H15, H25). Stop it, and make the templates the same",
                    change.ordinal
                ))
                .at(step));
            }
            None => {
                return Err(Stop::not_ready(format!(
                    "Pod {name} is gone; it was there when ordinal {} came",
                    change.ordinal
                ))
                .at(step));
            }
        }
    }
    Ok(())
}

/// The unknown, with the pod's latest events.
async fn explained(ctx: &Context, pod: Option<&Value>, stop: Stop) -> Stop {
    let (Stop::Unknown { step, message, unproven }, Some(pod)) = (&stop, pod) else { return stop };
    let fields = format!("involvedObject.uid={}", object::uid(pod));
    let Ok(events) = api::list(ctx, EVENT, &fields).await else { return stop };
    let last = events.iter().rev().take(limits::EVENTS_NAMED);
    let said: Vec<_> = last
        .map(|event| format!("{}: {}", object::text(event, "/reason"), object::text(event, "/message")))
        .collect();
    if said.is_empty() {
        return stop;
    }
    let message = format!("{message}. Events of the pod: {}", said.join("; "));
    Stop::Unknown { step: *step, message, unproven: unproven.clone() }
}
