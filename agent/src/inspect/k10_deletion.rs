//! K10: every reclaim policy, finalizer and owner reference that could delete or hold a disk.
//!
//! Preparation sets reclaim and retention policies to Retain itself, and takes the StatefulSet's owner references off
//! the claims: those are notes, so that nobody is surprised. What Ferry does not set and would not undo is refused:
//! an object on its way out, an owner whose end would take a claim or a PersistentVolume along (H4). Finalizers are
//! never stripped (H9): an unknown one is named, because a deletion would wait for its controller.

use ferry_proto::agent::v1::Finding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    facts::Source,
    finding::{note, refuse, warn},
};

/// Finalizers of Kubernetes and of the CSI sidecars that end by themselves.
const KNOWN: [&str; 3] = [
    "kubernetes.io/pvc-protection",
    "kubernetes.io/pv-protection",
    "external-provisioner.volume.kubernetes.io/finalizer",
];
/// Prefix of the attacher's finalizers, one for each driver.
const ATTACHER: &str = "external-attacher/";
/// Older versions of the provisioner's finalizer and of snapshot and clone protection carry this suffix.
const SNAPSHOT: &str = "snapshot.storage.kubernetes.io/";

/// Checks the source.
pub(crate) fn check(facts: &Source) -> Vec<Finding> {
    let mut findings = set(facts);
    for pod in facts.shape.ordinals().filter_map(|ordinal| facts.pod(ordinal)) {
        let metadata = &pod.object.metadata;
        let subject = format!("Pod/{}", metadata.name.as_deref().unwrap_or_default());
        findings.extend(leaving(metadata, &subject));
        findings.extend(finalizers(metadata, &subject, "K10-pod-finalizer"));
    }
    let uid = facts.set.object.metadata.uid.as_deref();
    for (name, claim) in &facts.claims {
        let metadata = &claim.object.metadata;
        let subject = format!("PersistentVolumeClaim/{name}");
        findings.extend(leaving(metadata, &subject));
        findings.extend(finalizers(metadata, &subject, "K10-claim-finalizer"));
        for owner in metadata.owner_references.iter().flatten() {
            findings.push(if Some(owner.uid.as_str()) == uid {
                note(
                    "K10-claim-owned-by-set",
                    &subject,
                    "owned by its StatefulSet: deleted with it or with its scale-down",
                    "no owner while it is moved",
                    "Nothing: preparation sets the retention policy to Retain and takes the reference off.",
                )
            } else {
                foreign_owner("K10-claim-owned", &subject, &owner.kind, &owner.name)
            });
        }
    }
    for (name, volume) in &facts.volumes {
        let metadata = &volume.object.metadata;
        let subject = format!("PersistentVolume/{name}");
        findings.extend(leaving(metadata, &subject));
        findings.extend(finalizers(metadata, &subject, "K10-volume-finalizer"));
        for owner in metadata.owner_references.iter().flatten() {
            findings.push(foreign_owner("K10-volume-owned", &subject, &owner.kind, &owner.name));
        }
        let policy =
            volume.object.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
        if policy != Some("Retain") {
            findings.push(note(
                "K10-reclaim-policy",
                subject,
                format!("persistentVolumeReclaimPolicy {}", policy.unwrap_or("unset")),
                "Retain while it is moved, so that no deletion can reach the disk",
                "Nothing: preparation sets Retain and reads it back; the original is restored on the target at the end.",
            ));
        }
    }
    findings
}

fn set(facts: &Source) -> Vec<Finding> {
    let metadata = &facts.set.object.metadata;
    let subject = format!("StatefulSet/{}", facts.shape.name);
    let mut findings: Vec<_> = leaving(metadata, &subject).into_iter().collect();
    findings.extend(finalizers(metadata, &subject, "K10-set-finalizer"));
    let spec = facts.set.object.spec.as_ref();
    let policy = spec.and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
    let deleted = policy.and_then(|policy| policy.when_deleted.as_deref()).unwrap_or("Retain");
    let scaled = policy.and_then(|policy| policy.when_scaled.as_deref()).unwrap_or("Retain");
    if (deleted, scaled) != ("Retain", "Retain") {
        findings.push(note(
            "K10-retention-policy",
            subject,
            format!("persistentVolumeClaimRetentionPolicy whenDeleted {deleted}, whenScaled {scaled}"),
            "Retain and Retain while it is moved (a scale-down would delete the claims)",
            "Nothing: preparation sets both to Retain first and waits; the target gets the original at the end.",
        ));
    }
    findings
}

fn leaving(metadata: &ObjectMeta, subject: &str) -> Option<Finding> {
    let since = metadata.deletion_timestamp.as_ref()?;
    let held_by = metadata.finalizers.as_ref().filter(|all| !all.is_empty()).map(|all| all.join(", "));
    Some(refuse(
        "K10-being-deleted",
        subject,
        format!("being deleted since {}, held by {}", since.0, held_by.as_deref().unwrap_or("nothing")),
        "an object that stays",
        "A deletion cannot be undone: let it end, repair the workload, and plan again.",
    ))
}

fn finalizers(metadata: &ObjectMeta, subject: &str, code: &'static str) -> Option<Finding> {
    let unknown: Vec<_> = metadata
        .finalizers
        .iter()
        .flatten()
        .filter(|name| {
            !KNOWN.contains(&name.as_str()) && !name.starts_with(ATTACHER) && !name.starts_with(SNAPSHOT)
        })
        .map(String::as_str)
        .collect();
    if unknown.is_empty() {
        return None;
    }
    Some(warn(
        code,
        subject,
        format!("finalizer {}", unknown.join(", ")),
        "none but those of Kubernetes and of the CSI sidecars",
        "Make sure that its controller runs and lets go when the object is deleted; Ferry never strips a finalizer, \
         the handoff would wait for it.",
    ))
}

fn foreign_owner(code: &'static str, subject: &str, kind: &str, name: &str) -> Finding {
    refuse(
        code,
        subject,
        format!("owned by {kind}/{name}, whose deletion would delete it"),
        "no owner besides the StatefulSet",
        "Take the owner reference off (kubectl edit), or move the workload by the operator that owns it.",
    )
}

#[cfg(test)]
#[path = "k10_deletion_tests.rs"]
mod tests;
