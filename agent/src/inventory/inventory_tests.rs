use serde_json::{Value, json};

use super::*;

fn fold<T: Watched>(tables: &mut Tables, object: Value, fold: impl Fn(&mut Tables, Change<T>) -> bool) {
    fold(tables, Change::Present(serde_json::from_value(object).unwrap()));
}

/// etcd with one template, ordinal 2 bound and attached, a volume of nobody's, one in-tree.
fn tables() -> Tables {
    let mut tables = Tables::default();
    let set = json!({
        "metadata": {"name": "etcd", "namespace": "db", "uid": "s", "managedFields": [{"manager": "x"}]},
        "spec": {"replicas": 3, "ordinals": {"start": 5}, "serviceName": "etcd",
            "volumeClaimTemplates": [{"metadata": {"name": "data", "creationTimestamp": null}, "spec": {}}]},
        "status": {"availableReplicas": 3, "replicas": 3}
    });
    fold(&mut tables, set, |tables, change| tables.sets.fold(change, trim::set));
    for (name, claim, claim_uid) in
        [("pv-a", "data-etcd-7", "c7"), ("pv-b", "other-etcd-7", "x"), ("pv-c", "db", "y")]
    {
        let volume = json!({
            "metadata": {"name": name, "uid": name, "annotations": {"ferry.dev/epoch": "4"}},
            "spec": {"csi": {"driver": "d", "volumeHandle": format!("h-{name}"), "volumeAttributes": {"a": "b"}},
                "capacity": {"storage": "1Gi"}, "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": "db", "name": claim, "uid": claim_uid}},
            "status": {"phase": "Bound"}
        });
        fold(&mut tables, volume, |tables, change| tables.volumes.fold(change, trim::volume));
    }
    fold(&mut tables, claim("c7"), |tables, change| tables.claims.fold(change, trim::claim));
    let attachment = json!({
        "metadata": {"name": "csi-1"},
        "spec": {"nodeName": "n1", "source": {"persistentVolumeName": "pv-a"}, "attacher": "d"},
        "status": {"attached": false}
    });
    fold(&mut tables, attachment, |tables, change| tables.attachments.fold(change, trim::attachment));
    tables
}

fn claim(uid: &str) -> Value {
    json!({
        "metadata": {"name": "data-etcd-7", "namespace": "db", "uid": uid},
        "spec": {"volumeName": "pv-a"},
    })
}

#[test]
fn a_volume_of_a_workload_is_reported_with_its_claim_and_attachment() {
    let (inventory, left_out) = build::inventory(&tables());
    assert_eq!(left_out, None);
    assert_eq!(inventory.workloads.len(), 1);
    assert_eq!(inventory.workloads[0].slice, Some(wire::Slice { start: 5, replicas: 3 }));
    assert_eq!(inventory.workloads[0].available, 3);
    let [volume] = inventory.volumes.as_slice() else { panic!("{:?}", inventory.volumes) };
    let workload = wire::Workload { namespace: "db".to_owned(), name: "etcd".to_owned() };
    assert_eq!(volume.workload.as_ref(), Some(&workload));
    assert_eq!((volume.ordinal, volume.epoch, volume.capacity_bytes), (7, 4, 1 << 30));
    assert_eq!((volume.driver.as_str(), volume.handle.as_str()), ("d", "h-pv-a"));
    assert_eq!((volume.claim_name.as_str(), volume.claim_uid.as_str()), ("data-etcd-7", "c7"));
    assert_eq!(volume.attachment_nodes, ["n1"], "attached or not");
}

#[test]
fn a_tombstone_of_the_same_name_is_not_the_claim() {
    let mut tables = tables();
    fold(&mut tables, claim("tombstone"), |tables, change| tables.claims.fold(change, trim::claim));
    let (inventory, _) = build::inventory(&tables);
    assert_eq!(inventory.volumes[0].claim_name, "data-etcd-7");
    assert_eq!(inventory.volumes[0].claim_uid, "");
}

#[test]
fn a_volume_that_is_not_csi_names_its_plugin() {
    let mut tables = tables();
    let volume = json!({
        "metadata": {"name": "pv-h", "uid": "h"},
        "spec": {"hostPath": {"path": "/x"}, "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": "db", "name": "data-etcd-5"}},
    });
    fold(&mut tables, volume, |tables, change| tables.volumes.fold(change, trim::volume));
    let (inventory, _) = build::inventory(&tables);
    let volume = inventory.volumes.iter().find(|volume| volume.pv_name == "pv-h").unwrap();
    assert_eq!((volume.driver.as_str(), volume.handle.as_str()), ("in-tree/hostPath", ""));
}

#[test]
fn a_volume_that_ferry_made_is_reported_as_long_as_its_workload_can_be_told() {
    let mut tables = Tables::default();
    for (name, claim) in [("pv-f", "data-etcd-7"), ("pv-g", "data-other-7"), ("pv-h", "etcd-7")] {
        let volume = json!({
            "metadata": {"name": name, "uid": name, "labels": {"app.kubernetes.io/managed-by": "ferry"}},
            "spec": {"csi": {"driver": "d", "volumeHandle": name},
                "claimRef": {"namespace": "db", "name": claim}},
        });
        fold(&mut tables, volume, |tables, change| tables.volumes.fold(change, trim::volume));
    }
    let map = json!({"metadata": {"name": "ferry-epochs-etcd", "namespace": "db"}, "data": {"7": "3"}});
    fold(&mut tables, map, |tables, change| tables.epochs.fold(change, trim::epochs));
    let (inventory, _) = build::inventory(&tables);
    let [volume] = inventory.volumes.as_slice() else { panic!("{:?}", inventory.volumes) };
    let workload = wire::Workload { namespace: "db".to_owned(), name: "etcd".to_owned() };
    assert_eq!((volume.pv_name.as_str(), volume.workload.as_ref()), ("pv-f", Some(&workload)));
    assert_eq!(volume.ordinal, 7);
}

#[test]
fn epochs_are_read_and_anything_else_in_them_skipped() {
    let mut tables = Tables::default();
    let map = json!({
        "metadata": {"name": "ferry-epochs-etcd", "namespace": "db"},
        "data": {"5": "3", "6": "4", "generation": "1"},
    });
    fold(&mut tables, map, |tables, change| tables.epochs.fold(change, trim::epochs));
    let epochs: Vec<_> = build::epochs(&tables).iter().map(|kept| (kept.ordinal, kept.epoch)).collect();
    assert_eq!(epochs, [(5, 3), (6, 4)]);
}

#[test]
fn names_end_in_an_ordinal_or_not() {
    assert_eq!(ordinal_of("data-etcd-10"), Some(("data-etcd", 10)));
    for name in ["data", "-1", "data-etcd-01", "data-etcd-", "data-etcd-1x", "data-etcd-99999999999"] {
        assert_eq!(ordinal_of(name), None, "{name}");
    }
}

#[test]
fn an_inventory_fits_into_a_message_and_says_what_it_leaves_out() {
    let mut tables = tables();
    for n in 0..12_000 {
        let volume = json!({
            "metadata": {"name": format!("pv-{n}"), "uid": "x".repeat(200)},
            "spec": {"csi": {"driver": "d", "volumeHandle": "y".repeat(200)},
                "claimRef": {"namespace": "db", "name": format!("data-etcd-{n}"), "uid": "u"}},
        });
        fold(&mut tables, volume, |tables, change| tables.volumes.fold(change, trim::volume));
    }
    let (inventory, left_out) = build::inventory(&tables);
    let size = prost::Message::encoded_len(&inventory);
    assert!(
        size <= crate::limits::INVENTORY_BYTES && size > crate::limits::INVENTORY_BYTES * 9 / 10,
        "{size}"
    );
    assert!(left_out.is_some_and(|text| text.contains("12001 volumes")));
}
