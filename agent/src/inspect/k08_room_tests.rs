//! Room on the target's nodes: for one, for all, and what is not judged.

use ferry_proto::agent::v1::Severity;
use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    amounts::Amounts,
    facts::{DryRun, Target},
    fixtures::{codes, pod, refused, roomy, target, typed},
    read::Optional,
};

fn asking(change: impl FnOnce(&mut Value)) -> Target {
    let (mut facts, _) = target();
    let mut asked = pod(0);
    asked["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "2"}});
    change(&mut asked);
    facts.pod_dry_run = DryRun::Accepted { object: asked, caveat: String::new() };
    facts
}

#[test]
fn three_replicas_fit_on_one_node_with_room() {
    assert!(check(&asking(|_| {})).is_empty());
}

#[test]
fn no_node_that_takes_it_is_refused_with_each_reason() {
    let mut facts = asking(|_| {});
    let mut cordoned = roomy("m2", "8");
    cordoned["spec"]["unschedulable"] = true.into();
    facts.place.nodes = vec![typed(roomy("m1", "1")), typed(cordoned)];
    let findings = check(&facts);
    let finding = refused(&findings, "K8-no-node");
    assert!(finding.found.contains("m1: cpu: 2 asked, 1 left"), "{finding:?}");
    assert!(finding.found.contains("m2: cordoned"), "{finding:?}");
    facts.place.nodes.clear();
    refused(&check(&facts), "K8-no-node");
}

#[test]
fn what_runs_on_a_node_is_taken_off() {
    let mut facts = asking(|_| {});
    let used = |cpu: u128| Optional::Read(vec![("m1".to_owned(), Amounts::from([("cpu".to_owned(), cpu)]))]);
    facts.place.used = used(6_500);
    refused(&check(&facts), "K8-no-node");
    facts.place.used = used(3_000);
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K8-room-for-some"]);
    assert_eq!(findings[0].severity(), Severity::Warn);
    assert!(findings[0].found.starts_with("room for 2 of 3"), "{findings:?}");
    facts.place.used = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts)), ["K8-room-unread"]);
}

#[test]
fn replicas_that_want_to_be_apart_need_as_many_nodes() {
    let apart = |asked: &mut Value| {
        asked["spec"]["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}},
        ]}});
    };
    let mut facts = asking(apart);
    assert!(check(&facts)[0].found.starts_with("room for 1 of 3"));
    facts.place.nodes = ["m1", "m2", "m3"].map(|name| typed(roomy(name, "8"))).into();
    facts.csi_nodes = ["m1", "m2", "m3"]
        .map(|name| {
            typed(json!({
                "metadata": {"name": name}, "spec": {"drivers": [{"name": "disk.example", "nodeID": name}]},
            }))
        })
        .into();
    assert!(check(&facts).is_empty());
    // A node without the driver takes the pod and not its disk.
    facts.csi_nodes.pop();
    assert!(check(&facts)[0].found.starts_with("room for 2 of 3"));
}

#[test]
fn what_is_not_judged_is_said() {
    let facts = asking(|asked| {
        asked["spec"]["schedulerName"] = "own".into();
        asked["spec"]["containers"][0]["ports"] = json!([{"containerPort": 1, "hostPort": 1}]);
        asked["spec"]["topologySpreadConstraints"] =
            json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    });
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K8-not-judged"]);
    for words in ["topology spread", "ports of the node", "scheduler of its own"] {
        assert!(findings[0].found.contains(words), "{findings:?}");
    }
}

#[test]
fn without_a_pod_there_is_nothing_to_seat() {
    let (mut facts, _) = target();
    facts.description.sample_pod = None;
    assert!(check(&facts).is_empty());
}
