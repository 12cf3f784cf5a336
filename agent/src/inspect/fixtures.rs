//! A healthy three-member workload and a target that is ready for it, for the checks' tests to break.
//!
//! Everything is written as the JSON that an API server gives, and read the way the readers do: a test changes one
//! field of one object and expects one finding. No check may have anything to say about the objects as they are here,
//! beyond notes; each module's tests begin with that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ferry_proto::agent::v1::{Finding, Listener, Severity};
use k8s_openapi::{api::core::v1::PersistentVolume, jiff::Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    describe,
    facts::{DryRun, OrdinalsProbe, Server, Source, Target},
    network::{Network, Reached},
    place::Place,
    read::{Exists, Optional, Seen},
    read_target,
    shape::Shape,
};

pub(crate) const NOW: &str = "2026-03-01T12:00:00Z";

pub(crate) fn typed<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("an object of the API")
}

pub(crate) fn seen<T: DeserializeOwned>(json: Value) -> Seen<T> {
    Seen { object: typed(json.clone()), json }
}

pub(crate) fn server() -> Server {
    Server { version: "v1.37.2".to_owned(), ordinals: OrdinalsProbe::Kept, has_policies: true }
}

pub(crate) fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop", "uid": "set-uid", "generation": 3},
        "spec": {
            "replicas": 3, "serviceName": "db", "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"app": "db"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }],
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {
                    "containers": [{
                        "name": "db", "image": "db:1", "readinessProbe": {"tcpSocket": {"port": 1}},
                        "envFrom": [{"configMapRef": {"name": "db-config"}}],
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    }],
                    "volumes": [{"name": "tls", "secret": {"secretName": "db-tls"}}],
                },
            },
        },
        "status": {"replicas": 3, "availableReplicas": 3, "observedGeneration": 3, "updateRevision": "db-1"},
    })
}

pub(crate) fn pod(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("db-{ordinal}"), "namespace": "shop", "uid": format!("pod-uid-{ordinal}"),
            "labels": {"app": "db", "controller-revision-hash": "db-1"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "set-uid", "controller": true,
            }],
        },
        "spec": {
            "nodeName": "n1", "priority": 0, "serviceAccountName": "default",
            "containers": [{
                "name": "db", "image": "db:1",
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                ],
            }],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": format!("data-db-{ordinal}")}},
                {"name": "kube-api-access-x", "projected": {"sources": []}},
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-03-01T11:00:00Z"}],
        },
    })
}

pub(crate) fn claim(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("data-db-{ordinal}"), "namespace": "shop", "uid": format!("claim-uid-{ordinal}"),
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": format!("pv-{ordinal}"),
            "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
    })
}

pub(crate) fn volume(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pv-{ordinal}"), "finalizers": ["kubernetes.io/pv-protection"]},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "fast",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"name": format!("data-db-{ordinal}"), "namespace": "shop", "uid": format!("claim-uid-{ordinal}")},
            "csi": {
                "driver": "disk.example", "volumeHandle": format!("vol-{ordinal}"),
                "nodeStageSecretRef": {"namespace": "storage", "name": "array"},
            },
        },
        "status": {"phase": "Bound"},
    })
}

pub(crate) fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(crate) fn driver() -> Value {
    json!({"metadata": {"name": "disk.example"}, "spec": {"attachRequired": true}})
}

pub(crate) fn budget() -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "db"}}},
    })
}

pub(crate) fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"clusterIP": "None", "type": "ClusterIP", "selector": {"app": "db"}, "ports": [{"port": 1, "nodePort": 7}]},
    })
}

pub(crate) fn source() -> Source {
    source_of(set())
}

/// The healthy workload with another StatefulSet object.
pub(crate) fn source_of(set: Value) -> Source {
    let set = seen(set);
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "db-config", "uid": "map-uid"}, "data": {"a": "1"},
    });
    Source {
        now: NOW.parse::<Timestamp>().expect("a time"),
        cluster: "east".to_owned(),
        server: server(),
        shape: Shape::of(&set.object),
        set,
        pods: (0..3).map(|ordinal| seen(pod(ordinal))).collect(),
        other_sets: Vec::new(),
        claims: (0..3).map(|ordinal| (format!("data-db-{ordinal}"), seen(claim(ordinal)))).collect(),
        volumes: (0..3).map(|ordinal| (format!("pv-{ordinal}"), seen(volume(ordinal)))).collect(),
        attachments: Vec::new(),
        nodes: BTreeMap::from([("n1".to_owned(), typed(node()))]),
        drivers: BTreeMap::from([("disk.example".to_owned(), typed(driver()))]),
        budgets: vec![seen(budget())],
        autoscalers: Vec::new(),
        scaled_objects: Optional::NotInstalled,
        snapshots: Optional::NotInstalled,
        services: vec![seen(service())],
        config_maps: BTreeMap::from([("db-config".to_owned(), seen(config))]),
        service_account: None,
        secrets: BTreeMap::new(),
        leases: Optional::Read(Vec::new()),
        elections: Vec::new(),
        endpoint_slices: Vec::new(),
        network: network("10.62.0.0/16"),
    }
}

/// A network without policies; pods of the other cluster are in `other`.
pub(crate) fn network(other: &str) -> Network {
    Network {
        namespace_labels: BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), "shop".to_owned())]),
        policies: Optional::Read(Vec::new()),
        node_local_dns: Exists::No,
        other_cidrs: vec![other.to_owned()],
    }
}

/// A node of the target with that name and that much CPU.
pub(crate) fn roomy(name: &str, cpu: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": "w1"}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// Classes and one node with room for everything.
fn place() -> Place {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "disk.example",
    });
    Place {
        mapping: HashMap::new(),
        classes: Optional::Read(vec![seen(class)]),
        attributes_classes: Optional::NotInstalled,
        nodes: vec![typed(roomy("m1", "8"))],
        used: Optional::Read(Vec::new()),
        quotas: Optional::Read(Vec::new()),
        limit_ranges: Optional::Read(Vec::new()),
    }
}

/// An empty cluster that is ready for [`source`]'s workload, and the workload's volumes.
pub(crate) fn target() -> (Target, Vec<PersistentVolume>) {
    let description = describe::describe(&source());
    let volumes = read_target::described_volumes(&description).expect("described volumes");
    let mut object = set();
    object["spec"]["replicas"] = 0.into();
    let facts = Target {
        server: server(),
        described: typed(set()),
        shape: Shape::of(&typed(set())),
        moving: Vec::new(),
        known_uids: Vec::new(),
        kept: BTreeSet::new(),
        namespace_exists: true,
        set: None,
        pods: Vec::new(),
        claims: Vec::new(),
        volumes: Vec::new(),
        dependencies: Vec::new(),
        endpoint_slices: Vec::new(),
        budgets: Vec::new(),
        drivers: BTreeMap::from([("disk.example".to_owned(), typed(driver()))]),
        csi_nodes: vec![typed(json!({
            "metadata": {"name": "m1"},
            "spec": {"drivers": [{"name": "disk.example", "nodeID": "m1"}]},
        }))],
        required: BTreeMap::from([("Secret/db-tls".to_owned(), Exists::Yes)]),
        volume_secrets: BTreeMap::from([("storage/array".to_owned(), Exists::Yes)]),
        pod_dry_run: DryRun::Accepted { object: pod(0), caveat: String::new() },
        set_dry_run: DryRun::Accepted { object, caveat: String::new() },
        description,
        place: place(),
        network: network("10.61.0.0/16"),
        pod_cidrs: vec!["10.62.0.0/16".to_owned()],
        tried: vec![(Listener::default(), Reached::Yes)],
    };
    (facts, volumes)
}

/// Codes of `findings`, in order.
pub(crate) fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// The only finding, which must refuse and speak in whole sentences.
pub(crate) fn refused<'a>(findings: &'a [Finding], code: &str) -> &'a Finding {
    let [finding] = findings else {
        panic!("expected {code} alone, found {:?}", codes(findings));
    };
    assert_eq!(finding.code, code);
    assert_eq!(finding.severity(), Severity::Refuse);
    assert!(code.starts_with(&format!("{}-", finding.check)));
    for words in [&finding.subject, &finding.found, &finding.expected, &finding.remedy] {
        assert!(!words.is_empty(), "{finding:?}");
    }
    finding
}
