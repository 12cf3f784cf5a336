//! K4: nothing in the target has the workload's names or its disks, unless it is ours.
//!
//! Ours is what the ledger knows by UID: a StatefulSet that an earlier migration left, with an empty slice or with the
//! ordinals that it moved, whose epochs this cluster keeps. Around it stand the tombstones, which carry our label.
//! Everything else of the same name is somebody's (H23), and a PersistentVolume of the same name or handle is a disk that
//! two clusters would think theirs (H12). Dependencies are taken as they are if they say the same as the source's, because
//! nothing is overwritten; a Service of the same name with another spec, or with endpoints of other pods, would mix two
//! applications (H29).

use ferry_proto::agent::v1::Finding;
use k8s_openapi::api::{core::v1::PersistentVolume, discovery::v1::EndpointSlice};
use serde_json::Value;

use super::{compare, facts::Target, finding::refuse};
use crate::{
    endpoints::slices::{MANAGED_BY, SERVICE, SLICE_MANAGED_BY},
    executor::{budget::ORIGINAL, tombstone},
};

/// Checks the target.
pub(crate) fn check(facts: &Target, volumes: &[PersistentVolume]) -> Vec<Finding> {
    let mut findings: Vec<_> = set(facts).into_iter().collect();
    findings.extend(pods(facts));
    findings.extend(claims(facts));
    findings.extend(facts.volumes.iter().map(|found| volume(found, volumes)));
    findings.extend(dependencies(facts));
    findings.extend(endpoints(facts));
    findings
}

fn set(facts: &Target) -> Option<Finding> {
    let found = &facts.set.as_ref()?.object;
    let subject = format!("StatefulSet/{}", facts.shape.name);
    let uid = found.metadata.uid.as_deref().unwrap_or("none");
    if !facts.set_is_ours() {
        return Some(refuse(
            "K4-stateful-set",
            subject,
            format!("a StatefulSet of that name is in the target, UID {uid}, which the ledger does not know"),
            "none, or one that an earlier migration left",
            "If it is not needed, delete it together with its claims; else move the workload elsewhere.",
        ));
    }
    let (here, there) = (facts.arrived(), facts.shape.ordinals());
    let touches = here.end == there.start || there.end == here.start;
    let is_kept = here.clone().all(|ordinal| facts.kept.contains(&ordinal));
    let is_expected = here.is_empty() || touches && is_kept;
    (!is_expected).then(|| {
        refuse(
            "K4-slice-not-empty",
            subject,
            format!("our StatefulSet in the target asks for ordinals {here:?}, the source has {there:?}"),
            "an empty slice, or the ordinals that an earlier migration moved, next to the source's",
            "Find out who scaled it (kubectl get statefulset -o yaml --show-managed-fields) and scale it back.",
        )
    })
}

fn pods(facts: &Target) -> impl Iterator<Item = Finding> + '_ {
    facts.pods.iter().map(|pod| {
        refuse(
            "K4-pod",
            format!("Pod/{}", pod.metadata.name.as_deref().unwrap_or_default()),
            "a pod of that name is in the target",
            "none: two pods would answer to one name",
            "Delete it, or wait until it has ended, and plan again.",
        )
    })
}

fn claims(facts: &Target) -> impl Iterator<Item = Finding> + '_ {
    let real = facts.claims.iter().filter(|claim| {
        let labels = claim.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(tombstone::LABEL)).map(String::as_str) != Some("true")
    });
    real.map(|claim| {
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or("none yet");
        refuse(
            "K4-claim",
            format!("PersistentVolumeClaim/{}", claim.metadata.name.as_deref().unwrap_or_default()),
            format!("a claim of that name is in the target, volume {volume}"),
            "none, or a tombstone of ours",
            "If the data on it is not needed, delete it; Ferry neither takes it over nor deletes it.",
        )
    })
}

fn volume(found: &PersistentVolume, moved: &[PersistentVolume]) -> Finding {
    let name = found.metadata.name.as_deref().unwrap_or_default();
    let phase = found.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("unknown");
    let handle = identity(found);
    let subject = format!("PersistentVolume/{name}");
    if handle.is_some() && moved.iter().any(|volume| identity(volume) == handle) {
        let (driver, handle) = handle.unwrap_or_default();
        return refuse(
            "K4-volume-handle",
            subject,
            format!("{phase} in the target, the same disk: driver {driver}, volumeHandle {handle}"),
            "no object in the target that reaches a disk of the workload",
            "Set its reclaim policy to Retain, read it back, then delete the object (never the disk), and plan again.",
        );
    }
    refuse(
        "K4-volume-name",
        subject,
        format!("a PersistentVolume of that name is in the target, {phase}, for another disk"),
        "the name free: the workload's PersistentVolume takes it along",
        "Rename or remove it (with reclaim policy Retain, if its disk is needed), and plan again.",
    )
}

fn identity(volume: &PersistentVolume) -> Option<(&str, &str)> {
    let csi = volume.spec.as_ref()?.csi.as_ref()?;
    Some((&csi.driver, &csi.volume_handle))
}

fn dependencies(facts: &Target) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in &facts.description.dependencies {
        let here = facts.dependencies.iter().find(|object| {
            object["kind"].as_str() == Some(&manifest.kind)
                && object["metadata"]["name"].as_str() == Some(&manifest.name)
        });
        let (Some(here), Ok(there)) = (here, serde_json::from_str::<Value>(&manifest.json)) else {
            continue;
        };
        let differences = compare::differences(&essence(&there), &essence(here));
        if differences.is_empty() {
            continue;
        }
        let subject = format!("{}/{}", manifest.kind, manifest.name);
        let found = format!("in the target already, and different: {}", compare::listed(&differences));
        findings.push(refuse(
            "K4-dependency",
            subject,
            found,
            "absent, or the same as in the source: nothing is overwritten",
            "Make the two alike (kubectl diff shows how), or delete the target's, and plan again.",
        ));
    }
    findings
}

/// What of an object has to be the same in both clusters: all of its contents, without what a cluster hands out, and
/// for a budget the amount that it had before Ferry wrote an integer.
fn essence(object: &Value) -> Value {
    let mut contents = object.clone();
    let Some(fields) = contents.as_object_mut() else {
        return contents;
    };
    for key in ["apiVersion", "kind", "metadata", "status"] {
        fields.remove(key);
    }
    match object["kind"].as_str() {
        Some("Service") => strip_service(&mut contents["spec"]),
        Some("ServiceAccount") => {
            fields.remove("secrets");
        }
        Some("PodDisruptionBudget") => original_amount(object, &mut contents["spec"]),
        _ => {}
    }
    contents
}

fn strip_service(spec: &mut Value) {
    let headless = spec["clusterIP"] == "None";
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("healthCheckNodePort");
        if !headless {
            fields.remove("clusterIP");
            fields.remove("clusterIPs");
        }
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
}

fn original_amount(object: &Value, spec: &mut Value) {
    let kept = object["metadata"]["annotations"][ORIGINAL].as_str();
    let Some(Value::Object(amounts)) = kept.and_then(|text| serde_json::from_str(text).ok()) else {
        return;
    };
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("minAvailable");
        fields.remove("maxUnavailable");
        fields.extend(amounts);
    }
}

fn endpoints(facts: &Target) -> Vec<Finding> {
    let own: Vec<_> =
        facts.shape.pods().chain(facts.arrived().map(|ordinal| facts.shape.pod(ordinal))).collect();
    let mut findings = Vec::new();
    for slice in facts.endpoint_slices.iter().filter(|slice| manager(slice) != Some(MANAGED_BY)) {
        let strangers: Vec<_> = slice
            .endpoints
            .iter()
            .filter(|endpoint| {
                let pod = endpoint.target_ref.as_ref().and_then(|target| target.name.as_ref());
                !pod.is_some_and(|pod| own.contains(pod))
            })
            .flat_map(|endpoint| endpoint.addresses.iter().map(String::as_str))
            .collect();
        if strangers.is_empty() {
            continue;
        }
        findings.push(refuse(
            "K4-service-endpoints",
            format!("Service/{}", service_of(slice).unwrap_or_default()),
            format!(
                "in the target it has endpoints of others: {} (EndpointSlice {})",
                strangers.join(", "),
                slice.metadata.name.as_deref().unwrap_or_default()
            ),
            "no endpoints but the workload's: clients would reach two applications by one name",
            "Give the other application another Service, and plan again.",
        ));
    }
    findings
}

fn manager(slice: &EndpointSlice) -> Option<&str> {
    let labels = slice.metadata.labels.as_ref()?;
    labels.get(SLICE_MANAGED_BY).map(String::as_str)
}

/// The Service that a slice belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(SERVICE).map(String::as_str)
}

#[cfg(test)]
#[path = "k04_collision_tests.rs"]
mod tests;
