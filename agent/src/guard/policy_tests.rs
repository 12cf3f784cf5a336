use serde_json::Value;

use super::{RULES, binding, name, policy};
use crate::executor::object;

const AGENT: &str = "system:serviceaccount:ferry-system:ferry-agent";

fn expressions(policy: &Value, path: &str, field: &str) -> Vec<String> {
    object::items(policy, path).iter().map(|of| object::text(of, &format!("/{field}")).to_owned()).collect()
}

#[test]
fn no_two_workloads_share_a_name() {
    assert_eq!(name("shop", "etcd"), "ferry-guard.shop.etcd");
    assert_ne!(name("a-b", "c"), name("a", "b-c"));
}

#[test]
fn the_canary_names_the_policy_and_the_list() {
    let (body, digest) = policy("shop", "etcd", AGENT);
    let rules = expressions(&body, "/spec/validations", "expression");
    assert_eq!(rules.len(), RULES.len() + 1);
    let canary = rules.last().unwrap();
    assert!(canary.contains(&format!("'{digest}.' + params.data.digest")), "{canary}");
    let (_, other) = policy("shop", "etcd", "somebody");
    assert_ne!(digest, other, "another agent is let through: another policy");
    assert!(format!("{digest}.{digest}").len() <= 63, "a label's value");
}

#[test]
fn the_agents_name_is_text_whatever_is_in_it() {
    let (body, _) = policy("shop", "etcd", r"o'brien\");
    let variables = expressions(&body, "/spec/variables", "expression");
    assert!(variables.contains(&r"variables.who == 'o\'brien\\'".to_owned()), "{variables:?}");
}

#[test]
fn whoever_is_refused_reads_who_he_is_and_what_is_guarded() {
    let (body, _) = policy("shop", "etcd", AGENT);
    let said = expressions(&body, "/spec/validations", "messageExpression");
    for message in &said[..RULES.len()] {
        assert!(message.contains("StatefulSet shop/etcd") && message.contains("variables.who"), "{message}");
    }
}

#[test]
fn a_variable_is_used_after_it_is_made() {
    let (body, _) = policy("shop", "etcd", AGENT);
    let names = expressions(&body, "/spec/variables", "name");
    let made = expressions(&body, "/spec/variables", "expression");
    for (at, expression) in made.iter().enumerate() {
        for used in expression.split("variables.").skip(1) {
            let used: String = used.chars().take_while(char::is_ascii_alphanumeric).collect();
            assert!(names[..at].contains(&used), "{} uses {used}", names[at]);
        }
    }
}

#[test]
fn without_its_list_everything_is_refused() {
    let binding = binding("shop", "etcd");
    assert_eq!(object::text(&binding, "/spec/paramRef/parameterNotFoundAction"), "Allow");
    assert_eq!(object::text(&binding, "/spec/paramRef/name"), "ferry-guard-etcd");
    assert_eq!(object::text(&binding, "/spec/paramRef/namespace"), "shop");
    assert_eq!(object::text(&binding, "/spec/policyName"), name("shop", "etcd"));
}
