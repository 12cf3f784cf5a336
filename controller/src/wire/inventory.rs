//! What an agent says of its cluster: resync, health, inventory, endpoints, mirrors written.
//!
//! All of it is about the cluster of the agent's certificate; no message names the cluster it speaks of, so that an
//! agent cannot speak of another. Names are held against Kubernetes' own rules, networks and addresses are parsed,
//! and an inventory without its health or a volume without its workload is refused as a whole.

use ferry_core::{
    ClusterName, CommandId, Epoch,
    facts::{
        Endpoint, EndpointPort, EndpointsReport, GuardFault, Health, Inventory, InventoryVolume,
        InventoryWorkload, KeptEpoch, MirrorApplied, Resync,
    },
};
use ferry_proto::agent::v1 as wire;

use super::check::{self, Error, each, identifier, message, need, optional_name, some_identifier};
use crate::limits;

/// The first message of a stream; its wire version has been looked at before.
///
/// A kept epoch that nobody can have reached is left out, not refused: whoever may write a ConfigMap can make one, and
/// must neither end the stream nor push the ledger's epochs to the end of numbers. The cluster itself goes on refusing
/// commands below it, and says so.
pub fn resync(from: wire::Resync) -> Result<Resync, Error> {
    Ok(Resync {
        agent_version: identifier("resync.agent_version", from.agent_version)?,
        cluster_uid: some_identifier("resync.cluster_uid", from.cluster_uid)?,
        kubernetes_version: identifier("resync.kubernetes_version", from.kubernetes_version)?,
        pod_cidrs: each("resync.pod_cidrs", limits::MAX_POD_CIDRS, from.pod_cidrs, check::cidr)?,
        epochs: each("resync.epochs", limits::MAX_EPOCHS, from.epochs, |from| {
            Ok(KeptEpoch {
                workload: check::workload(from.workload)?,
                ordinal: from.ordinal,
                epoch: Epoch(from.epoch),
            })
        })?
        .into_iter()
        .filter(|kept| kept.epoch.0 <= limits::MAX_KEPT_EPOCH)
        .collect(),
        inventory: inventory(need("resync.inventory", from.inventory)?)?,
        commands_in_progress: each(
            "resync.commands_in_progress",
            limits::MAX_COMMANDS_IN_PROGRESS,
            from.commands_in_progress,
            |id| Ok(CommandId(some_identifier("resync.commands_in_progress", id)?)),
        )?,
        instance_id: some_identifier("resync.instance_id", from.instance_id)?,
        health: health(need("resync.health", from.health)?)?,
    })
}

/// How a cluster is.
pub fn health(from: wire::Health) -> Result<Health, Error> {
    Ok(Health {
        api_server_ok: from.api_server_ok,
        api_server_latency_ms: from.api_server_latency_ms,
        nodes: from.nodes,
        nodes_ready: from.nodes_ready,
        watch_lag_ms: from.watch_lag_ms,
        message: message("health.message", from.message)?,
        kubernetes_version: identifier("health.kubernetes_version", from.kubernetes_version)?,
    })
}

/// What a cluster holds.
pub fn inventory(from: wire::Inventory) -> Result<Inventory, Error> {
    Ok(Inventory {
        revision: from.revision,
        workloads: each("inventory.workloads", limits::MAX_WORKLOADS, from.workloads, |from| {
            Ok(InventoryWorkload {
                workload: check::workload(from.workload)?,
                uid: some_identifier("inventory.workloads.uid", from.uid)?,
                slice: check::slice("inventory.workloads.slice", from.slice)?,
                available: from.available,
            })
        })?,
        volumes: each("inventory.volumes", limits::MAX_VOLUMES, from.volumes, volume)?,
        guard_faults: each("inventory.guard_faults", limits::MAX_LIST, from.guard_faults, |from| {
            Ok(GuardFault {
                workload: check::workload(from.workload)?,
                message: message("inventory.guard_faults.message", from.message)?,
            })
        })?,
    })
}

fn volume(from: wire::InventoryVolume) -> Result<InventoryVolume, Error> {
    Ok(InventoryVolume {
        driver: check::driver(from.driver)?,
        handle: identifier("inventory.volumes.handle", from.handle)?,
        pv_name: check::name("inventory.volumes.pv_name", from.pv_name)?,
        pv_uid: identifier("inventory.volumes.pv_uid", from.pv_uid)?,
        pv_phase: identifier("inventory.volumes.pv_phase", from.pv_phase)?,
        reclaim_policy: identifier("inventory.volumes.reclaim_policy", from.reclaim_policy)?,
        claim_name: optional_name("inventory.volumes.claim_name", from.claim_name)?,
        claim_uid: identifier("inventory.volumes.claim_uid", from.claim_uid)?,
        workload: check::workload(from.workload)?,
        ordinal: from.ordinal,
        attachment_nodes: each(
            "inventory.volumes.attachment_nodes",
            limits::MAX_LIST,
            from.attachment_nodes,
            |node| check::name("inventory.volumes.attachment_nodes", node),
        )?,
        epoch: Epoch(from.epoch),
        capacity_bytes: from.capacity_bytes,
    })
}

/// Own endpoints of one governed Service.
pub fn endpoints(from: wire::EndpointsReport) -> Result<EndpointsReport, Error> {
    Ok(EndpointsReport {
        service: check::service(from.namespace, from.service)?,
        revision: from.revision,
        service_exists: from.service_exists,
        endpoints: each("endpoints", limits::MAX_ENDPOINTS, from.endpoints, endpoint)?,
        ports: each("ports", limits::MAX_PORTS, from.ports, port)?,
        address_type: check::one_of(
            "address_type",
            from.address_type,
            &["", "IPv4", "IPv6"],
            "IPv4 or IPv6, or nothing where there are no slices",
        )?,
    })
}

fn endpoint(from: wire::Endpoint) -> Result<Endpoint, Error> {
    Ok(Endpoint {
        address: check::address(from.address)?,
        hostname: if from.hostname.is_empty() {
            from.hostname
        } else {
            check::label("endpoint.hostname", from.hostname)?
        },
        ready: from.ready,
        serving: from.serving,
        terminating: from.terminating,
        zone: identifier("endpoint.zone", from.zone)?,
        pod_ready: from.pod_ready,
        pod_uid: identifier("endpoint.pod_uid", from.pod_uid)?,
    })
}

fn port(from: wire::EndpointPort) -> Result<EndpointPort, Error> {
    Ok(EndpointPort {
        name: identifier("port.name", from.name)?,
        protocol: check::one_of("port.protocol", from.protocol, &["TCP", "UDP", "SCTP"], "TCP, UDP or SCTP")?,
        port: check::port("port.port", from.port)?,
        app_protocol: identifier("port.app_protocol", from.app_protocol)?,
    })
}

/// Mirrored endpoints were written, or could not be.
pub fn mirror_applied(from: wire::MirrorApplied) -> Result<MirrorApplied, Error> {
    Ok(MirrorApplied {
        service: check::service(from.namespace, from.service)?,
        origin: ClusterName(check::label("mirror_applied.origin", from.origin)?),
        revision: from.revision,
        origin_instance_id: identifier("mirror_applied.origin_instance_id", from.origin_instance_id)?,
        error: message("mirror_applied.error", from.error)?,
    })
}
