//! `Hold` (handoff.md section 5, steps 2 and 3): nobody else may take a replica away, and everything is still as the
//! plan saw it.
//!
//! Preconditions, on both sides: the StatefulSet of that uid with that slice, every pod of it Available and of the
//! update revision. On the source: the ordinal's pod runs on a Ready node without the out-of-service taint (K15), its
//! claims Bound and not being resized. On the target: no pod of that ordinal, tombstones where its claims will be, none
//! of its disks (H12); what a fenced adoption left of them late, never Bound, is forgotten.
//!
//! What may still come (a pod about to be Available) is waited for, for [`limits::HOLD_WAIT`] at most, then refused as
//! not ready; what only a person can repair is refused at once. The evidence names the node and its boot, which the
//! proof of detach needs later.

use std::time::Duration;

use ferry_proto::agent::v1::{Held, Hold, NodeIdentity};
use futures::future::{try_join, try_join_all};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    api::{self, Halted, Key, NODE, POD, VOLUME},
    budget, epochs, forget, node, object,
    slice_patch::SLICE,
    stateful_set,
    tombstone::{self, Standing},
    volumes::Recorded,
    wait::Wait,
};
use crate::{
    context::Context,
    guard::{self, Contents, blame},
    inventory::quantity,
    limits,
    outcome::Stop,
};

const BUDGET_STEP: u32 = 2;
const CHECK_STEP: u32 = 3;
/// Phases of a PersistentVolume that no claim has had.
const NEVER_BOUND: [&str; 2] = ["Pending", "Available"];
/// Conditions of a claim whose disk is being resized.
const RESIZING: [&str; 2] = ["Resizing", "FileSystemResizePending"];

/// Holds the budget and checks again.
pub(super) async fn run(ctx: &Context, command: &Hold) -> Halted<Held> {
    let fence = [(command.ordinal, ctx.command.epoch)];
    let found = async {
        let set = stateful_set::read(ctx, &command.stateful_set_uid).await?;
        let budget = budget::find(ctx, &set).await?;
        Ok((set, budget))
    };
    let (kept, (set, found)) = try_join(epochs::keep_command(ctx, &fence), found).await?;
    epochs::note_budget(ctx, &kept, &fence, found.as_ref().map_or("", object::name)).await?;
    guard(ctx, command, &set, found.as_ref()).await?;
    ctx.progress
        .started(BUDGET_STEP, format!("holding the PodDisruptionBudget at {}", command.max_unavailable))
        .await;
    if let Some(found) = found {
        let held = budget::limit(ctx, &found, command.max_unavailable, &fence).await?;
        budget::settled(ctx, BUDGET_STEP, &held).await?;
    }
    ctx.progress.done(BUDGET_STEP, "the budget is held");
    ctx.progress.started(CHECK_STEP, format!("checking ordinal {} again", command.ordinal)).await;
    let held = checked(ctx, command).await?;
    ctx.progress.done(CHECK_STEP, "everything is as it was planned");
    Ok(held)
}

/// The guard stands: one that somebody took away since the preparation is put up again.
async fn guard(ctx: &Context, command: &Hold, set: &Value, budget: Option<&Value>) -> Halted<()> {
    let mut contents = Contents::default();
    contents.budgets.extend(budget.map(|budget| object::name(budget).to_owned()));
    for ordinal in stateful_set::ordinals(object::slice(set)).chain([command.ordinal]) {
        contents.pods.insert(stateful_set::pod_name(&ctx.command.workload, ordinal));
        contents.claims.extend(stateful_set::claim_names(set, ordinal));
    }
    command.volumes.iter().for_each(|id| contents.add_disk(id));
    guard::stand(ctx, BUDGET_STEP, contents).await?;
    Ok(())
}

/// Looks until every check passes, for a bounded time.
async fn checked(ctx: &Context, command: &Hold) -> Halted<Held> {
    let give_up = Instant::now() + limits::HOLD_WAIT;
    let mut wait = Wait::new(ctx, CHECK_STEP);
    loop {
        match look(ctx, command).await? {
            Look::Held(held) => return Ok(held),
            Look::NotYet(message) => {
                let left = give_up.saturating_duration_since(Instant::now());
                if left < Duration::from_millis(1) {
                    return Err(Stop::not_ready(message).at(CHECK_STEP).into());
                }
                wait.watch(&stateful_set::key(ctx));
                wait.pause_most(message, left).await?;
            }
        }
    }
}

enum Look {
    Held(Held),
    NotYet(String),
}

async fn look(ctx: &Context, command: &Hold) -> Halted<Look> {
    let uid = &command.stateful_set_uid;
    let expected = command.slice.unwrap_or_default();
    let (set, pods) = try_join(stateful_set::read(ctx, uid), stateful_set::pods(ctx, uid, expected)).await?;
    let found = object::slice(&set);
    if !object::same_slice(&found, &expected) {
        return Err(Stop::conflict(format!(
            "{} runs {}, the ledger says {}: somebody else scaled it{}. Put its slice back and keep the other writer \
             away",
            stateful_set::key(ctx),
            object::slice_text(&found),
            object::slice_text(&expected),
            blame::writer(&set, &SLICE)
        ))
        .into());
    }
    if let Some(message) = unsettled(&set) {
        return Ok(Look::NotYet(message));
    }
    if let Some(message) = unavailable(&set, &pods) {
        return Ok(Look::NotYet(message));
    }
    let mut held = Held {
        available: found.replicas,
        template_digest: stateful_set::template_digest(&set),
        ..Held::default()
    };
    if command.source {
        let name = stateful_set::pod_name(&ctx.command.workload, command.ordinal);
        let Some(pod) = pods.iter().find(|pod| object::name(pod) == name) else {
            return Err(Stop::conflict(format!(
                "Ordinal {} is not in {}",
                command.ordinal,
                object::slice_text(&found)
            ))
            .into());
        };
        object::uid(pod).clone_into(&mut held.pod_uid);
        let claims = bound_claims(ctx, &set, command.ordinal);
        let (node, under_way) = try_join(healthy_node(ctx, pod), claims).await?;
        held.node = Some(node);
        if let Some(message) = under_way {
            return Ok(Look::NotYet(message));
        }
    } else {
        vacant(ctx, &set, command).await?;
    }
    Ok(Look::Held(held))
}

/// What is missing before one more pod may go: every pod of the set Available, of one revision, its controller settled.
pub(super) async fn incomplete(ctx: &Context, set: &Value) -> Result<Option<String>, Stop> {
    if let Some(message) = unsettled(set) {
        return Ok(Some(message));
    }
    let pods = stateful_set::pods(ctx, object::uid(set), object::slice(set)).await?;
    Ok(unavailable(set, &pods))
}

fn unsettled(set: &Value) -> Option<String> {
    if !object::is_observed(set) {
        return Some(format!("the StatefulSet controller to take up {}", object::name(set)));
    }
    let (wanted, available) = (object::slice(set).replicas, object::number(set, "/status/availableReplicas"));
    if u64::from(wanted) != available || object::number(set, "/status/replicas") != u64::from(wanted) {
        return Some(format!("all replicas to be Available: {available} of {wanted} are"));
    }
    None
}

/// K2 and K3 on the pods themselves.
fn unavailable(set: &Value, pods: &[Value]) -> Option<String> {
    let revision = object::text(set, "/status/updateRevision");
    let expected = object::slice(set).replicas as usize;
    if pods.len() != expected {
        return Some(format!("{expected} pods to be there; {} are", pods.len()));
    }
    for pod in pods {
        let name = object::name(pod);
        if stateful_set::ready(pod).is_none() {
            return Some(format!("pod {name} to be Ready: {}", stateful_set::condition_of(pod)));
        }
        let found = object::label(pod, "controller-revision-hash").unwrap_or_default();
        if found != revision {
            return Some(format!(
                "the rollout to end: pod {name} is of revision {found}, the set's is {revision}{}",
                blame::writer(set, &["template"])
            ));
        }
    }
    None
}

async fn healthy_node(ctx: &Context, pod: &Value) -> Result<NodeIdentity, Stop> {
    let name = object::text(pod, "/spec/nodeName");
    let Some(found) = api::read(ctx, &Key::of(ctx, NODE, name)).await? else {
        return Err(Stop::not_ready(format!("Node {name} of pod {} does not exist", object::name(pod))));
    };
    if let Some(fault) = node::fault(&found) {
        return Err(Stop::not_ready(format!(
            "Node {name}, which runs pod {}, {fault}. A handoff needs a Ready node to prove the detach (K15)",
            object::name(pod)
        )));
    }
    Ok(object::node_identity(&found))
}

/// The ordinal's claims are Bound to disks; what is under way on one of them (K12).
async fn bound_claims(ctx: &Context, set: &Value, ordinal: u32) -> Result<Option<String>, Stop> {
    let mut under_way = None;
    for name in stateful_set::claim_names(set, ordinal) {
        match tombstone::standing(ctx, &name).await? {
            Standing::Real(claim)
                if object::text(&claim, "/status/phase") == "Bound" && !object::is_ending(&claim) =>
            {
                under_way = under_way.or_else(|| resized(&claim));
            }
            _ => {
                return Err(Stop::conflict(format!(
                    "Claim {name} is not a claim Bound to a disk. Look at it"
                )));
            }
        }
    }
    Ok(under_way)
}

/// What says that a claim's disk is being resized: the other cluster would not go on with it.
fn resized(claim: &Value) -> Option<String> {
    let name = object::name(claim);
    if let Some(condition) =
        RESIZING.into_iter().find(|kind| object::condition_is_true(claim, kind).is_some())
    {
        return Some(format!(
            "the resize of claim {name} to end: its condition {condition} is True. A pending file system resize ends \
             when the pod restarts"
        ));
    }
    let (wanted, has) = (
        object::text(claim, "/spec/resources/requests/storage"),
        object::text(claim, "/status/capacity/storage"),
    );
    let is_more = quantity::bytes(wanted).zip(quantity::bytes(has)).is_some_and(|(wanted, has)| wanted > has);
    is_more.then(|| format!("claim {name} to have the {wanted} it asks for; it has {has}"))
}

/// The target has nothing of the ordinal but tombstones; one that somebody deleted is put back.
async fn vacant(ctx: &Context, set: &Value, command: &Hold) -> Halted<()> {
    let pod = Key::of(ctx, POD, stateful_set::pod_name(&ctx.command.workload, command.ordinal));
    let claims = stateful_set::claim_names(set, command.ordinal);
    let standing = try_join_all(claims.iter().map(|name| tombstone::standing(ctx, name)));
    let (found, standing) = try_join(api::read(ctx, &pod), standing).await?;
    if found.is_some() {
        return Err(
            Stop::conflict(format!("{pod} exists in the target before its handoff. Delete it")).into()
        );
    }
    for (name, standing) in claims.iter().zip(standing) {
        match standing {
            Standing::Tombstone(tombstone) if !object::is_ending(&tombstone) => {}
            Standing::Tombstone(_) | Standing::Nothing => {
                tombstone::place(ctx, CHECK_STEP, name, ctx.command.epoch).await?;
            }
            Standing::Real(_) => {
                return Err(Stop::conflict(format!(
                    "Claim {name} in the target is no tombstone: an empty or foreign disk could be taken for the moved \
                     one. Look at it, then delete or rename it: the tombstone is put back"
                ))
                .into());
            }
        }
    }
    if command.volumes.is_empty() {
        return Ok(());
    }
    for volume in api::list(ctx, VOLUME, "").await? {
        let id = object::volume_id(&volume);
        if command.volumes.contains(&id) {
            if is_late(ctx, &volume, &claims) {
                let late = Recorded { claim: Value::Null, volume, id };
                forget::volume(ctx, CHECK_STEP, &late, &NEVER_BOUND).await?;
                continue;
            }
            return Err(Stop::conflict(format!(
                "PersistentVolume {} in the target names the disk {} already (H12). Delete that object, its policy being \
                 Retain",
                object::name(&volume),
                object::volume_id(&volume).handle
            ))
            .into());
        }
    }
    Ok(())
}

/// A PersistentVolume that an adoption of an earlier epoch made after it had been fenced: Ferry's, reserved for one of
/// the claims under whose names tombstones stand, and never Bound to any.
fn is_late(ctx: &Context, volume: &Value, claims: &[String]) -> bool {
    let epoch = object::epoch(volume);
    epoch > 0
        && epoch < ctx.command.epoch
        && NEVER_BOUND.contains(&object::text(volume, "/status/phase"))
        && object::text(volume, "/spec/claimRef/uid").is_empty()
        && object::text(volume, "/spec/claimRef/namespace") == ctx.command.namespace
        && claims.iter().any(|claim| claim == object::text(volume, "/spec/claimRef/name"))
}
