use serde_json::json;

use super::*;

fn recorded_volume() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": "pv-1", "uid": "u", "resourceVersion": "9", "creationTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["kubernetes.io/pv-protection"],
            "labels": {"zone": "a"},
            "annotations": {
                "pv.kubernetes.io/provisioned-by": "csi.test",
                "volume.kubernetes.io/provisioner-deletion-secret-name": "s",
                "volume.kubernetes.io/provisioner-deletion-secret-namespace": "ns",
                "pv.kubernetes.io/bound-by-controller": "yes",
                "ferry.dev/epoch": "1",
            },
            "managedFields": [{}],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "fast", "mountOptions": ["noatime"],
            "volumeAttributesClassName": "gold", "aFieldOfTomorrow": {"kept": true},
            "claimRef": {"uid": "c", "name": "data-etcd-2", "namespace": "shop", "resourceVersion": "4"},
            "nodeAffinity": {"required": {}},
            "csi": {
                "driver": "csi.test", "volumeHandle": "h-1", "fsType": "ext4", "readOnly": false,
                "volumeAttributes": {"a": "b"}, "nodeStageSecretRef": {"name": "s", "namespace": "ns"},
            },
        },
        "status": {"phase": "Bound"},
    })
}

#[test]
fn h06_the_volume_is_the_same_disk_reserved_by_name() {
    let classes = HashMap::from([("fast".to_owned(), "schnell".to_owned())]);
    let copy = volume(&recorded_volume(), "shop", "data-etcd-2", &classes, 4);
    let mut expected = recorded_volume()["spec"].clone();
    expected["persistentVolumeReclaimPolicy"] = json!("Retain");
    expected["storageClassName"] = json!("schnell");
    expected["claimRef"] = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data-etcd-2",
    });
    assert_eq!(copy["spec"], expected);
    assert_eq!(
        copy["metadata"],
        json!({
            "name": "pv-1",
            "labels": {"zone": "a"},
            "annotations": {
                "pv.kubernetes.io/provisioned-by": "csi.test",
                "volume.kubernetes.io/provisioner-deletion-secret-name": "s",
                "volume.kubernetes.io/provisioner-deletion-secret-namespace": "ns",
                "ferry.dev/epoch": "4",
            },
        })
    );
    assert_eq!(copy.get("status"), None);
}

#[test]
fn h07_the_volume_names_the_claim_and_the_claim_names_the_volume() {
    let recorded =
        json!({"metadata": {"name": "data-etcd-2", "namespace": "shop"}, "spec": {"volumeName": "pv-1"}});
    let claim = claim(&recorded, "shop", "pv-1", &HashMap::new(), 4);
    let volume = volume(&recorded_volume(), "shop", "data-etcd-2", &HashMap::new(), 4);
    assert_eq!(claim["spec"]["volumeName"], volume["metadata"]["name"]);
    for field in ["namespace", "name"] {
        assert_eq!(volume["spec"]["claimRef"][field], claim["metadata"][field], "{field}");
    }
}

#[test]
fn h08_the_claim_loses_the_binders_annotations_and_keeps_its_size() {
    let recorded = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-etcd-2", "namespace": "shop", "uid": "c", "labels": {"app": "etcd"},
            "ownerReferences": [{"uid": "x"}], "finalizers": ["kubernetes.io/pvc-protection"],
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes",
                "volume.kubernetes.io/selected-node": "n1", "volume.kubernetes.io/storage-provisioner": "csi.test",
                "volume.beta.kubernetes.io/storage-provisioner": "csi.test", "mine": "kept",
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}},
            "storageClassName": "fast", "volumeName": "pv-1",
        },
        "status": {"phase": "Bound"},
    });
    let copy = claim(&recorded, "shop", "pv-1", &HashMap::new(), 4);
    assert_eq!(
        copy,
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": "data-etcd-2", "namespace": "shop", "labels": {"app": "etcd"},
                "annotations": {"mine": "kept", "ferry.dev/epoch": "4"},
            },
            "spec": recorded["spec"],
        })
    );
}

#[test]
fn every_field_of_a_disk_crosses_whatever_its_template_says() {
    let secret = |name: &str| json!({"name": name, "namespace": "storage"});
    let mut recorded = recorded_volume();
    recorded["spec"]["volumeMode"] = "Block".into();
    recorded["spec"]["capacity"] = json!({"storage": "9Gi"});
    recorded["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]},
    ]}});
    recorded["spec"]["csi"] = json!({
        "driver": "csi.test", "volumeHandle": "h-1", "fsType": "xfs", "readOnly": true,
        "volumeAttributes": {"pool": "fast", "storage.kubernetes.io/csiProvisionerIdentity": "1-csi.test"},
        "controllerPublishSecretRef": secret("attach"), "controllerExpandSecretRef": secret("grow"),
        "nodeStageSecretRef": secret("stage"), "nodePublishSecretRef": secret("mount"),
        "nodeExpandSecretRef": secret("grow-here"),
    });
    let copy = volume(&recorded, "shop", "data-etcd-2", &HashMap::new(), 4);
    for field in [
        "accessModes",
        "capacity",
        "csi",
        "mountOptions",
        "nodeAffinity",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ] {
        assert_eq!(copy["spec"][field], recorded["spec"][field], "{field}");
    }
    let grown = json!({
        "metadata": {"name": "data-etcd-2", "labels": {"app": "etcd", "tier": "gold"}},
        "spec": {
            "accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "9Gi"}},
            "storageClassName": "fast", "volumeAttributesClassName": "gold", "volumeMode": "Block",
            "volumeName": "pv-1", "selector": {"matchLabels": {"tier": "gold"}},
        },
    });
    let copy = claim(&grown, "shop", "pv-1", &HashMap::new(), 4);
    assert_eq!(copy["spec"], grown["spec"]);
    assert_eq!(copy["metadata"]["labels"], grown["metadata"]["labels"]);
}

#[test]
fn a_class_in_its_old_place_is_mapped_as_well() {
    let classes = HashMap::from([("fast".to_owned(), "schnell".to_owned())]);
    let old = json!({
        "metadata": {"name": "data-etcd-2", "annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}},
        "spec": {"volumeName": "pv-1"},
    });
    let copy = claim(&old, "shop", "pv-1", &classes, 4);
    assert_eq!(copy["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"], "schnell");
}

#[test]
fn a_service_keeps_headless_and_loses_addresses() {
    let headless = json!({"kind": "Service", "metadata": {"name": "etcd"}, "spec": {
        "clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 2379}], "publishNotReadyAddresses": true,
    }});
    assert_eq!(dependency(&headless, "shop", 1)["spec"], headless["spec"]);
    let balanced = json!({"kind": "Service", "metadata": {"name": "etcd"}, "spec": {
        "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ports": [{"port": 2379, "nodePort": 31000}],
    }});
    assert_eq!(dependency(&balanced, "shop", 1)["spec"], json!({"ports": [{"port": 2379}]}));
}

#[test]
fn a_difference_is_named_by_its_place() {
    let map = |value: &str| json!({"kind": "ConfigMap", "metadata": {"name": "c", "uid": value}, "data": {"a/b": value}});
    assert_eq!(difference(&map("1"), &map("1")), None);
    let found = difference(&map("1"), &map("2"));
    assert_eq!(found, Some(("/data/a~1b".to_owned(), json!("1"), json!("2"))));
}

#[test]
fn absent_and_empty_are_the_same() {
    let (absent, empty) = (json!({}), json!({"secrets": [], "spec": {}}));
    assert_eq!(first_difference(String::new(), &absent, &empty), None);
}

#[test]
fn the_set_arrives_empty_and_keeps_its_template() {
    let recorded = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "etcd", "uid": "u", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}", "ferry.dev/originals": "{}", "mine": "kept",
            "ferry.dev/dns-ttl-wait": "1",
        }},
        "spec": {"replicas": 3, "template": {"x": 1}, "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}},
        "status": {"replicas": 3},
    });
    let copy = stateful_set(&recorded, "shop", 2, 6);
    assert_eq!(
        copy,
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "name": "etcd", "namespace": "shop",
                "annotations": {"mine": "kept", "ferry.dev/dns-ttl-wait": "1", "ferry.dev/epoch": "6"},
            },
            "spec": {
                "replicas": 0, "ordinals": {"start": 2}, "template": {"x": 1},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        })
    );
}
