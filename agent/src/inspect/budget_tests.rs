//! The disruption controller's arithmetic, on one set and over several.

use serde_json::{Value, json};

use super::resolve;
use crate::inspect::fixtures::{budget, pod, seen, set, source, source_of, typed};

fn allowed(amount: Value) -> u32 {
    let mut one = budget();
    one["spec"] = amount;
    one["spec"]["selector"] = json!({"matchLabels": {"app": "db"}});
    resolve(&source(), &typed(one))
}

#[test]
fn integers_and_percentages_of_three() {
    for (amount, expected) in [
        (json!({"maxUnavailable": 1}), 1),
        (json!({"maxUnavailable": 0}), 0),
        (json!({"maxUnavailable": 9}), 3),
        (json!({"maxUnavailable": "10%"}), 1),
        (json!({"maxUnavailable": "34%"}), 2),
        (json!({"maxUnavailable": "0%"}), 0),
        (json!({"minAvailable": 2}), 1),
        (json!({"minAvailable": 4}), 0),
        (json!({"minAvailable": "50%"}), 1),
        (json!({"minAvailable": "100%"}), 0),
        (json!({"minAvailable": "0%"}), 3),
    ] {
        assert_eq!(allowed(amount.clone()), expected, "{amount}");
    }
}

#[test]
fn percentages_are_of_the_replicas_asked_for_not_of_the_pods_there_are() {
    let mut changed = set();
    changed["spec"]["replicas"] = 10.into();
    let facts = source_of(changed);
    let mut one = budget();
    one["spec"]["maxUnavailable"] = "20%".into();
    assert_eq!(resolve(&facts, &typed(one)), 2);
}

#[test]
fn h16_a_budget_over_two_sets_is_resolved_over_both() {
    let mut facts = source();
    let mut other = set();
    other["metadata"]["name"] = "db-zone-b".into();
    other["metadata"]["uid"] = "other-uid".into();
    other["spec"]["replicas"] = 7.into();
    facts.other_sets = vec![typed(other)];
    let mut theirs = pod(0);
    theirs["metadata"]["name"] = "db-zone-b-0".into();
    theirs["metadata"]["ownerReferences"][0]["uid"] = "other-uid".into();
    facts.pods.push(seen(theirs));
    let mut one = budget();
    one["spec"]["maxUnavailable"] = "20%".into();
    assert_eq!(resolve(&facts, &typed(one)), 2);
}

#[test]
fn a_held_budget_counts_as_what_it_was() {
    let mut held = budget();
    held["spec"]["maxUnavailable"] = 0.into();
    held["metadata"]["annotations"] = json!({"ferry.dev/original-budget": r#"{"minAvailable":"50%"}"#});
    assert_eq!(resolve(&source(), &typed(held)), 1);
}
