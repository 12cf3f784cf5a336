//! Step 6: proof that no node of the source holds the disks (H10, H11).
//!
//! Done when no VolumeAttachment exists for any of the PersistentVolumes (absent, not merely `attached=false`), and
//! every node that may have written is the same boot of the same machine, Ready, without the out-of-service taint, has
//! renewed its Lease after the pod's end, and does not list the disks in `volumesInUse`. A node that cannot give this
//! proof any more makes the outcome unknown, for a person to attest; it is never taken for success. Of a node that was
//! attested nothing is asked, not even what it has in use: it says nothing any more. The attachments must go all the same.
//!
//! "After the pod's end" is told by the node's clock alone: the pod is gone when this part begins, so a renewal later
//! than the one found now is later than the end. A tombstone of this command's epoch says that an earlier process had
//! the proof: claims are deleted after it only. Then just the absence is looked at again.

use std::collections::BTreeMap;

use ferry_proto::agent::v1::NodeIdentity;
use futures::future::{try_join, try_join_all};
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

/// Waits for the proof.
pub(in crate::executor) async fn run(work: &Work<'_>, ran: &Ran) -> Halted<()> {
    let ctx = work.ctx;
    if work.volumes.is_empty() {
        return Ok(());
    }
    ctx.progress
        .started(work.steps.detach, format!("waiting for {} to let go of the disks", names(ran)))
        .await;
    let was_proven = proven(work).await?;
    let mut renewals: BTreeMap<String, Option<jiff::Timestamp>> = BTreeMap::new();
    let mut wait = Wait::new(ctx, work.steps.detach);
    let nodes = ran.nodes.iter().filter(|node| !was_proven && !is_attested(work, &node.name));
    let nodes: Vec<&NodeIdentity> = nodes.collect();
    loop {
        let looked = try_join_all(nodes.iter().map(|node| look(work, node))).await?;
        let mut waiting = Vec::new();
        if !was_proven {
            for (node, (renewal, held)) in nodes.iter().zip(looked) {
                wait.watch(&lease(node));
                wait.watch(&Key::of(ctx, NODE, node.name.clone()));
                let first = *renewals.entry(node.name.clone()).or_insert(renewal);
                waiting.extend(held);
                if renewal <= first {
                    waiting
                        .push(format!("the kubelet of {} to renew its Lease after the pod's end", node.name));
                }
            }
            if work.everywhere {
                waiting.extend(api::list(ctx, NODE, "").await?.iter().filter_map(|node| used(work, node)));
            }
        }
        // Asked for when everything else holds: each list may have to be waited for.
        if waiting.is_empty() {
            waiting = attached(work, &mut wait).await?;
        }
        if waiting.is_empty() {
            break;
        }
        wait.pause(waiting.join("; ")).await?;
    }
    ctx.progress.done(work.steps.detach, "no attachment exists and no node uses the disks");
    Ok(())
}

/// Looks once more after the claims went: until then a pod that names one could be started, and attach the disk anew.
///
/// # Errors
/// Unknown if somebody did.
pub(in crate::executor) async fn still(work: &Work<'_>) -> Halted<()> {
    if work.volumes.is_empty() {
        return Ok(());
    }
    let mut wait = Wait::new(work.ctx, work.steps.claims);
    let (mut held, nodes) = try_join(attached(work, &mut wait), api::list(work.ctx, NODE, "")).await?;
    held.extend(nodes.iter().filter_map(|node| used(work, node)));
    if held.is_empty() {
        return Ok(());
    }
    Err(Stop::unknown(format!(
        "The disks were taken up again by somebody else after they were let go of: {}. Find out who mounted them, and end \
         that",
        held.join("; ")
    ))
    .at(work.steps.claims)
    .into())
}

/// When the node renewed its Lease last, and what keeps it from giving the proof.
async fn look(work: &Work<'_>, node: &NodeIdentity) -> Result<(Option<jiff::Timestamp>, Vec<String>), Stop> {
    let key = lease(node);
    let (lease, held) = try_join(api::read(work.ctx, &key), holding(work, node)).await?;
    Ok((node::renewal(lease.as_ref()), held))
}

fn lease(node: &NodeIdentity) -> Key {
    Key::within(LEASE, node::LEASES, node.name.clone())
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
            wait.watch_end(&Key::of(work.ctx, ATTACHMENT, object::name(&attachment)));
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
async fn holding(work: &Work<'_>, identity: &NodeIdentity) -> Result<Vec<String>, Stop> {
    let found = api::read(work.ctx, &Key::of(work.ctx, NODE, identity.name.clone())).await?;
    let broken = node::changed(found.as_ref(), identity).or_else(|| found.as_ref().and_then(node::forced));
    if let Some(fault) = broken {
        let name = &identity.name;
        let message = format!(
            "Node {name} {fault}: whether it still writes to the disks cannot be told from here. Make sure that it is \
             powered off or fenced, then attest it: ferry attest fenced {name} --reason '...'"
        );
        return Err(Stop::unproven(name, message).at(work.steps.detach));
    }
    let Some(found) = found else { return Ok(Vec::new()) };
    let mut waiting: Vec<String> = node::fault(&found)
        .map(|fault| format!("node {}, which {fault}", identity.name))
        .into_iter()
        .collect();
    waiting.extend(used(work, &found));
    Ok(waiting)
}

fn is_attested(work: &Work<'_>, name: &str) -> bool {
    work.attested.iter().any(|node| node == name)
}

fn used(work: &Work<'_>, found: &Value) -> Option<String> {
    if is_attested(work, object::name(found)) {
        return None;
    }
    let recorded = work.volumes.iter().find(|recorded| node::uses(found, &recorded.id))?;
    Some(format!(
        "the kubelet of {} to report that it does not use {} any more",
        object::name(found),
        recorded.id.handle
    ))
}

fn names(ran: &Ran) -> String {
    if ran.nodes.is_empty() {
        return "every node".to_owned();
    }
    ran.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
}
