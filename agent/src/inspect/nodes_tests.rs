use serde_json::{Value, json};

use super::{satisfies, why_not};
use crate::inspect::fixtures::typed;

fn node(change: impl FnOnce(&mut Value)) -> k8s_openapi::api::core::v1::Node {
    let mut node = json!({
        "metadata": {"name": "m1", "labels": {"zone": "a", "cores": "8"}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    change(&mut node);
    typed(node)
}

fn reason(pod: Value, change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut pod = pod;
    pod["containers"] = json!([]);
    why_not(&node(change), &typed(pod))
}

#[test]
fn a_plain_node_takes_a_plain_pod() {
    assert_eq!(reason(json!({}), |_| {}), None);
}

#[test]
fn a_node_that_is_silent_or_cordoned_takes_none() {
    let silent = |node: &mut Value| node["status"]["conditions"][0]["status"] = "Unknown".into();
    assert_eq!(reason(json!({}), silent).as_deref(), Some("not Ready"));
    let cordoned = |node: &mut Value| node["spec"]["unschedulable"] = true.into();
    assert_eq!(reason(json!({}), cordoned).as_deref(), Some("cordoned"));
    let all = json!({"tolerations": [{"operator": "Exists"}]});
    assert_eq!(reason(all, cordoned), None);
}

#[test]
fn taints_bar_what_does_not_tolerate_them() {
    let tainted = |node: &mut Value| {
        node["spec"]["taints"] = json!([
            {"key": "soft", "effect": "PreferNoSchedule"}, {"key": "for", "value": "db", "effect": "NoSchedule"},
        ]);
    };
    assert_eq!(reason(json!({}), tainted).as_deref(), Some("taint for=db:NoSchedule"));
    for (toleration, fits) in [
        (json!({"key": "for", "value": "db", "effect": "NoSchedule"}), true),
        (json!({"key": "for", "operator": "Exists"}), true),
        (json!({"key": "for", "value": "web"}), false),
        (json!({"key": "for", "value": "db", "effect": "NoExecute"}), false),
        (json!({"key": "else", "operator": "Exists"}), false),
    ] {
        let pod = json!({"tolerations": [toleration]});
        assert_eq!(reason(pod.clone(), tainted).is_none(), fits, "{pod}");
    }
}

#[test]
fn selectors_and_affinity_are_asked() {
    assert_eq!(
        reason(json!({"nodeSelector": {"zone": "b"}}), |_| {}).as_deref(),
        Some("nodeSelector zone=b")
    );
    let affinity = |expression: Value| {
        let term = json!({"matchExpressions": [expression]});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [term],
        }}}})
    };
    for (expression, fits) in [
        (json!({"key": "zone", "operator": "In", "values": ["a", "c"]}), true),
        (json!({"key": "zone", "operator": "NotIn", "values": ["a"]}), false),
        (json!({"key": "zone", "operator": "Exists"}), true),
        (json!({"key": "zone", "operator": "DoesNotExist"}), false),
        (json!({"key": "cores", "operator": "Gt", "values": ["4"]}), true),
        (json!({"key": "cores", "operator": "Lt", "values": ["4"]}), false),
        (json!({"key": "zone", "operator": "Gt", "values": ["4"]}), false),
        (json!({"key": "zone", "operator": "Near", "values": ["a"]}), false),
    ] {
        assert_eq!(reason(affinity(expression.clone()), |_| {}).is_none(), fits, "{expression}");
    }
}

#[test]
fn terms_are_alternatives_and_an_empty_one_is_none() {
    let selector = |terms: Value| typed(json!({"nodeSelectorTerms": terms}));
    let m1 = node(|_| {});
    assert!(!satisfies(&selector(json!([{}])), &m1));
    let named = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m1"]}]});
    assert!(satisfies(&selector(json!([{}, named])), &m1));
    let other = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]});
    assert!(!satisfies(&selector(json!([other])), &m1));
}
