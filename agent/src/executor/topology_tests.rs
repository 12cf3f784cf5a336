use serde_json::json;

use super::*;

const ZONE: &str = "topology.kubernetes.io/zone";

fn class(map: &str) -> Value {
    json!({"metadata": {"name": "fast", "annotations": {MAP: map}}})
}

fn volume(values: Value) -> Value {
    json!({
        "metadata": {"labels": {ZONE: "east-a", "team": "db"}},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [
                {"key": ZONE, "operator": "In", "values": values},
                {"key": "disk", "operator": "Exists"},
            ]},
        ]}}},
    })
}

fn rewritten(map: &str, values: Value) -> Value {
    let mut copy = volume(values);
    Topology::of(Some(&class(map))).expect("a map").rewrite(&mut copy);
    copy
}

#[test]
fn zones_are_rewritten_in_affinity_and_labels() {
    let map = format!("{ZONE}=east-a:{ZONE}=west-1, {ZONE}=east-b:{ZONE}=west-2");
    let mut expected = volume(json!(["west-1", "west-2"]));
    expected["metadata"]["labels"][ZONE] = "west-1".into();
    assert_eq!(rewritten(&map, json!(["east-a", "east-b"])), expected);
}

#[test]
fn a_driver_may_have_another_key_in_the_target() {
    let copy = rewritten(&format!("{ZONE}=east-a:rack=7"), json!(["east-a"]));
    let first = &copy["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
    assert_eq!(*first, json!({"key": "rack", "operator": "In", "values": ["7"]}));
    assert_eq!(copy["metadata"]["labels"], json!({"rack": "7", "team": "db"}));
}

#[test]
fn what_is_not_named_in_full_stays() {
    let values = json!(["east-a", "east-c"]);
    let copy = rewritten(&format!("{ZONE}=east-a:{ZONE}=west-1"), values.clone());
    assert_eq!(copy["spec"], volume(values)["spec"]);
    let no_map = json!({"metadata": {"name": "fast"}});
    let mut same = volume(json!(["east-a"]));
    Topology::of(Some(&no_map)).expect("no map").rewrite(&mut same);
    Topology::of(None).expect("no class").rewrite(&mut same);
    assert_eq!(same, volume(json!(["east-a"])));
}

#[test]
fn a_map_that_cannot_be_read_is_named() {
    for wrong in ["a", "a=b", "a=b:c", "a=b:=d", "=b:c=d"] {
        assert_eq!(Topology::of(Some(&class(wrong))), Err(wrong.to_owned()), "{wrong}");
    }
}
