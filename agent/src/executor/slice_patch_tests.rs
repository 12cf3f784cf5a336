use serde_json::json;

use super::*;

fn set() -> Value {
    json!({
        "metadata": {"name": "etcd", "uid": "u1", "generation": 7, "annotations": {"ferry.dev/epoch": "3"}},
        "spec": {"replicas": 3, "ordinals": {"start": 2}},
    })
}

fn change(from: Slice, to: Slice) -> Change {
    Change { ordinal: 4, stateful_set_uid: "u1".to_owned(), from, to }
}

fn slice(start: u32, replicas: u32) -> Slice {
    Slice { start, replicas }
}

#[test]
fn h01_both_change_in_one_patch_that_tests_what_it_was_decided_on() {
    let operations = operations(&set(), &slice(2, 2), 5, &json!({"ordinal": 4})).unwrap();
    let tests: Vec<_> =
        operations.iter().filter(|op| op["op"] == "test").map(|op| op["path"].clone()).collect();
    assert_eq!(
        tests,
        [
            "/metadata/uid",
            "/metadata/resourceVersion",
            "/metadata/generation",
            "/metadata/annotations/ferry.dev~1epoch",
            "/spec/ordinals/start",
            "/spec/replicas"
        ]
    );
    assert!(operations.contains(&json!({"op": "replace", "path": "/spec/ordinals/start", "value": 2})));
    assert!(operations.contains(&json!({"op": "replace", "path": "/spec/replicas", "value": 2})));
    let epoch = json!({"op": "replace", "path": "/metadata/annotations/ferry.dev~1epoch", "value": "5"});
    assert!(operations.contains(&epoch));
}

#[test]
fn keeps_the_highest_epoch() {
    let operations = operations(&set(), &slice(2, 2), 2, &json!({})).unwrap();
    let epoch = json!({"op": "replace", "path": "/metadata/annotations/ferry.dev~1epoch", "value": "3"});
    assert!(operations.contains(&epoch));
}

#[test]
fn refuses_a_set_that_was_not_prepared() {
    let mut unprepared = set();
    unprepared["metadata"]["annotations"] = json!({});
    assert!(operations(&unprepared, &slice(2, 2), 5, &json!({})).is_err());
    let mut implicit = set();
    implicit["spec"]["ordinals"] = Value::Null;
    assert!(operations(&implicit, &slice(2, 2), 5, &json!({})).is_err());
}

#[test]
fn tells_before_from_after_from_neither() {
    let (from, to) = (slice(2, 3), slice(2, 2));
    assert_eq!(side(&set(), &change(from, to)), Ok(Side::Before));
    assert_eq!(side(&set(), &change(slice(2, 4), from)), Ok(Side::After));
    assert!(side(&set(), &change(slice(2, 5), slice(2, 4))).is_err());
    assert!(Change::of(4, "u1", None, Some(to)).is_err());
}

#[test]
fn an_empty_slice_starts_anywhere() {
    let mut empty = set();
    empty["spec"]["replicas"] = json!(0);
    assert_eq!(side(&empty, &change(slice(9, 0), slice(4, 1))), Ok(Side::Before));
    assert_eq!(side(&empty, &change(slice(2, 1), slice(3, 0))), Ok(Side::After));
}
