use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::{Amounts, lacking, limits, requests, text};
use crate::inspect::fixtures::typed;

fn container(name: &str, cpu: &str) -> Value {
    json!({"name": name, "resources": {"requests": {"cpu": cpu}, "limits": {"memory": "1Gi"}}})
}

fn cpu(pod: Value) -> u128 {
    requests(&typed::<PodSpec>(pod)).get("cpu").copied().unwrap_or(0)
}

#[test]
fn containers_and_sidecars_add_up_and_the_largest_start_counts() {
    let (a, b) = (container("a", "100m"), container("b", "1"));
    assert_eq!(cpu(json!({"containers": [a, b]})), 1_100);
    let sidecar = json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}});
    assert_eq!(cpu(json!({"containers": [a], "initContainers": [sidecar]})), 300);
    let start = container("i", "3");
    assert_eq!(cpu(json!({"containers": [a], "initContainers": [sidecar, start]})), 3_200);
    assert_eq!(cpu(json!({"containers": [a], "initContainers": [start, sidecar]})), 3_000);
    assert_eq!(cpu(json!({"containers": [a], "overhead": {"cpu": "50m"}})), 150);
    assert_eq!(cpu(json!({"containers": [a], "resources": {"requests": {"cpu": "4"}}})), 4_000);
    let both: PodSpec = typed(json!({"containers": [a, b]}));
    assert_eq!(limits(&both)["memory"], 2_000 << 30);
}

#[test]
fn what_is_lacking_is_said_with_both_amounts() {
    let asked =
        Amounts::from([("cpu".into(), 1_500), ("memory".into(), 2_000 << 20), ("pods".into(), 1_000)]);
    let free = Amounts::from([("cpu".into(), 1_000), ("memory".into(), 4_000 << 20), ("pods".into(), 1_000)]);
    assert_eq!(lacking(&asked, &free), ["cpu: 1500m asked, 1 left"]);
    assert_eq!(lacking(&asked, &Amounts::new()).len(), 3);
}

#[test]
fn amounts_are_written_as_people_write_them() {
    assert_eq!(text("requests.cpu", 250), "250m");
    assert_eq!(text("memory", 3_000 << 20), "3Mi");
    assert_eq!(text("requests.storage", 5_000 << 30), "5Gi");
    assert_eq!(text("persistentvolumeclaims", 4_000), "4");
    assert_eq!(text("memory", 0), "0");
}
