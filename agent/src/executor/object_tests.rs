//! Objects of API servers of different releases are the same if they say the same.

use serde_json::json;

use super::canonical;

#[test]
fn a_null_that_older_api_servers_print_is_no_difference() {
    let older =
        json!({"metadata": {"creationTimestamp": null, "labels": {"app": "etcd"}}, "spec": {"volumes": []}});
    let newer = json!({"spec": {"volumes": []}, "metadata": {"labels": {"app": "etcd"}}});
    assert_eq!(canonical(&older).to_string(), canonical(&newer).to_string());
}

#[test]
fn an_empty_object_says_something() {
    let all = json!({"namespaceSelector": {}});
    assert_ne!(canonical(&all).to_string(), canonical(&json!({"namespaceSelector": null})).to_string());
}
