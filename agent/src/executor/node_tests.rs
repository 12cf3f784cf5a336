use serde_json::json;

use super::*;

fn node() -> Value {
    json!({
        "metadata": {"name": "n1", "uid": "u1"},
        "spec": {},
        "status": {
            "nodeInfo": {"bootID": "b1"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "volumesInUse": ["kubernetes.io/csi/csi.test^h-1"],
        },
    })
}

fn identity() -> NodeIdentity {
    NodeIdentity { name: "n1".into(), uid: "u1".into(), boot_id: "b1".into() }
}

#[test]
fn a_ready_node_in_service_has_no_fault() {
    assert_eq!(fault(&node()), None);
}

#[test]
fn a_node_that_is_not_ready_or_says_nothing_has_one() {
    for conditions in [json!([{"type": "Ready", "status": "Unknown", "message": "gone"}]), json!([])] {
        let mut silent = node();
        silent["status"]["conditions"] = conditions;
        assert!(fault(&silent).is_some());
    }
}

#[test]
fn the_out_of_service_taint_counts_whatever_else_is_well() {
    let mut tainted = node();
    tainted["spec"]["taints"] = json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]);
    assert!(forced(&tainted).is_some());
    assert!(fault(&tainted).is_some());
    tainted["spec"]["taints"] = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
    assert_eq!(forced(&tainted), None);
}

#[test]
fn another_uid_or_boot_or_none_is_a_change() {
    assert_eq!(changed(Some(&node()), &identity()), None);
    assert!(changed(None, &identity()).is_some());
    assert!(changed(Some(&node()), &NodeIdentity { uid: "u2".into(), ..identity() }).is_some());
    assert!(changed(Some(&node()), &NodeIdentity { boot_id: "b2".into(), ..identity() }).is_some());
}

#[test]
fn a_disk_in_use_is_known_by_driver_and_handle() {
    let id = |driver: &str, handle: &str| VolumeId { driver: driver.into(), handle: handle.into() };
    assert!(uses(&node(), &id("csi.test", "h-1")));
    assert!(!uses(&node(), &id("csi.test", "h-2")));
    assert!(!uses(&node(), &id("other.test", "h-1")));
}

#[test]
fn renewals_compare_and_absence_comes_first() {
    let lease = |at: &str| json!({"spec": {"renewTime": at}});
    let (first, later) = (lease("2026-01-01T00:00:00.000001Z"), lease("2026-01-01T00:00:00.000002Z"));
    assert!(renewal(Some(&first)) < renewal(Some(&later)));
    assert!(renewal(None) < renewal(Some(&first)));
    assert_eq!(renewal(Some(&json!({}))), None);
}
