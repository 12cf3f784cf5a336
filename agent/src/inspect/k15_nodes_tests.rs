//! Nodes that run a replica or hold an attachment, in each state that matters.

use serde_json::{Value, json};

use super::check;
use crate::inspect::{
    facts::Source,
    fixtures::{codes, node, refused, source, typed},
};

fn with(change: impl FnOnce(&mut Value)) -> Source {
    let mut facts = source();
    let mut changed = node();
    change(&mut changed);
    facts.nodes.insert("n1".to_owned(), typed(changed));
    facts
}

#[test]
fn a_ready_node_passes() {
    assert!(check(&source()).is_empty());
}

#[test]
fn a_node_that_is_not_ready_or_unknown_is_refused() {
    for status in ["False", "Unknown"] {
        let facts = with(|node| node["status"]["conditions"][0]["status"] = status.into());
        refused(&check(&facts), "K15-node-not-ready");
    }
    refused(&check(&with(|node| node["status"] = json!({}))), "K15-node-not-ready");
}

#[test]
fn h11_an_out_of_service_node_is_refused_even_if_ready() {
    let facts = with(|node| {
        node["spec"]["taints"] = json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]);
    });
    refused(&check(&facts), "K15-out-of-service");
}

#[test]
fn a_node_named_by_an_attachment_alone_counts() {
    let mut facts = source();
    facts.attachments = vec![typed(json!({
        "metadata": {"name": "a"},
        "spec": {"attacher": "disk.example", "nodeName": "n9", "source": {"persistentVolumeName": "pv-1"}},
    }))];
    let findings = check(&facts);
    assert_eq!(codes(&findings), ["K15-node-missing"]);
    assert_eq!(findings[0].subject, "Node/n9");
}
