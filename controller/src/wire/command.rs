//! What agents are told: commands, governed Services, mirrors.
//!
//! These translations cannot fail: the core made the values, and has bounds of its own. Matches are exhaustive without
//! a wildcard, so that a new command of the core does not compile until it has a place on the wire. The storage
//! domain of a volume stays here: a cluster knows drivers and handles only.

use ferry_core::{
    Command, CommandBody, Epoch, ServiceName, VolumeId,
    command::{Probe, ProbePart},
    facts::{Endpoint, EndpointPort, FinishedOrdinal, Mirror},
};
use ferry_proto::agent::v1::{self as wire, command::Body};

use super::objects::{to_claimed_list, to_description, to_epochs, to_manifest, to_node, to_slice};

/// A command.
#[must_use]
pub fn command(from: Command) -> wire::Command {
    let Command { id, epoch: Epoch(epoch), timeout_ms, workload, migration, generation, body } = from;
    wire::Command {
        id: id.0,
        epoch,
        timeout_ms,
        workload: Some(wire::Workload { namespace: workload.namespace, name: workload.name }),
        migration: migration.map(|id| id.0).unwrap_or_default(),
        generation,
        body: Some(body_of(body)),
    }
}

#[expect(clippy::too_many_lines, reason = "exhaustive: one short arm for each command")]
fn body_of(from: CommandBody) -> Body {
    match from {
        CommandBody::InspectSource { target_pod_cidrs } => {
            Body::InspectSource(wire::InspectSource { target_pod_cidrs })
        }
        CommandBody::InspectTarget {
            description,
            known_uids,
            ordinals,
            storage_classes,
            source_pod_cidrs,
            pod_cidrs,
        } => Body::InspectTarget(wire::InspectTarget {
            description: Some(to_description(*description)),
            known_uids,
            storage_classes: storage_classes.into_iter().collect(),
            source_pod_cidrs,
            pod_cidrs,
            ordinals,
        }),
        CommandBody::PrepareSource { stateful_set_uid, slice, epochs } => {
            Body::PrepareSource(wire::PrepareSource {
                stateful_set_uid,
                slice: Some(to_slice(slice)),
                epochs: to_epochs(epochs),
            })
        }
        CommandBody::PrepareTarget { description, slice, epochs, known_uids } => {
            Body::PrepareTarget(wire::PrepareTarget {
                description: Some(to_description(*description)),
                slice: Some(to_slice(slice)),
                epochs: to_epochs(epochs),
                known_uids,
            })
        }
        CommandBody::Hold { max_unavailable, stateful_set_uid, slice, ordinal, source, volumes } => {
            Body::Hold(wire::Hold {
                max_unavailable,
                stateful_set_uid,
                slice: Some(to_slice(slice)),
                ordinal,
                source,
                volumes: volumes.into_iter().map(volume_id).collect(),
            })
        }
        CommandBody::Release {
            ordinal,
            stateful_set_uid,
            from_slice,
            to_slice: to,
            volumes,
            node,
            pod_uid,
            attested,
        } => Body::Release(wire::Release {
            ordinal,
            stateful_set_uid,
            from_slice: Some(to_slice(from_slice)),
            to_slice: Some(to_slice(to)),
            volumes: to_claimed_list(volumes),
            node: Some(to_node(node)),
            pod_uid,
            attested_nodes: attested,
        }),
        CommandBody::Adopt {
            ordinal,
            stateful_set_uid,
            from_slice,
            to_slice: to,
            volumes,
            storage_classes,
        } => Body::Adopt(wire::Adopt {
            ordinal,
            stateful_set_uid,
            from_slice: Some(to_slice(from_slice)),
            to_slice: Some(to_slice(to)),
            volumes: to_claimed_list(volumes),
            storage_classes: storage_classes.into_iter().collect(),
        }),
        CommandBody::Retire { ordinal, volumes } => {
            Body::Retire(wire::Retire { ordinal, volumes: to_claimed_list(volumes) })
        }
        CommandBody::Settle { max_unavailable, last, target, originals, epochs } => {
            Body::Settle(wire::Settle {
                max_unavailable,
                last,
                target,
                originals: originals.and_then(to_manifest),
                epochs: to_epochs(epochs),
            })
        }
        CommandBody::Fence { ordinal, stateful_set_uid, from_slice, to_slice: to, volumes, attested } => {
            Body::Fence(wire::Fence {
                ordinal,
                stateful_set_uid,
                from_slice: Some(to_slice(from_slice)),
                to_slice: Some(to_slice(to)),
                volumes: to_claimed_list(volumes),
                attested_nodes: attested,
            })
        }
        CommandBody::Reclaim { ordinal, stateful_set_uid, from_slice, to_slice: to, volumes } => {
            Body::Reclaim(wire::Reclaim {
                ordinal,
                stateful_set_uid,
                from_slice: Some(to_slice(from_slice)),
                to_slice: Some(to_slice(to)),
                volumes: to_claimed_list(volumes),
            })
        }
        CommandBody::Unprepare { target, stateful_set_uid, originals, epochs } => {
            Body::Unprepare(wire::Unprepare {
                target,
                stateful_set_uid,
                originals: originals.and_then(to_manifest),
                epochs: to_epochs(epochs),
            })
        }
        CommandBody::Finish { stateful_set_uid, ordinals, accept, watch_ms } => Body::Finish(wire::Finish {
            stateful_set_uid,
            ordinals: ordinals.into_iter().map(finished_ordinal).collect(),
            accept,
            watch_ms,
        }),
        CommandBody::Probe(from) => Body::Probe(probe(*from)),
    }
}

fn probe(from: Probe) -> wire::Probe {
    let Probe { part, storage_class, image, nonce, volume, patience_ms } = from;
    let part = match part {
        ProbePart::Make => wire::ProbePart::Make,
        ProbePart::Read => wire::ProbePart::Read,
        ProbePart::Remove => wire::ProbePart::Remove,
    };
    let volume = volume.and_then(to_manifest);
    wire::Probe { part: part.into(), storage_class, image, nonce, volume, patience_ms }
}

fn finished_ordinal(from: FinishedOrdinal) -> wire::FinishedOrdinal {
    let FinishedOrdinal { ordinal, epoch: Epoch(epoch), claims, volumes } = from;
    wire::FinishedOrdinal { ordinal, epoch, claims, volumes: volumes.into_iter().map(volume_id).collect() }
}

fn volume_id(from: VolumeId) -> wire::VolumeId {
    wire::VolumeId { driver: from.driver, handle: from.handle }
}

/// The complete set of governed Services.
#[must_use]
pub fn governed(services: Vec<ServiceName>) -> wire::Governed {
    let services = services
        .into_iter()
        .map(|ServiceName { namespace, name }| wire::GovernedService { namespace, service: name })
        .collect();
    wire::Governed { services }
}

/// Another cluster's endpoints.
#[must_use]
pub fn mirror(from: Mirror) -> wire::Mirror {
    let Mirror { origin, report, origin_pod_cidrs, origin_instance_id } = from;
    wire::Mirror {
        namespace: report.service.namespace,
        service: report.service.name,
        origin: origin.0,
        revision: report.revision,
        endpoints: report.endpoints.into_iter().map(endpoint).collect(),
        ports: report.ports.into_iter().map(port).collect(),
        address_type: report.address_type,
        origin_pod_cidrs,
        origin_instance_id,
    }
}

fn endpoint(from: Endpoint) -> wire::Endpoint {
    let Endpoint { address, hostname, ready, serving, terminating, zone, pod_ready, pod_uid } = from;
    wire::Endpoint { address, hostname, ready, serving, terminating, zone, pod_ready, pod_uid }
}

fn port(from: EndpointPort) -> wire::EndpointPort {
    let EndpointPort { name, protocol, port, app_protocol } = from;
    wire::EndpointPort { name, protocol, port, app_protocol }
}
