//! Messages with bits knocked out: they are refused or understood, and never a panic.
//!
//! Not random bytes, which fail at the first tag, but whole messages with a few bytes changed, so that most of them
//! decode into something odd. The sequence is fixed; a failure prints the round.

use ferry_proto::agent::v1::{
    self as wire, Adopted, AttachRequest, ClaimedVolume, Description, Endpoint, EndpointPort,
    EndpointsReport, Finding, Health, Held, Inventory, InventoryVolume, InventoryWorkload, KeptEpoch,
    Manifest, MirrorApplied, NodeIdentity, OrdinalVolumes, Outcome, Progress, Refusal, Released, Resync,
    Retired, Slice, SourcePrepared, SourceReport, TargetPrepared, TargetReport, Unknown, Workload,
    attach_request::Message as Said, outcome::Result as Evidence,
};
use prost::Message;

fn manifest() -> Option<Manifest> {
    let (api_version, kind, name) = ("v1".into(), "PersistentVolume".into(), "pv-1".into());
    Some(Manifest { api_version, kind, name, uid: "uid".into(), json: "{\"spec\":{}}".into() })
}

fn claimed() -> Vec<ClaimedVolume> {
    let (driver, handle) = ("csi.ferry.dev".into(), "disk-1".into());
    vec![ClaimedVolume { claim: manifest(), volume: manifest(), driver, handle }]
}

fn workload() -> Option<Workload> {
    Some(Workload { namespace: "default".into(), name: "etcd".into() })
}

const SLICE: Option<Slice> = Some(Slice { start: 1, replicas: 2 });

fn node() -> Option<NodeIdentity> {
    Some(NodeIdentity { name: "node-1".into(), uid: "uid".into(), boot_id: "boot".into() })
}

fn findings() -> Vec<Finding> {
    vec![Finding { check: "K1".into(), code: "K1-x".into(), severity: 2, ..Finding::default() }]
}

fn resync() -> Said {
    let volume = InventoryVolume {
        driver: "csi.ferry.dev".into(),
        handle: "disk-1".into(),
        pv_name: "pv-1".into(),
        workload: workload(),
        attachment_nodes: vec!["node-1".into()],
        ..InventoryVolume::default()
    };
    let set = InventoryWorkload { workload: workload(), uid: "uid".into(), slice: SLICE, available: 2 };
    Said::Resync(Resync {
        wire_version: 1,
        cluster_uid: "uid".into(),
        pod_cidrs: vec!["10.1.0.0/16".into()],
        epochs: vec![KeptEpoch { workload: workload(), ordinal: 1, epoch: 2 }],
        inventory: Some(Inventory {
            revision: 1,
            workloads: vec![set],
            volumes: vec![volume],
            ..Inventory::default()
        }),
        commands_in_progress: vec!["etcd-1/0/hold/1".into()],
        instance_id: "instance".into(),
        health: Some(Health { api_server_ok: true, ..Health::default() }),
        ..Resync::default()
    })
}

fn evidence() -> Vec<Evidence> {
    let description = Description {
        uid: "uid".into(),
        slice: SLICE,
        stateful_set: manifest(),
        ordinals: vec![OrdinalVolumes { ordinal: 1, volumes: claimed() }],
        ..Description::default()
    };
    let ordinals = vec![OrdinalVolumes { ordinal: 1, volumes: claimed() }];
    let (uid, volumes, node) = (|| "uid".to_owned(), claimed(), node());
    let (stateful_set_uid, pod_uid, planned_writes) = (uid(), uid(), vec!["create".into()]);
    vec![
        Evidence::SourceReport(SourceReport { description: Some(description), findings: findings() }),
        Evidence::TargetReport(TargetReport {
            findings: findings(),
            stateful_set_uid: uid(),
            slice: SLICE,
            planned_writes,
        }),
        Evidence::SourcePrepared(SourcePrepared { ordinals, stateful_set: manifest() }),
        Evidence::TargetPrepared(TargetPrepared { stateful_set_uid, slice: SLICE }),
        Evidence::Held(Held { node: node.clone(), pod_uid, available: 2, template_digest: uid() }),
        Evidence::Released(Released {
            pod_uid: uid(),
            volumes: volumes.clone(),
            node: node.clone(),
            detached: true,
            epoch_kept: 2,
        }),
        Evidence::Adopted(Adopted {
            pod_uid: uid(),
            pod_address: "10.1.0.1".into(),
            node,
            volumes,
            epoch_kept: 2,
        }),
        Evidence::Retired(Retired { pv_names: vec!["pv-1".into()] }),
        Evidence::Settled(wire::Settled {}),
        Evidence::Refusal(Refusal { code: 3, message: "not yet".into(), step: 5 }),
        Evidence::Unknown(Unknown { message: "lost".into(), step: 6, unproven_nodes: vec!["n".into()] }),
    ]
}

/// One message of each kind that agents send.
fn messages() -> Vec<Said> {
    let endpoint = Endpoint {
        address: "10.1.0.1".into(),
        hostname: "etcd-0".into(),
        ready: true,
        ..Endpoint::default()
    };
    let port =
        EndpointPort { name: "peer".into(), protocol: "TCP".into(), port: 2380, app_protocol: "".into() };
    let mut messages = vec![
        resync(),
        Said::Progress(Progress { command_id: "x".into(), step: 5, state: 1, message: "begun".into() }),
        Said::Endpoints(EndpointsReport {
            namespace: "default".into(),
            service: "etcd".into(),
            endpoints: vec![endpoint],
            ports: vec![port],
            address_type: "IPv4".into(),
            ..EndpointsReport::default()
        }),
        Said::MirrorApplied(MirrorApplied {
            namespace: "default".into(),
            service: "etcd".into(),
            origin: "east".into(),
            ..MirrorApplied::default()
        }),
    ];
    messages.extend(evidence().into_iter().map(|evidence| {
        Said::Outcome(Outcome { command_id: "etcd-1/0/x/1".into(), result: Some(evidence) })
    }));
    messages
}

fn understood(message: Said) -> Result<(), super::Error> {
    match message {
        Said::Resync(said) => super::resync(said).map(drop),
        Said::Heartbeat(said) => super::health(said.health.unwrap_or_default()).map(drop),
        Said::Inventory(said) => super::inventory(said).map(drop),
        Said::Progress(said) => super::progress(said).map(drop),
        Said::Outcome(said) => super::outcome(said).map(drop),
        Said::Endpoints(said) => super::endpoints(said).map(drop),
        Said::MirrorApplied(said) => super::mirror_applied(said).map(drop),
    }
}

#[test]
fn every_kind_of_message_is_understood() {
    for message in messages() {
        assert_eq!(understood(message.clone()), Ok(()), "{message:?}");
    }
}

#[test]
fn damaged_messages_are_refused_or_understood() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("small")
    };
    let (mut decoded, mut refused) = (0, 0);
    let originals: Vec<Vec<u8>> =
        messages().into_iter().map(|said| AttachRequest { message: Some(said) }.encode_to_vec()).collect();
    for round in 0..40_000 {
        let mut bytes = originals[round % originals.len()].clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).expect("a byte");
        }
        let Ok(AttachRequest { message: Some(message) }) = AttachRequest::decode(bytes.as_slice()) else {
            continue;
        };
        decoded += 1;
        refused += usize::from(understood(message).is_err());
    }
    assert!(decoded > 5_000 && refused > 1_000, "{decoded} decoded, {refused} of them refused");
}

#[test]
fn a_description_crosses_unchanged() {
    let Some(Evidence::SourceReport(SourceReport { description: Some(sent), .. })) =
        evidence().into_iter().next()
    else {
        panic!("the first is a source report");
    };
    let known = super::objects::description(sent.clone()).expect("understood");
    assert_eq!(super::objects::to_description(known), sent);
}
