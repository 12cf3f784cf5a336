//! What may stand in the target under the workload's names, and what may not.

use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    facts::Target,
    fixtures::{budget, claim, pod, refused, seen, service, set, target, typed, volume},
};

fn findings(change: impl FnOnce(&mut Target)) -> Vec<ferry_proto::agent::v1::Finding> {
    let (mut facts, volumes) = target();
    change(&mut facts);
    check(&facts, &volumes)
}

fn empty_set() -> Value {
    let mut set = set();
    set["spec"]["replicas"] = 0.into();
    set
}

#[test]
fn an_empty_target_passes() {
    assert!(findings(|_| {}).is_empty());
}

#[test]
fn a_set_passes_only_if_the_ledger_knows_it_and_its_slice_is_empty() {
    refused(&findings(|facts| facts.set = Some(seen(empty_set()))), "K4-stateful-set");
    let ours = findings(|facts| {
        facts.set = Some(seen(empty_set()));
        facts.known_uids = vec!["set-uid".to_owned()];
    });
    assert!(ours.is_empty());
    let scaled = findings(|facts| {
        facts.set = Some(seen(set()));
        facts.known_uids = vec!["set-uid".to_owned()];
    });
    refused(&scaled, "K4-slice-not-empty");
    let moved = |kept: &[u32]| {
        findings(|facts| {
            let mut arrived = set();
            arrived["spec"]["ordinals"] = json!({"start": 3});
            arrived["spec"]["replicas"] = 2.into();
            facts.set = Some(seen(arrived));
            facts.known_uids = vec!["set-uid".to_owned()];
            facts.kept = kept.iter().copied().collect();
        })
    };
    assert!(moved(&[0, 1, 2, 3, 4]).is_empty(), "moved earlier, next to the source's slice");
    refused(&moved(&[0, 1, 2, 3]), "K4-slice-not-empty");
}

#[test]
fn a_tombstone_passes_and_a_real_claim_does_not() {
    let mut tombstone = claim(0);
    tombstone["metadata"]["labels"] = json!({"ferry.dev/tombstone": "true"});
    assert!(findings(|facts| facts.claims = vec![typed(tombstone)]).is_empty());
    let real = findings(|facts| facts.claims = vec![typed(claim(0))]);
    assert_eq!(refused(&real, "K4-claim").subject, "PersistentVolumeClaim/data-db-0");
}

#[test]
fn a_pod_of_the_name_is_refused() {
    refused(&findings(|facts| facts.pods = vec![typed(pod(2))]), "K4-pod");
}

#[test]
fn a_volume_is_refused_by_handle_and_by_name() {
    let mut renamed = volume(1);
    renamed["metadata"]["name"] = "left-over".into();
    renamed["status"]["phase"] = "Released".into();
    let same_disk = findings(|facts| facts.volumes = vec![typed(renamed)]);
    assert!(refused(&same_disk, "K4-volume-handle").found.contains("Released"));
    let mut other = volume(1);
    other["spec"]["csi"]["volumeHandle"] = "another".into();
    refused(&findings(|facts| facts.volumes = vec![typed(other)]), "K4-volume-name");
}

#[test]
fn h29_a_service_passes_if_it_says_the_same() {
    let mut alike = service();
    alike["metadata"]["uid"] = "elsewhere".into();
    alike["spec"]["ports"][0]["nodePort"] = 8.into();
    assert!(findings(|facts| facts.dependencies = vec![alike]).is_empty());
    let mut other = service();
    other["spec"]["selector"] = json!({"app": "shop"});
    let found = findings(|facts| facts.dependencies = vec![other]);
    assert!(refused(&found, "K4-dependency").found.contains("/spec/selector/app"));
}

#[test]
fn a_config_map_with_other_data_is_refused() {
    let other = json!({"kind": "ConfigMap", "metadata": {"name": "db-config"}, "data": {"a": "2"}});
    let found = findings(|facts| facts.dependencies = vec![other]);
    assert_eq!(refused(&found, "K4-dependency").subject, "ConfigMap/db-config");
}

#[test]
fn a_budget_is_compared_by_what_it_was_before_it_was_held() {
    let mut held = budget();
    held["spec"]["maxUnavailable"] = 0.into();
    held["metadata"]["annotations"] = json!({"ferry.dev/original-budget": r#"{"maxUnavailable":1}"#});
    assert!(findings(|facts| facts.dependencies = vec![held]).is_empty());
    let mut other = budget();
    other["spec"]["maxUnavailable"] = 2.into();
    refused(&findings(|facts| facts.dependencies = vec![other]), "K4-dependency");
}

#[test]
fn h29_endpoints_of_others_are_refused_and_mirrored_ones_are_not() {
    let slice = |manager: &str| {
        typed(json!({
            "metadata": {
                "name": "db-x",
                "labels": {
                    "kubernetes.io/service-name": "db", "endpointslice.kubernetes.io/managed-by": manager,
                },
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.9"], "targetRef": {"kind": "Pod", "name": "web-1"}}],
        }))
    };
    let others = findings(|facts| facts.endpoint_slices = vec![slice("endpointslice-controller.k8s.io")]);
    assert!(refused(&others, "K4-service-endpoints").found.contains("10.0.0.9"));
    assert!(findings(|facts| facts.endpoint_slices = vec![slice("agent.ferry.dev")]).is_empty());
}
