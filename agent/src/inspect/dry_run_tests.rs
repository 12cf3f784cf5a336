//! What is taken off an object before another cluster is asked about it.

use serde_json::json;

use super::{portable_pod, portable_set, refused};
use crate::inspect::{
    facts::DryRun,
    fixtures::{pod, set},
};

#[test]
fn a_role_that_lacks_create_is_not_the_pods_fault() {
    let role =
        "pods is forbidden: User \"x\" cannot create resource \"pods\" in API group \"\" (403 Forbidden)";
    assert!(matches!(refused(role.to_owned()), DryRun::NotRun(_)));
    let quota = "pods \"db-0\" is forbidden: exceeded quota (403 Forbidden)";
    assert!(matches!(refused(quota.to_owned()), DryRun::Refused(_)));
}

#[test]
fn a_pod_loses_its_node_its_token_and_its_identity() {
    let portable = portable_pod(&pod(0));
    assert_eq!(portable["metadata"], json!({"name": "db-0", "labels": pod(0)["metadata"]["labels"]}));
    let spec = &portable["spec"];
    for gone in ["nodeName", "priority"] {
        assert!(spec.get(gone).is_none(), "{gone}");
    }
    assert_eq!(spec["volumes"].as_array().map(Vec::len), Some(1));
    assert_eq!(spec["containers"][0]["volumeMounts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_set_is_asked_about_with_an_empty_slice() {
    let mut source = set();
    source["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"});
    let portable = portable_set(&source);
    assert_eq!(portable["spec"]["replicas"], 0);
    assert_eq!(portable["metadata"]["annotations"], json!({"a": "b"}));
    assert!(portable.get("status").is_none());
    assert_eq!(portable["spec"]["template"], source["spec"]["template"]);
}
