//! What a plan's hash is made of.
//!
//! One digest for each part that a person would recognise, and the hash over all of them: so a start can say not
//! only that the world has changed, but what. Of Kubernetes objects it covers what somebody decided (spec, data,
//! labels, annotations), not what clusters write by themselves (status, resourceVersion, managedFields). Objects are
//! digested in a canonical form, because the order of JSON's keys is nobody's decision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::facts::{ClaimedVolume, Description, Manifest};
use crate::ids::Ordinal;
use crate::plan::{Plan, PlanRecord};
use crate::planner::Survey;

/// Fields of `metadata` that somebody decided.
const METADATA: [&str; 5] = ["name", "namespace", "uid", "labels", "annotations"];
/// Our own annotations may come and go between plan and start.
const OURS: &str = "ferry.dev/";

/// The digest of each part by its name.
pub(super) fn parts(survey: &Survey<'_>, plan: &Plan) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut part = |name: String, text: &str| parts.insert(name, sha256(text));
    part(
        "what moves where".to_owned(),
        &format!("{} {} {} {:?} {:?}", plan.workload, plan.from, plan.to, plan.order, plan.ordinals),
    );
    part("migrations and epochs of the workload".to_owned(), &history(survey, plan));
    part("mapping of StorageClasses".to_owned(), &format!("{:?}", plan.storage_classes));
    part("deadlines of steps".to_owned(), &format!("{:?}", plan.deadlines));
    // Absent by default: plans that were approved before there was a choice keep their hash.
    if !plan.on_failure.is_pause() {
        part("policy on failure".to_owned(), &format!("{:?}", plan.on_failure));
    }
    part("findings".to_owned(), &findings(plan));
    for cluster in [&plan.from, &plan.to] {
        let writes: Vec<&str> =
            plan.writes.iter().filter(|of| of.cluster == *cluster).map(|of| of.write.as_str()).collect();
        part(format!("API writes in {cluster}"), &text_of(&writes));
    }
    if let Some(target) = survey.target {
        part(
            format!("StatefulSet in {}", plan.to),
            &format!("{} {:?}", target.stateful_set_uid, target.slice),
        );
    }
    if let Some(description) = survey.source.and_then(|report| report.description.as_ref()) {
        describe(description, &mut part);
    }
    parts
}

fn describe(description: &Description, part: &mut dyn FnMut(String, &str) -> Option<String>) {
    let known = description;
    part("StatefulSet".to_owned(), &format!("{} {}", known.uid, decided(&known.stateful_set)));
    part("slice".to_owned(), &format!("{} {}", known.slice.start, known.slice.replicas));
    let service = format!("{} {}", known.service, known.dns_ttl_wait_seconds);
    part("governing Service and its resolvers".to_owned(), &service);
    part("disruption budget".to_owned(), &format!("{} {}", known.budget, known.disruption_budget));
    part("objects required in the target".to_owned(), &text_of(&known.required));
    for of in &known.ordinals {
        for volume in &of.volumes {
            part(format!("volume of claim {}", volume.claim.name), &volume_text(of.ordinal, volume));
        }
    }
    for object in &known.dependencies {
        part(format!("{}/{}", object.kind, object.name), &decided(object));
    }
}

fn volume_text(ordinal: Ordinal, of: &ClaimedVolume) -> String {
    let names = [&of.driver, &of.handle, &of.claim.name, &of.claim.uid, &of.volume.name, &of.volume.uid];
    format!("{ordinal} {} {} {}", text_of(&names), spec(&of.claim), spec(&of.volume))
}

/// So that no two migrations of one workload ever have plans of one hash.
fn history(survey: &Survey<'_>, plan: &Plan) -> String {
    let record = survey.state.ledger.workloads.get(&plan.workload);
    let epochs: BTreeMap<Ordinal, u64> =
        plan.ordinals.iter().map(|of| (*of, survey.state.ledger.epoch(&plan.workload, *of).0)).collect();
    format!("{} {epochs:?}", record.map_or(0, |record| record.migrations))
}

/// What was found, by code: the words may hold numbers that change with every look.
fn findings(plan: &Plan) -> String {
    let codes: BTreeSet<String> = plan
        .findings
        .iter()
        .map(|of| format!("{} {} {:?} {} {}", of.check, of.code, of.severity, of.cluster, of.subject))
        .collect();
    text_of(&codes.into_iter().collect::<Vec<_>>())
}

fn text_of<T: AsRef<str>>(lines: &[T]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.as_ref();
        // The length in front keeps two lines from being taken for one.
        let _ = write!(text, "{}:{line};", line.len());
    }
    text
}

fn spec(object: &Manifest) -> String {
    match serde_json::from_str::<Value>(&object.json) {
        Ok(json) => canonical(json.get("spec").unwrap_or(&Value::Null)),
        Err(_) => object.json.clone(),
    }
}

/// An object without what clusters write by themselves.
fn decided(object: &Manifest) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(&object.json) else {
        return object.json.clone();
    };
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &fields {
        match (name.as_str(), value) {
            ("status", _) => {}
            ("metadata", Value::Object(metadata)) => {
                for field in METADATA {
                    if let Some(value) = metadata.get(field) {
                        kept.insert(format!("metadata.{field}"), canonical(&without_ours(value)));
                    }
                }
            }
            _ => {
                kept.insert(name.clone(), canonical(value));
            }
        }
    }
    text_of(&kept.into_iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>())
}

fn without_ours(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(name, _)| !name.starts_with(OURS))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// JSON with its keys in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<&String, String> =
                fields.iter().map(|(name, value)| (name, canonical(value))).collect();
            let fields: Vec<String> = ordered
                .into_iter()
                .map(|(name, text)| format!("{}:{text}", Value::from(name.as_str())))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The hash over all parts.
pub(super) fn digest_of_parts(parts: &BTreeMap<String, String>) -> String {
    sha256(&text_of(&parts.iter().map(|(name, digest)| format!("{name}={digest}")).collect::<Vec<_>>()))
}

/// Names of the parts that are not what they were.
pub(crate) fn differences(before: &PlanRecord, after: &PlanRecord) -> Vec<String> {
    let names: BTreeSet<&String> = before.parts.keys().chain(after.parts.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.parts.get(*name) != after.parts.get(*name))
        .map(|name| match (before.parts.get(name), after.parts.get(name)) {
            (None, _) => format!("{name} (new)"),
            (_, None) => format!("{name} (gone)"),
            (Some(_), Some(_)) => name.clone(),
        })
        .collect()
}
