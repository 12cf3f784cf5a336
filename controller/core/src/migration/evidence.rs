//! Evidence held against the ledger, before anything is decided from it.
//!
//! An agent is trusted to speak of its own cluster, not to be right: a handle, a UID or an epoch that is not the
//! ledger's means that the two talk about different disks, and then nothing moves. Each failure says what was found,
//! what was expected and what to do.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{
    Adopted, ClaimedVolume, Fenced, Held, OrdinalVolumes, Reclaimed, Released, Retired, SourcePrepared,
};
use crate::ids::{Epoch, Ordinal, VolumeId};
use crate::migration::work::{Handoff, Work};
use crate::slice::Slice;

/// What does not fit.
pub(crate) type Mismatch = String;

fn mismatch(subject: &str, found: &str, expected: &str, remedy: &str) -> Result<(), Mismatch> {
    Err(format!("{subject}: found {found}, expected {expected}; {remedy}"))
}

const FIND_OUT: &str = "find out who changed it, and put it back";

/// Identity of a claim and its volume: what may not change while it is ours.
fn identities(volumes: &[ClaimedVolume]) -> BTreeMap<VolumeId, (&str, &str, &str, &str)> {
    volumes
        .iter()
        .map(|of| {
            let claim = (of.claim.name.as_str(), of.claim.uid.as_str());
            (of.id(), (claim.0, claim.1, of.volume.name.as_str(), of.volume.uid.as_str()))
        })
        .collect()
}

fn names<'a>(ids: impl Iterator<Item = &'a VolumeId>) -> String {
    let names: Vec<String> = ids.map(|id| format!("{} {}", id.driver, id.handle)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The same volumes, claims and UIDs as the ledger recorded; capacities may differ, because disks grow.
fn same_volumes(ordinal: Ordinal, found: &[ClaimedVolume], known: &[ClaimedVolume]) -> Result<(), Mismatch> {
    let (found, known) = (identities(found), identities(known));
    if found.keys().ne(known.keys()) {
        let subject = format!("volumes of ordinal {ordinal}");
        return mismatch(&subject, &names(found.keys()), &names(known.keys()), FIND_OUT);
    }
    for (id, found) in &found {
        let Some(known) = known.get(id) else { continue };
        if found != known {
            let tell = |of: &(&str, &str, &str, &str)| {
                format!("claim {} ({}) and PersistentVolume {} ({})", of.0, of.1, of.2, of.3)
            };
            let subject = format!("volume {} of ordinal {ordinal}", id.handle);
            return mismatch(&subject, &tell(found), &tell(known), FIND_OUT);
        }
    }
    Ok(())
}

/// Every ordinal with its volumes as the plan saw them, and the StatefulSet that it saw.
pub(crate) fn source_prepared(work: &Work, found: &SourcePrepared) -> Result<(), Mismatch> {
    let by_ordinal: BTreeMap<Ordinal, &OrdinalVolumes> =
        found.ordinals.iter().map(|of| (of.ordinal, of)).collect();
    if by_ordinal.keys().ne(work.volumes.keys()) {
        let tell = |ordinals: Vec<&Ordinal>| format!("{ordinals:?}");
        let expected = tell(work.volumes.keys().collect());
        return mismatch("ordinals prepared", &tell(by_ordinal.keys().collect()), &expected, "plan again");
    }
    for (ordinal, known) in &work.volumes {
        let volumes = by_ordinal.get(ordinal).map(|of| of.volumes.as_slice()).unwrap_or_default();
        same_volumes(*ordinal, volumes, known)?;
    }
    if found.stateful_set.uid != work.source_uid {
        let expected = format!("UID {}", work.source_uid);
        let uid = format!("UID {}", found.stateful_set.uid);
        return mismatch("StatefulSet prepared", &uid, &expected, "it was made anew: plan again");
    }
    Ok(())
}

/// A StatefulSet of ours with the slice that the plan saw: an empty one, or what an earlier migration moved.
pub(crate) fn target_prepared(uid: &str, slice: Slice, expected: Slice) -> Result<(), Mismatch> {
    if uid.is_empty() {
        return mismatch("StatefulSet in the target", "no UID", "its UID", "update the agent");
    }
    let same = slice == expected || (slice.is_empty() && expected.is_empty());
    if !same {
        let remedy = "find out who scaled it there, and scale it back";
        return mismatch("StatefulSet in the target", &slice.to_string(), &expected.to_string(), remedy);
    }
    Ok(())
}

/// One side's hold says what its side must say.
pub(crate) fn held(source: bool, found: &Held) -> Result<(), Mismatch> {
    if source && (found.node.is_none() || found.pod_uid.is_empty()) {
        return mismatch("hold on the source", "no node or no pod UID", "both", "update the agent");
    }
    if found.template_digest.is_empty() {
        return mismatch("hold", "no digest of the pod template", "one", "update the agent");
    }
    Ok(())
}

/// Why the two holds do not fit together, and whether only a person can help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldsDiffer {
    pub(crate) message: String,
    pub(crate) paused: bool,
}

/// Both sides hold the same template, and every replica is Available (step 3).
pub(crate) fn holds_fit(work: &Work, source: &Held, target: &Held) -> Result<(), HoldsDiffer> {
    if source.template_digest != target.template_digest {
        let message = format!(
            "the pod templates differ: {} in the source and {} in the target; expected the same (H15): stop who \
             changed one of them, and make them equal",
            source.template_digest, target.template_digest
        );
        return Err(HoldsDiffer { message, paused: true });
    }
    let expected = u64::from(work.source_slice.replicas) + u64::from(work.target_slice.replicas);
    let available = u64::from(source.available) + u64::from(target.available);
    if available != expected {
        let message = format!(
            "{available} of {expected} replicas are Available ({} in the source, {} in the target); expected all of \
             them before the next one moves: it goes on by itself when they are",
            source.available, target.available
        );
        return Err(HoldsDiffer { message, paused: false });
    }
    Ok(())
}

fn epoch_kept(found: Epoch, expected: Epoch) -> Result<(), Mismatch> {
    if found == expected {
        return Ok(());
    }
    let remedy = "another controller may be commanding this cluster: find it and stop one of the two";
    mismatch("epoch kept in the cluster", &found.to_string(), &expected.to_string(), remedy)
}

/// The source let go of exactly what the ledger says, provably.
pub(crate) fn released(work: &Work, handoff: &Handoff, found: &Released) -> Result<(), Mismatch> {
    let known = work.volumes.get(&handoff.ordinal).map(Vec::as_slice).unwrap_or_default();
    same_volumes(handoff.ordinal, &found.volumes, known)?;
    if !found.detached {
        return mismatch("release", "no proof of detachment", "proof", "wait for the node, or look at it");
    }
    // They may be others than were held: the agent notes who ran the ordinal at the moment of its patch.
    if found.pod_uid.is_empty() || found.node.as_ref().is_none_or(|node| node.name.is_empty()) {
        return mismatch("release", "no pod or no node that ended", "both", "update the agent");
    }
    epoch_kept(found.epoch_kept, handoff.epoch)
}

/// The target runs exactly what it was granted.
pub(crate) fn adopted(handoff: &Handoff, gated: bool, found: &Adopted) -> Result<(), Mismatch> {
    let granted = handoff.released.as_ref().map(|of| of.volumes.as_slice()).unwrap_or_default();
    let by_claim = |volumes: &[ClaimedVolume]| -> BTreeSet<(VolumeId, String)> {
        volumes.iter().map(|of| (of.id(), of.claim.name.clone())).collect()
    };
    let (have, want) = (by_claim(&found.volumes), by_claim(granted));
    if have != want {
        let tell = |of: &BTreeSet<(VolumeId, String)>| names(of.iter().map(|(id, _)| id));
        let subject = format!("volumes of ordinal {} in the target", handoff.ordinal);
        return mismatch(&subject, &tell(&have), &tell(&want), FIND_OUT);
    }
    let unbound = found.volumes.iter().any(|of| of.claim.uid.is_empty() || of.volume.uid.is_empty());
    if unbound {
        return mismatch(
            "claims in the target",
            "one without a UID",
            "each with its UID",
            "update the agent",
        );
    }
    if found.pod_uid.is_empty() || (gated && found.pod_address.is_empty()) {
        return mismatch("pod in the target", "no UID or no address", "both", "update the agent");
    }
    epoch_kept(found.epoch_kept, handoff.epoch)
}

/// Every PersistentVolume that was to go is gone.
pub(crate) fn retired(handoff: &Handoff, found: &Retired) -> Result<(), Mismatch> {
    let gone: BTreeSet<&str> = found.pv_names.iter().map(String::as_str).collect();
    let left: Vec<&str> = handoff
        .released
        .iter()
        .flat_map(|of| &of.volumes)
        .map(|of| of.volume.name.as_str())
        .filter(|name| !gone.contains(name))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    mismatch("PersistentVolumes in the source", &left.join(", "), "none of them", "see why they stay")
}

/// The target holds nothing of the ordinal, and nothing of an earlier epoch can happen there any more.
pub(crate) fn fenced(handoff: &Handoff, found: &Fenced) -> Result<(), Mismatch> {
    epoch_kept(found.epoch_kept, handoff.epoch)?;
    let expected = handoff.target_from;
    let same = found.slice == expected || (found.slice.is_empty() && expected.is_empty());
    if !same {
        let remedy = "find out who changed it, and put it back: the ordinal must not start there again";
        return mismatch("slice in the target", &found.slice.to_string(), &expected.to_string(), remedy);
    }
    if !found.detached {
        return mismatch("fence", "no proof of detachment", "proof", "wait for the node, or look at it");
    }
    Ok(())
}

/// The source runs exactly what it had, around the same PersistentVolumes.
pub(crate) fn reclaimed(work: &Work, handoff: &Handoff, found: &Reclaimed) -> Result<(), Mismatch> {
    epoch_kept(found.epoch_kept, handoff.epoch)?;
    let known = work.volumes.get(&handoff.ordinal).map(Vec::as_slice).unwrap_or_default();
    let subject = format!("volumes of ordinal {} in the source", handoff.ordinal);
    let lasting = |volumes: &[ClaimedVolume]| -> BTreeSet<(VolumeId, String, String, String)> {
        let of = |of: &ClaimedVolume| {
            (of.id(), of.claim.name.clone(), of.volume.name.clone(), of.volume.uid.clone())
        };
        volumes.iter().map(of).collect()
    };
    let (have, want) = (lasting(&found.volumes), lasting(known));
    if have != want {
        let tell = |of: &BTreeSet<(VolumeId, String, String, String)>| {
            let lines: Vec<String> = of
                .iter()
                .map(|(id, claim, pv, uid)| {
                    format!("{} of claim {claim}, PersistentVolume {pv} ({uid})", id.handle)
                })
                .collect();
            lines.join(", ")
        };
        return mismatch(&subject, &tell(&have), &tell(&want), FIND_OUT);
    }
    if found.volumes.iter().any(|of| of.claim.uid.is_empty()) {
        return mismatch(&subject, "a claim without a UID", "each with its UID", "update the agent");
    }
    if found.pod_uid.is_empty() {
        return mismatch("pod in the source", "no UID", "its UID", "update the agent");
    }
    Ok(())
}
