//! What passes each check, and what does not.

use super::*;

#[test]
fn networks() {
    for good in ["10.0.0.0/8", "10.1.2.0/32", "fd00::/64", "::/0"] {
        assert!(cidr(good.into()).is_ok(), "{good}");
    }
    for bad in ["", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
        assert!(cidr(bad.into()).is_err(), "{bad}");
    }
}

#[test]
fn drivers_keep_a_volume_unambiguous() {
    for good in ["", "csi.ferry.dev", "ebs.csi.aws.com", "in-tree/hostPath", "Driver.example"] {
        assert!(driver(good.into()).is_ok(), "{good}");
    }
    for bad in ["a/b", "in-tree/", "in-tree/a/b", "/", "a b", "a\n"] {
        assert!(driver(bad.into()).is_err(), "{bad}");
    }
}

#[test]
fn slices_end_where_kubernetes_does() {
    let at = |start, replicas| slice("slice", Some(wire::Slice { start, replicas }));
    assert_eq!(at(3, 2), Ok(Slice { start: 3, replicas: 2 }));
    assert!(at(i32::MAX as u32, 0).is_ok());
    assert!(at(i32::MAX as u32, 1).is_err() && at(u32::MAX, u32::MAX).is_err());
    assert_eq!(slice("slice", None), Err(Error::Missing { field: "slice" }));
}

#[test]
fn words_lose_what_a_terminal_would_obey() {
    assert_eq!(message("message", "a\u{1b}[2Jb\nc\r".into()), Ok("a[2Jb\nc".into()));
    assert!(message("message", "x".repeat(limits::MAX_MESSAGE_CHARS * 4 + 1)).is_err());
}

#[test]
fn lists_are_bounded() {
    let error = each("list", 2, vec![1, 2, 3], Ok).expect_err("too many");
    assert_eq!(error, Error::Count { field: "list", found: 3, limit: 2 });
}

#[test]
fn manifests_are_json_or_nothing() {
    assert!(json(String::new()).is_ok() && json("{\"a\":[1]}".into()).is_ok());
    assert!(json("{".into()).is_err() && json("{} {}".into()).is_err());
}

#[test]
fn names_are_as_long_as_kubernetes_lets_them_be() {
    // The claim of a widespread chart.
    let claim =
        "prometheus-kube-prometheus-stack-prometheus-db-prometheus-kube-prometheus-stack-prometheus-0";
    for good in ["a", "0", "etcd-0", "a.b-c.d", claim, &"a".repeat(limits::MAX_SUBDOMAIN_CHARS)] {
        assert!(name("name", good.into()).is_ok(), "{good}");
    }
    let too_long = "a".repeat(limits::MAX_SUBDOMAIN_CHARS + 1);
    for bad in ["", "-a", "a-", "a..b", ".a", "a.", "A", "a/b", "a_b", "a b", "../a", &too_long] {
        assert!(name("name", bad.into()).is_err(), "{bad}");
    }
}

#[test]
fn epochs_that_nobody_can_have_reached_are_not_believed() {
    let kept = |ordinal, epoch| wire::KeptEpoch {
        workload: Some(wire::Workload { namespace: "db".into(), name: "etcd".into() }),
        ordinal,
        epoch,
    };
    let resync = crate::wire::resync(wire::Resync {
        wire_version: 1,
        cluster_uid: "uid".into(),
        epochs: vec![kept(0, 7), kept(1, u64::MAX), kept(2, limits::MAX_KEPT_EPOCH)],
        inventory: Some(wire::Inventory::default()),
        instance_id: "instance".into(),
        health: Some(wire::Health::default()),
        ..wire::Resync::default()
    });
    let believed: Vec<_> = resync.expect("taken").epochs.iter().map(|kept| kept.ordinal).collect();
    assert_eq!(believed, [0, 2]);
}
