//! What the target's admission said, and what follows.

use ferry_proto::agent::v1::{Finding, Severity};
use serde_json::json;

use super::check;
use crate::inspect::{
    facts::{DryRun, Target},
    fixtures::{codes, pod, refused, set, target},
    read::Exists,
};

fn findings(change: impl FnOnce(&mut Target)) -> Vec<Finding> {
    let (mut facts, _) = target();
    change(&mut facts);
    check(&facts)
}

#[test]
fn a_target_that_accepts_both_passes() {
    assert!(findings(|_| {}).is_empty());
}

#[test]
fn refusals_carry_the_servers_words() {
    let found = findings(|facts| facts.pod_dry_run = DryRun::Refused("exceeded quota (403)".to_owned()));
    assert!(refused(&found, "K9-pod-refused").found.contains("exceeded quota"));
    let found = findings(|facts| facts.set_dry_run = DryRun::Refused("webhook says no".to_owned()));
    refused(&found, "K9-set-refused");
}

#[test]
fn a_template_that_the_target_would_default_otherwise_is_refused_by_its_path() {
    let found = findings(|facts| {
        let mut object = set();
        object["spec"]["template"]["spec"]["hostNetwork"] = true.into();
        object["spec"]["replicas"] = 0.into();
        facts.set_dry_run = DryRun::Accepted { object, caveat: String::new() };
    });
    assert!(refused(&found, "K9-template-differs").found.contains("/template/spec/hostNetwork"));
}

#[test]
fn an_injected_container_warns() {
    let found = findings(|facts| {
        let mut object = pod(0);
        object["spec"]["initContainers"] = json!([{"name": "proxy", "image": "mesh:1"}]);
        facts.pod_dry_run = DryRun::Accepted { object, caveat: String::new() };
    });
    assert_eq!(codes(&found), ["K9-pod-changed"]);
    assert_eq!(found[0].severity(), Severity::Warn);
}

#[test]
fn missing_secrets_and_classes_are_all_named() {
    let found = findings(|facts| {
        for object in ["Secret/db-tls", "PriorityClass/high", "RuntimeClass/vm"] {
            facts.required.insert(object.to_owned(), Exists::No);
        }
    });
    assert_eq!(codes(&found), ["K9-priority-class-missing", "K9-runtime-class-missing", "K9-secret-missing"]);
}

#[test]
fn what_may_not_be_asked_is_said() {
    let found = findings(|facts| {
        facts.required.insert("Secret/db-tls".to_owned(), Exists::Unknown("forbidden".to_owned()));
    });
    assert_eq!(codes(&found), ["K9-required-unreadable"]);
}

#[test]
fn a_namespace_to_be_made_is_a_note_and_the_rest_is_still_checked() {
    let found = findings(|facts| {
        facts.namespace_exists = false;
        facts.required.insert("Secret/db-tls".to_owned(), Exists::No);
        facts.pod_dry_run = DryRun::NotRun("the namespace does not exist".to_owned());
        facts.set_dry_run = DryRun::NotRun("the namespace does not exist".to_owned());
    });
    assert_eq!(codes(&found), ["K9-secret-missing", "K9-namespace-new"]);
    assert_eq!(found[1].severity(), Severity::Note);
}
