//! Where two objects differ, in words: the path and both values.
//!
//! Two API servers of different versions or with different webhooks fill in different defaults; what a person needs
//! is the list of places, not two manifests. Absent, null, empty list and empty map count as the same, because JSON
//! from the API server uses them interchangeably. The list is cut, with a count of the rest.

use serde_json::Value;

/// Differences that are spelled out; more are counted.
const LISTED: usize = 10;
/// Longest value that is printed whole, in characters.
const VALUE_CHARS: usize = 60;

/// Each place where `left` and `right` differ: `path: left → right`.
pub(crate) fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(String::new(), left, right, &mut found);
    found
}

/// Differences as one text.
pub(crate) fn listed(differences: &[String]) -> String {
    let mut text = differences.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    if differences.len() > LISTED {
        text.push_str(&format!("; and {} more", differences.len() - LISTED));
    }
    text
}

fn walk(path: String, left: &Value, right: &Value, found: &mut Vec<String>) {
    if is_nothing(left) && is_nothing(right) {
        return;
    }
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let (left, right) =
                    (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                walk(format!("{path}/{key}"), left, right, found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (left, right)) in one.iter().zip(other).enumerate() {
                walk(format!("{path}/{index}"), left, right, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {} in the source, {} in the target", short(left), short(right))),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn short(value: &Value) -> String {
    let text = if value.is_null() { "nothing".to_owned() } else { value.to_string() };
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    text.chars().take(VALUE_CHARS).chain(['…']).collect()
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
