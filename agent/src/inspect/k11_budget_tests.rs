//! How many budgets may select the pods, and how much the one has to allow.

use serde_json::json;

use super::{check, check_target};
use crate::inspect::fixtures::{budget, refused, seen, source, target, typed};

fn other(name: &str, selector: serde_json::Value) -> serde_json::Value {
    let mut other = budget();
    other["metadata"]["name"] = name.into();
    other["spec"]["selector"] = selector;
    other
}

#[test]
fn one_budget_that_allows_one_passes_and_none_passes() {
    let mut facts = source();
    assert!(check(&facts).is_empty());
    facts.budgets.clear();
    assert!(check(&facts).is_empty());
}

#[test]
fn two_budgets_on_the_pods_are_refused_by_name() {
    let mut facts = source();
    facts.budgets.push(seen(other("all", json!({}))));
    assert!(refused(&check(&facts), "K11-several-budgets").found.contains("db, all"));
}

#[test]
fn a_budget_that_selects_other_pods_does_not_count() {
    let mut facts = source();
    facts.budgets.push(seen(other("web", json!({"matchLabels": {"app": "web"}}))));
    let mut nothing = budget();
    nothing["spec"].as_object_mut().expect("spec").remove("selector");
    facts.budgets.push(seen(nothing));
    assert!(check(&facts).is_empty());
}

#[test]
fn a_budget_that_allows_none_is_refused() {
    let mut facts = source();
    let mut strict = budget();
    strict["spec"] = json!({"minAvailable": "100%", "selector": {"matchLabels": {"app": "db"}}});
    facts.budgets = vec![seen(strict)];
    refused(&check(&facts), "K11-no-budget");
}

#[test]
fn in_the_target_only_the_budget_that_travels_may_select_them() {
    let (mut facts, _) = target();
    facts.budgets = vec![typed(budget())];
    assert!(check_target(&facts).is_empty());
    facts.budgets.push(typed(other("all", json!({}))));
    refused(&check_target(&facts), "K11-several-budgets");
    facts.budgets.remove(0);
    refused(&check_target(&facts), "K11-several-budgets");
}
