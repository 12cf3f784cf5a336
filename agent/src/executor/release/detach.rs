//! Step 6: proof that no node of the source holds the disks (H10, H11).
//!
//! Done when no VolumeAttachment exists for any of the PersistentVolumes (absent, not merely `attached=false`), and
//! every node that may have written is the same boot of the same machine, Ready, without the out-of-service taint, has
//! renewed its Lease after the pod's end, and does not list the disks in `volumesInUse`. A node that cannot give this
//! proof any more makes the outcome unknown, for a person to attest; it is never taken for success.
//!
//! "After the pod's end" is told by the node's clock alone: the pod is gone when this part begins, so a renewal later
//! than the one found now is later than the end. A tombstone of this command's epoch says that an earlier process had
//! the proof: claims are deleted after it only. Then just the absence is looked at again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Ran, Work};
use crate::{
    executor::{
        api::{self, ATTACHMENT, Halted, Key, LEASE, NODE},
        node, object,
        tombstone::{self, Standing},
        wait::Wait,
    },
    outcome::Stop,
};

const STEP: u32 = 6;

/// Waits for the proof.
pub(super) async fn run(work: &Work<'_>, ran: &Ran) -> Halted<()> {
    let ctx = work.ctx;
    if work.volumes.is_empty() {
        return Ok(());
    }
    ctx.progress.started(STEP, format!("waiting for {} to let go of the disks", names(ran))).await;
    let was_proven = proven(work).await?;
    let mut renewals: BTreeMap<String, Option<jiff::Timestamp>> = BTreeMap::new();
    let mut wait = Wait::new(ctx, STEP);
    loop {
        let mut waiting = attached(work, &mut wait).await?;
        if !was_proven {
            for node in &ran.nodes {
                let lease = Key::within(LEASE, node::LEASES, node.name.clone());
                wait.watch(&lease);
                wait.watch(&Key::of(ctx, NODE, node.name.clone()));
                let renewal = node::renewal(api::read(ctx, &lease).await?.as_ref());
                let first = *renewals.entry(node.name.clone()).or_insert(renewal);
                waiting.extend(holding(work, node).await?);
                if renewal <= first {
                    waiting
                        .push(format!("the kubelet of {} to renew its Lease after the pod's end", node.name));
                }
            }
        }
        if waiting.is_empty() {
            break;
        }
        wait.pause(waiting.join("; ")).await?;
    }
    ctx.progress.done(STEP, "no attachment exists and the node does not use the disks");
    Ok(())
}

/// Whether an earlier process had the proof at this epoch.
async fn proven(work: &Work<'_>) -> Result<bool, Stop> {
    for name in &work.claims {
        if let Standing::Tombstone(tombstone) = tombstone::standing(work.ctx, name).await?
            && object::epoch(&tombstone) == work.ctx.command.epoch
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The VolumeAttachments that still exist.
async fn attached(work: &Work<'_>, wait: &mut Wait<'_>) -> Result<Vec<String>, Stop> {
    let mut waiting = Vec::new();
    for attachment in api::list(work.ctx, ATTACHMENT, "").await? {
        let volume = object::text(&attachment, "/spec/source/persistentVolumeName");
        if work.volumes.iter().any(|recorded| object::name(&recorded.volume) == volume) {
            wait.watch(&Key::of(work.ctx, ATTACHMENT, object::name(&attachment)));
            let mut message = format!(
                "volume {volume} to be detached from {}",
                object::text(&attachment, "/spec/nodeName")
            );
            let error = object::text(&attachment, "/status/detachError/message");
            if !error.is_empty() {
                message.push_str(&format!(" (the driver says: {error})"));
            }
            waiting.push(message);
        }
    }
    Ok(waiting)
}

/// What keeps the node from giving the proof, for now.
///
/// # Errors
/// Unknown, if it never will.
async fn holding(
    work: &Work<'_>,
    identity: &ferry_proto::agent::v1::NodeIdentity,
) -> Result<Vec<String>, Stop> {
    let found = api::read(work.ctx, &Key::of(work.ctx, NODE, identity.name.clone())).await?;
    let broken = node::changed(found.as_ref(), identity).or_else(|| found.as_ref().and_then(node::forced));
    if let Some(fault) = broken {
        return Err(Stop::unknown(format!(
            "Node {} {fault}: whether it still writes to the disks cannot be told from here. Make sure that it is \
             powered off or fenced, then attest it",
            identity.name
        ))
        .at(STEP));
    }
    let Some(found) = found else { return Ok(Vec::new()) };
    let mut waiting: Vec<String> = node::fault(&found)
        .map(|fault| format!("node {}, which {fault}", identity.name))
        .into_iter()
        .collect();
    waiting.extend(used(work, &found));
    Ok(waiting)
}

fn used(work: &Work<'_>, found: &Value) -> Option<String> {
    let recorded = work.volumes.iter().find(|recorded| node::uses(found, &recorded.id))?;
    Some(format!(
        "the kubelet of {} to report that it does not use {} any more",
        object::name(found),
        recorded.id.handle
    ))
}

fn names(ran: &Ran) -> String {
    ran.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
}
