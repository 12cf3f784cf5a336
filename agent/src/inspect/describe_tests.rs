//! The description of the healthy workload, and what a template's references come to.

use serde_json::{Value, json};

use super::describe;
use crate::inspect::fixtures::{seen, service, set, source, source_of};

#[test]
fn the_healthy_workload_is_described_whole() {
    let description = describe(&source());
    assert_eq!(description.uid, "set-uid");
    assert_eq!(description.slice.map(|slice| (slice.start, slice.replicas)), Some((0, 3)));
    assert_eq!((description.service.as_str(), description.disruption_budget.as_str()), ("db", "db"));
    assert_eq!((description.budget, description.dns_ttl_wait_seconds), (1, 5));
    assert_eq!(description.required, ["Secret/db-tls"]);
    let dependencies: Vec<_> = description
        .dependencies
        .iter()
        .map(|one| format!("{} {}/{}", one.api_version, one.kind, one.name))
        .collect();
    assert_eq!(dependencies, ["v1 ConfigMap/db-config", "v1 Service/db", "policy/v1 PodDisruptionBudget/db"]);
    let volumes = &description.ordinals[2].volumes;
    assert_eq!((volumes[0].driver.as_str(), volumes[0].handle.as_str()), ("disk.example", "vol-2"));
    assert_eq!(description.sample_pod.map(|pod| pod.name), Some("db-0".to_owned()));
}

#[test]
fn manifests_keep_fields_that_this_build_does_not_know() {
    let mut changed = set();
    changed["spec"]["template"]["spec"]["fromTheFuture"] = json!({"a": 1});
    let description = describe(&source_of(changed));
    let json: Value = serde_json::from_str(&description.stateful_set.expect("a set").json).expect("JSON");
    assert_eq!(json["spec"]["template"]["spec"]["fromTheFuture"]["a"], 1);
}

#[test]
fn without_a_budget_one_replica_may_be_down() {
    let mut facts = source();
    facts.budgets.clear();
    let description = describe(&facts);
    assert_eq!((description.budget, description.disruption_budget.as_str()), (1, ""));
}

#[test]
fn services_that_select_the_pods_travel_and_others_do_not() {
    let mut facts = source();
    for (name, selector) in
        [("db-client", json!({"app": "db"})), ("web", json!({"app": "web"})), ("none", json!({}))]
    {
        let mut other = service();
        other["metadata"]["name"] = name.into();
        other["spec"]["selector"] = selector;
        facts.services.push(seen(other));
    }
    let description = describe(&facts);
    let services: Vec<_> = description
        .dependencies
        .iter()
        .filter(|one| one.kind == "Service")
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(services, ["db", "db-client"]);
}

#[test]
fn optional_references_and_the_clusters_own_are_left_out() {
    let mut changed = set();
    let pod = &mut changed["spec"]["template"]["spec"];
    pod["priorityClassName"] = "high".into();
    pod["imagePullSecrets"] = json!([{"name": "pull"}]);
    pod["containers"][0]["env"] = json!([
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "a", "optional": true}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "surely", "key": "b"}}},
    ]);
    pod["volumes"] =
        json!([{"name": "ca", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}]);
    let description = describe(&source_of(changed));
    assert_eq!(description.required, ["Secret/pull", "Secret/surely", "PriorityClass/high"]);
}

#[test]
fn planned_writes_name_what_changes() {
    let mut facts = source();
    let mut deleted = crate::inspect::fixtures::volume(0);
    deleted["spec"]["persistentVolumeReclaimPolicy"] = "Delete".into();
    facts.volumes.insert("pv-0".to_owned(), seen(deleted));
    let lines = describe(&facts).planned_writes;
    let has = |line: &str| lines.iter().any(|found| found.starts_with(line));
    assert!(has("patch PersistentVolume/pv-0: persistentVolumeReclaimPolicy Retain (was Delete)"));
    assert!(has("patch PodDisruptionBudget/db: maxUnavailable"));
    assert!(has("create PersistentVolumeClaim/data-db-2: a tombstone"));
    assert!(has("create EndpointSlice/db-"));
}
