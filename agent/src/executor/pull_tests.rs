use super::*;

fn template() -> Value {
    json!({
        "nodeSelector": {"disk": "fast"},
        "containers": [{"name": "db", "image": "db:1"}, {"name": "side", "image": "tools/side:2"}],
        "initContainers": [{"name": "init", "image": "db:1"}],
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [{"name": "data"}],
    })
}

fn node(names: &[&str]) -> Value {
    json!({
        "metadata": {"name": "n1", "labels": {"disk": "fast"}},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": names}],
        },
    })
}

#[test]
fn each_image_counts_once() {
    assert_eq!(images(&template()).into_iter().collect::<Vec<_>>(), ["db:1", "tools/side:2"]);
}

#[test]
fn an_image_spelt_in_full_is_there() {
    let images = images(&template());
    let full = node(&["docker.io/library/db:1", "registry.example/tools/side:2"]);
    assert_eq!(missing(&full, &images), None);
    let other = node(&["docker.io/library/mydb:1", "tools/side:2"]);
    assert_eq!(missing(&other, &images), Some(vec!["db:1".to_owned()]));
}

#[test]
fn only_a_node_that_is_open_and_selected_may_run_it() {
    assert!(may_run(&node(&[]), &template()));
    let mut slow = node(&[]);
    slow["metadata"]["labels"]["disk"] = "slow".into();
    assert!(!may_run(&slow, &template()));
    let mut closed = node(&[]);
    closed["spec"]["unschedulable"] = true.into();
    assert!(!may_run(&closed, &template()));
}

#[test]
fn an_image_without_a_tag_is_the_latest() {
    let template = json!({"containers": [{"image": "registry.example:5000/db"}, {"image": "db@sha256:00"}]});
    assert_eq!(
        images(&template).into_iter().collect::<Vec<_>>(),
        ["db@sha256:00", "registry.example:5000/db:latest"]
    );
}

#[test]
fn the_job_mounts_nothing_matches_nothing_and_ends_by_itself() {
    let key = Key { kind: JOB, namespace: "shop".into(), name: job_name("db", "n1") };
    let made = job(&key, &template(), "n1", &["db:1".to_owned()]);
    let pod = &made["spec"]["template"];
    assert_eq!(pod["spec"]["nodeName"], "n1");
    assert_eq!(pod["spec"]["imagePullSecrets"], template()["imagePullSecrets"]);
    assert_eq!(pod.get("metadata"), None);
    assert!(pod["spec"].get("volumes").is_none());
    assert_eq!(made["spec"]["ttlSecondsAfterFinished"], 0);
    assert_eq!(made["spec"]["backoffLimit"], 0);
}
