//! K12, the claims: each can be taken along, and nothing else is happening to it.
//!
//! The handoff deletes a claim and its PersistentVolume object here and makes them again there, around a disk that
//! nobody may be using: so the claim is bound both ways, no other pod names it, no resize, modification or snapshot
//! of it is under way. Snapshots that exist stay behind with the cluster that made them and go on naming the claim:
//! listed, for nobody backs the disk up under that name any more (H34). What the pod template mounts without a claim
//! is [`super::k12_template`]'s.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus, Pod};
use serde_json::Value;

use super::{
    facts::Source,
    finding::{note, refuse, warn},
    read::{Optional, Seen},
};
use crate::inventory::quantity;

/// Conditions of a claim that say that a resize or a modification is under way or stuck.
const BUSY: [&str; 6] = [
    "Resizing",
    "FileSystemResizePending",
    "ControllerResizeError",
    "NodeResizeError",
    "ModifyingVolume",
    "ModifyVolumeError",
];

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = super::k12_template::check(facts);
    for (ordinal, name) in facts.shape.claims() {
        let subject = format!("PersistentVolumeClaim/{name}");
        let Some(claim) = facts.claims.get(&name) else {
            findings.push(refuse(
                "K12-claim-missing",
                subject,
                format!("no claim for ordinal {ordinal}"),
                "one claim for each claim template and ordinal",
                "Find out who deleted it; restart the pod so that the StatefulSet makes a new one, or restore it.",
            ));
            continue;
        };
        findings.extend(access(&claim.object, &subject));
        findings.extend(busy(&claim.object, &subject));
        findings.extend(bound(facts, &claim.object, &subject));
        findings.extend(shared(facts, &name, &facts.shape.pod(ordinal)));
        findings.extend(attached_twice(facts, &claim.object));
    }
    findings.extend(facts.volumes.iter().filter_map(|(name, volume)| unmovable(name, volume)));
    findings.extend(snapshots(facts));
    findings
}

fn access(claim: &PersistentVolumeClaim, subject: &str) -> Option<Finding> {
    let modes = claim.spec.as_ref()?.access_modes.clone().unwrap_or_default();
    let has = |mode: &str| modes.iter().any(|found| found == mode);
    if has("ReadWriteMany") {
        return Some(warn(
            "K12-access-mode-shared",
            subject,
            format!("accessModes {}", modes.join(", ")),
            "ReadWriteOnce or ReadWriteOncePod",
            "Make sure that nobody outside this namespace mounts the same volume; it is handed over like a \
             ReadWriteOnce one, detach included.",
        ));
    }
    if has("ReadWriteOnce") || has("ReadWriteOncePod") {
        return None;
    }
    Some(refuse(
        "K12-access-mode",
        subject,
        format!("accessModes {}", if modes.is_empty() { "none".to_owned() } else { modes.join(", ") }),
        "ReadWriteOnce or ReadWriteOncePod",
        "A volume that replicas only read is not handed over: give the target its own and take the claim template out.",
    ))
}

fn busy(claim: &PersistentVolumeClaim, subject: &str) -> Vec<Finding> {
    let Some(status) = claim.status.as_ref() else {
        return Vec::new();
    };
    let mut doing: Vec<String> = status
        .conditions
        .iter()
        .flatten()
        .filter(|condition| condition.status == "True" && BUSY.contains(&condition.type_.as_str()))
        .map(|condition| condition.type_.clone())
        .collect();
    for (resource, state) in status.allocated_resource_statuses.iter().flatten() {
        doing.push(format!("{resource}: {state}"));
    }
    let mut findings = Vec::new();
    let (asked, has) = (asked(claim), capacity(status));
    if asked.zip(has).is_some_and(|(asked, has)| asked > has) {
        doing.push("it asks for more storage than it has".to_owned());
    }
    if !doing.is_empty() {
        findings.push(refuse(
            "K12-resize",
            subject,
            format!("a resize or modification is under way: {}", doing.join(", ")),
            "a claim at rest",
            "Wait until it has ended (a pending file system resize ends when the pod restarts), and plan again.",
        ));
    }
    let class =
        claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref()).unwrap_or_default();
    let current = status.current_volume_attributes_class_name.as_deref().unwrap_or_default();
    if status.modify_volume_status.is_some() || class != current {
        findings.push(refuse(
            "K12-modify",
            subject,
            format!("volumeAttributesClassName {class:?} is asked for, {current:?} is in effect"),
            "no modification under way",
            "Wait until the driver has applied the class, or ask for the old one again, and plan again.",
        ));
    }
    findings
}

fn asked(claim: &PersistentVolumeClaim) -> Option<u64> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    quantity::bytes(&requests.get("storage")?.0)
}

fn capacity(status: &PersistentVolumeClaimStatus) -> Option<u64> {
    quantity::bytes(&status.capacity.as_ref()?.get("storage")?.0)
}

fn bound(facts: &Source, claim: &PersistentVolumeClaim, subject: &str) -> Option<Finding> {
    let volume_name = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("unknown");
    let problem = if phase != "Bound" || volume_name.is_empty() {
        format!("phase {phase}, volumeName {volume_name:?}")
    } else {
        match facts.volumes.get(volume_name) {
            None => format!("bound to PersistentVolume {volume_name}, which does not exist"),
            Some(volume) => one_sided(&volume.object, claim, volume_name)?,
        }
    };
    Some(refuse(
        "K12-claim-unbound",
        subject,
        problem,
        "claim and PersistentVolume bound to each other, by UID",
        "Repair the claim (kubectl describe pvc) and plan again.",
    ))
}

/// What the PersistentVolume's side of the binding says otherwise; nothing if both agree.
fn one_sided(volume: &PersistentVolume, claim: &PersistentVolumeClaim, name: &str) -> Option<String> {
    let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    let uid = reference.and_then(|reference| reference.uid.as_deref());
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("unknown");
    if uid == claim.metadata.uid.as_deref() && phase == "Bound" {
        return None;
    }
    Some(format!("PersistentVolume {name} is {phase} and names claim UID {}", uid.unwrap_or("none")))
}

fn shared(facts: &Source, claim: &str, owner: &str) -> Vec<Finding> {
    let users = facts
        .pods
        .iter()
        .map(|pod| &pod.object)
        .filter(|pod| pod.metadata.name.as_deref() != Some(owner) && lives(pod) && mounts(pod, claim));
    users
        .map(|pod| {
            refuse(
                "K12-claim-shared",
                format!("PersistentVolumeClaim/{claim}"),
                format!("pod {} uses it too", pod.metadata.name.as_deref().unwrap_or_default()),
                format!("no pod but {owner}"),
                "End that pod (a backup or a shell, perhaps) and plan again.",
            )
        })
        .collect()
}

fn mounts(pod: &Pod, claim: &str) -> bool {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    volumes.into_iter().flatten().any(|volume| {
        volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == claim)
    })
}

fn lives(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

fn attached_twice(facts: &Source, claim: &PersistentVolumeClaim) -> Option<Finding> {
    let volume = claim.spec.as_ref()?.volume_name.as_deref()?;
    let nodes: Vec<_> = facts
        .attachments
        .iter()
        .filter(|attachment| attachment.spec.source.persistent_volume_name.as_deref() == Some(volume))
        .map(|attachment| attachment.spec.node_name.as_str())
        .collect();
    if nodes.len() < 2 {
        return None;
    }
    Some(refuse(
        "K12-attached-twice",
        format!("PersistentVolume/{volume}"),
        format!("attachments on {}", nodes.join(", ")),
        "at most one VolumeAttachment",
        "Wait until Kubernetes has removed the older one; if it stays, find out whether that node is alive.",
    ))
}

fn unmovable(name: &str, volume: &Seen<PersistentVolume>) -> Option<Finding> {
    let spec = volume.object.spec.as_ref()?;
    let (code, kind) = match (&spec.host_path, &spec.local) {
        (Some(_), _) => ("K12-host-path", "hostPath"),
        (None, Some(_)) => ("K12-local", "local"),
        (None, None) => return None,
    };
    Some(refuse(
        code,
        format!("PersistentVolume/{name}"),
        format!("a {kind} volume: the data is on one node's own disk"),
        "a volume on storage that both clusters reach",
        "Copy the data onto a CSI volume first; Ferry moves disks, it does not copy them.",
    ))
}

fn snapshots(facts: &Source) -> Vec<Finding> {
    let all = match &facts.snapshots {
        Optional::Read(all) => all,
        Optional::NotInstalled => return Vec::new(),
        Optional::Denied(said) => {
            return vec![note(
                "K12-snapshots-unreadable",
                format!("StatefulSet/{}", facts.shape.name),
                format!("the agent may not list VolumeSnapshots: {said}"),
                "that none of its claims is being snapshotted",
                "Make sure yourself, or let the agent list volumesnapshots.",
            )];
        }
    };
    all.iter().filter_map(|snapshot| snapshot_of(facts, snapshot)).collect()
}

fn snapshot_of(facts: &Source, snapshot: &Value) -> Option<Finding> {
    let claim = snapshot.pointer("/spec/source/persistentVolumeClaimName")?.as_str()?;
    if !facts.claims.contains_key(claim) {
        return None;
    }
    let subject = format!("VolumeSnapshot/{}", snapshot.pointer("/metadata/name")?.as_str()?);
    if snapshot.pointer("/status/readyToUse").and_then(Value::as_bool) == Some(true) {
        return Some(note(
            "K12-snapshot",
            subject,
            format!("a snapshot of claim {claim}"),
            "that somebody knows: it stays in the source, and its schedule stops covering the volume",
            "Set the schedule up in the target after the migration.",
        ));
    }
    Some(refuse(
        "K12-snapshot-in-progress",
        subject,
        format!("a snapshot of claim {claim} that is not ready yet"),
        "no snapshot under way: it holds the claim",
        "Wait until it is ready, or delete it, and plan again.",
    ))
}

#[cfg(test)]
#[path = "k12_volumes_tests.rs"]
mod tests;
