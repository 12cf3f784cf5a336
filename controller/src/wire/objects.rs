//! Kubernetes objects and descriptions of workloads, both ways: agents send them, the core hands them on.
//!
//! An absent manifest is the empty one, and the empty one is sent as absent: an unbound claim has no volume, and a
//! workload without pods has no sample. Whether one may be missing is decided by the core, where it is relied upon.
//! The JSON inside is checked to be JSON and otherwise carried as it is: whole, in whatever version wrote it.

use ferry_core::{
    Epoch,
    facts::{
        ClaimedVolume, Description, Finding, Listener, Manifest, NodeIdentity, OrdinalEpoch, OrdinalVolumes,
        Severity,
    },
};
use ferry_proto::agent::v1 as wire;

use super::check::{self, Error, each, identifier, message, optional_name};
use crate::limits;

pub(super) fn manifest(from: Option<wire::Manifest>) -> Result<Manifest, Error> {
    let Some(from) = from else { return Ok(Manifest::default()) };
    Ok(Manifest {
        api_version: identifier("manifest.api_version", from.api_version)?,
        kind: identifier("manifest.kind", from.kind)?,
        name: identifier("manifest.name", from.name)?,
        uid: identifier("manifest.uid", from.uid)?,
        json: check::json(from.json)?,
    })
}

pub(super) fn to_manifest(from: Manifest) -> Option<wire::Manifest> {
    if from == Manifest::default() {
        return None;
    }
    let Manifest { api_version, kind, name, uid, json } = from;
    Some(wire::Manifest { api_version, kind, name, uid, json })
}

pub(super) fn claimed(from: wire::ClaimedVolume) -> Result<ClaimedVolume, Error> {
    Ok(ClaimedVolume {
        claim: manifest(from.claim)?,
        volume: manifest(from.volume)?,
        driver: check::driver(from.driver)?,
        handle: identifier("handle", from.handle)?,
    })
}

pub(super) fn to_claimed(from: ClaimedVolume) -> wire::ClaimedVolume {
    wire::ClaimedVolume {
        claim: to_manifest(from.claim),
        volume: to_manifest(from.volume),
        driver: from.driver,
        handle: from.handle,
    }
}

pub(super) fn claimed_list(from: Vec<wire::ClaimedVolume>) -> Result<Vec<ClaimedVolume>, Error> {
    each("volumes", limits::MAX_LIST, from, claimed)
}

pub(super) fn to_claimed_list(from: Vec<ClaimedVolume>) -> Vec<wire::ClaimedVolume> {
    from.into_iter().map(to_claimed).collect()
}

pub(super) fn ordinals(from: Vec<wire::OrdinalVolumes>) -> Result<Vec<OrdinalVolumes>, Error> {
    each("ordinals", limits::MAX_LIST, from, |from| {
        Ok(OrdinalVolumes { ordinal: from.ordinal, volumes: claimed_list(from.volumes)? })
    })
}

pub(super) fn to_epochs(from: Vec<OrdinalEpoch>) -> Vec<wire::OrdinalEpoch> {
    from.into_iter()
        .map(|OrdinalEpoch { ordinal, epoch: Epoch(epoch) }| wire::OrdinalEpoch { ordinal, epoch })
        .collect()
}

pub(super) fn node(from: wire::NodeIdentity) -> Result<NodeIdentity, Error> {
    Ok(NodeIdentity {
        name: optional_name("node.name", from.name)?,
        uid: identifier("node.uid", from.uid)?,
        boot_id: identifier("node.boot_id", from.boot_id)?,
    })
}

pub(super) fn optional_node(from: Option<wire::NodeIdentity>) -> Result<Option<NodeIdentity>, Error> {
    from.map(node).transpose()
}

pub(super) fn to_node(from: NodeIdentity) -> wire::NodeIdentity {
    wire::NodeIdentity { name: from.name, uid: from.uid, boot_id: from.boot_id }
}

pub(super) fn writes(from: Vec<String>) -> Result<Vec<String>, Error> {
    each("planned_writes", limits::MAX_LIST, from, |line| message("planned_writes", line))
}

fn severity(from: i32) -> Result<Severity, Error> {
    match wire::Severity::try_from(from) {
        Ok(wire::Severity::Note) => Ok(Severity::Note),
        Ok(wire::Severity::Warn) => Ok(Severity::Warn),
        Ok(wire::Severity::Refuse) => Ok(Severity::Refuse),
        Ok(wire::Severity::Unspecified) | Err(_) => {
            Err(Error::Enum { field: "finding.severity", found: from })
        }
    }
}

pub(super) fn findings(from: Vec<wire::Finding>) -> Result<Vec<Finding>, Error> {
    each("findings", limits::MAX_LIST, from, |from| {
        Ok(Finding {
            check: identifier("finding.check", from.check)?,
            code: identifier("finding.code", from.code)?,
            severity: severity(from.severity)?,
            subject: identifier("finding.subject", from.subject)?,
            found: message("finding.found", from.found)?,
            expected: message("finding.expected", from.expected)?,
            remedy: message("finding.remedy", from.remedy)?,
            cluster: String::new(),
        })
    })
}

pub(super) fn description(from: wire::Description) -> Result<Description, Error> {
    Ok(Description {
        uid: check::some_identifier("description.uid", from.uid)?,
        slice: check::slice("description.slice", from.slice)?,
        stateful_set: manifest(from.stateful_set)?,
        service: optional_name("description.service", from.service)?,
        min_ready_seconds: from.min_ready_seconds,
        pod_management_policy: identifier("description.pod_management_policy", from.pod_management_policy)?,
        budget: from.budget,
        disruption_budget: optional_name("description.disruption_budget", from.disruption_budget)?,
        ordinals: ordinals(from.ordinals)?,
        dependencies: each("description.dependencies", limits::MAX_LIST, from.dependencies, |from| {
            manifest(Some(from))
        })?,
        required: each("description.required", limits::MAX_LIST, from.required, |from| {
            identifier("description.required", from)
        })?,
        dns_ttl_wait_seconds: from.dns_ttl_wait_seconds,
        sample_pod: manifest(from.sample_pod)?,
        planned_writes: writes(from.planned_writes)?,
        listeners: each("description.listeners", limits::MAX_LISTENERS, from.listeners, listener)?,
    })
}

fn listener(from: wire::Listener) -> Result<Listener, Error> {
    let wire::Listener { pod, address, port } = from;
    Ok(Listener {
        pod: optional_name("listener.pod", pod)?,
        address: check::address(address)?,
        port: check::port("listener.port", port)?,
    })
}

pub(super) fn to_description(from: Description) -> wire::Description {
    wire::Description {
        uid: from.uid,
        slice: Some(to_slice(from.slice)),
        stateful_set: to_manifest(from.stateful_set),
        service: from.service,
        min_ready_seconds: from.min_ready_seconds,
        pod_management_policy: from.pod_management_policy,
        budget: from.budget,
        disruption_budget: from.disruption_budget,
        ordinals: from
            .ordinals
            .into_iter()
            .map(|from| wire::OrdinalVolumes {
                ordinal: from.ordinal,
                volumes: to_claimed_list(from.volumes),
            })
            .collect(),
        dependencies: from.dependencies.into_iter().filter_map(to_manifest).collect(),
        required: from.required,
        dns_ttl_wait_seconds: from.dns_ttl_wait_seconds,
        sample_pod: to_manifest(from.sample_pod),
        planned_writes: from.planned_writes,
        listeners: from
            .listeners
            .into_iter()
            .map(|Listener { pod, address, port }| wire::Listener { pod, address, port })
            .collect(),
    }
}

pub(super) fn to_slice(from: ferry_core::Slice) -> wire::Slice {
    wire::Slice { start: from.start, replicas: from.replicas }
}
