//! Paths, emptiness and the cut of long lists.

use serde_json::json;

use super::{differences, listed};

#[test]
fn absent_null_and_empty_are_the_same() {
    assert!(differences(&json!({"a": null, "b": []}), &json!({"c": {}})).is_empty());
    assert_eq!(differences(&json!({"a": 0}), &json!({})).len(), 1);
}

#[test]
fn each_place_is_named_with_both_values() {
    let found = differences(&json!({"a": {"b": [1, 2]}, "c": "x"}), &json!({"a": {"b": [1, 3]}, "c": "y"}));
    assert_eq!(
        found,
        ["/a/b/1: 2 in the source, 3 in the target", r#"/c: "x" in the source, "y" in the target"#]
    );
}

#[test]
fn long_lists_are_cut_with_a_count() {
    let many: Vec<_> = (0..13).map(|number| number.to_string()).collect();
    assert!(listed(&many).ends_with("9; and 3 more"));
}
