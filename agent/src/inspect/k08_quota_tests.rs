//! Quotas and LimitRanges of the target's namespace.

use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    facts::Target,
    fixtures::{codes, refused, target, typed},
    read::Optional,
};

fn with_quota(hard: Value, used: Value) -> Target {
    let (mut facts, _) = target();
    let quota =
        json!({"metadata": {"name": "shop"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}});
    facts.place.quotas = Optional::Read(vec![typed(quota)]);
    facts
}

fn with_range(item: Value) -> Target {
    let (mut facts, _) = target();
    facts.place.limit_ranges =
        Optional::Read(vec![typed(json!({"metadata": {"name": "shop"}, "spec": {"limits": [item]}}))]);
    facts
}

#[test]
fn a_namespace_without_quotas_passes() {
    let (facts, _) = target();
    assert!(check(&facts).is_empty());
}

#[test]
fn a_quota_that_leaves_room_for_all_passes() {
    let hard = json!({
        "persistentvolumeclaims": "4", "requests.storage": "4Gi", "pods": "4",
        "fast.storageclass.storage.k8s.io/requests.storage": "3Gi",
    });
    assert!(check(&with_quota(hard, json!({"persistentvolumeclaims": "1", "pods": "1"}))).is_empty());
}

#[test]
fn a_quota_that_leaves_too_little_is_refused_with_both_amounts() {
    for (name, hard, words) in [
        ("persistentvolumeclaims", "2", "3 asked, 2 left"),
        ("requests.storage", "2Gi", "3Gi asked, 2Gi left"),
        ("pods", "2", "3 asked, 2 left"),
        ("fast.storageclass.storage.k8s.io/persistentvolumeclaims", "0", "3 asked, 0 left"),
    ] {
        let findings = check(&with_quota(json!({name: hard}), json!({})));
        let finding = refused(&findings, "K8-quota");
        assert!(finding.found.contains(words), "{finding:?}");
    }
}

#[test]
fn tombstones_that_are_there_already_are_not_counted_twice() {
    let mut facts =
        with_quota(json!({"persistentvolumeclaims": "3"}), json!({"persistentvolumeclaims": "3"}));
    refused(&check(&facts), "K8-quota");
    facts.claims = (0..3).map(|ordinal| typed(crate::inspect::fixtures::claim(ordinal))).collect();
    assert!(check(&facts).is_empty());
}

#[test]
fn ordinals_that_stay_count_as_tombstones_only() {
    let mut facts = with_quota(
        json!({"persistentvolumeclaims": "3", "requests.storage": "1026Mi", "pods": "1"}),
        json!({}),
    );
    facts.moving = vec![2];
    assert!(check(&facts).is_empty());
    facts.moving = vec![1, 2];
    assert!(refused(&check(&facts), "K8-quota").found.contains("pods: 2 asked, 1 left"));
}

#[test]
fn a_quota_for_some_pods_is_not_judged() {
    let mut facts = with_quota(json!({"pods": "0"}), json!({}));
    if let Optional::Read(quotas) = &mut facts.place.quotas {
        quotas[0].spec.as_mut().expect("a spec").scopes = Some(vec!["BestEffort".into()]);
    }
    assert_eq!(codes(&check(&facts)), ["K8-quota-scoped"]);
}

#[test]
fn a_limit_range_judges_claims_and_tombstones() {
    let claims = |bound: Value| {
        let mut item = bound;
        item["type"] = "PersistentVolumeClaim".into();
        with_range(item)
    };
    assert!(check(&claims(json!({"max": {"storage": "1Gi"}, "min": {"storage": "1Mi"}}))).is_empty());
    let findings = check(&claims(json!({"min": {"storage": "10Mi"}})));
    assert!(refused(&findings, "K8-limit-range").found.contains("a tombstone is smaller than 10Mi"));
    let findings = check(&claims(json!({"max": {"storage": "500Mi"}})));
    assert!(refused(&findings, "K8-limit-range").found.contains("claim data-db-0 is larger than 500Mi"));
    assert!(check(&with_range(json!({"type": "Pod", "max": {"storage": "1"}}))).is_empty());
}

#[test]
fn limits_that_may_not_be_read_are_a_note() {
    let (mut facts, _) = target();
    facts.place.quotas = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts)), ["K8-limits-unreadable"]);
}
