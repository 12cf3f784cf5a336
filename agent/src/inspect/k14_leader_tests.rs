use ferry_proto::agent::v1::Severity;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use serde_json::{Value, json};

use super::{check, concerns};
use crate::inspect::{
    facts::Source,
    fixtures::{codes, refused, set, source, source_of, typed},
    read::Optional,
};

fn lease(holder: &str, manager: &str) -> Lease {
    typed(json!({
        "metadata": {"name": "db-leader", "managedFields": [{"manager": manager}]},
        "spec": {"holderIdentity": holder},
    }))
}

fn with_lease(holder: &str, manager: &str) -> Source {
    let mut facts = source();
    facts.leases = Optional::Read(vec![lease(holder, manager)]);
    facts
}

fn map(annotations: Value) -> ConfigMap {
    typed(json!({"metadata": {"name": "db-election", "annotations": annotations}}))
}

#[test]
fn leases_of_others_pass() {
    assert!(check(&source()).is_empty());
    for holder in ["web-0", "db-10", "db-0x", ""] {
        assert!(check(&with_lease(holder, "web")).is_empty(), "{holder}");
    }
}

#[test]
fn h30_a_lease_held_by_a_replica_is_refused_unless_a_person_says_otherwise() {
    for holder in ["db-0", "db-1_4f2c", "db-2.db.shop"] {
        assert_eq!(refused(&check(&with_lease(holder, "db")), "K14-leader").subject, "Lease/db-leader");
    }
    let mut changed = set();
    changed["metadata"]["annotations"] = json!({"ferry.dev/leaders-apart": "true"});
    let mut facts = source_of(changed);
    facts.leases = Optional::Read(vec![lease("db-0", "db")]);
    assert_eq!(check(&facts)[0].severity(), Severity::Note);
}

#[test]
fn a_leader_written_on_a_config_map_is_found() {
    for annotations in [
        json!({"leader": "db-0", "ttl": "30"}),
        json!({"control-plane.alpha.kubernetes.io/leader": r#"{"holderIdentity":"db-1_x"}"#}),
    ] {
        assert!(concerns(&map(annotations.clone())));
        let mut facts = source();
        facts.elections = vec![map(annotations)];
        assert_eq!(refused(&check(&facts), "K14-leader").subject, "ConfigMap/db-election");
    }
    assert!(!concerns(&map(json!({}))));
}

#[test]
fn h30_what_a_program_of_the_workloads_name_wrote_is_listed() {
    let findings = check(&with_lease("somebody", "db"));
    assert_eq!(codes(&findings), ["K14-leader-possible"]);
    assert_eq!(findings[0].severity(), Severity::Note);
}

#[test]
fn leases_that_may_not_be_listed_are_a_note() {
    let mut facts = source();
    facts.leases = Optional::Denied("no".into());
    assert_eq!(codes(&check(&facts)), ["K14-leases-unreadable"]);
}
