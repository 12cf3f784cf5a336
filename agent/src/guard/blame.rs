//! Who wrote an object that is not as Ferry left it, as far as the object tells.
//!
//! `metadata.managedFields` names for each field manager what it wrote last and when. A manager is a program's word
//! about itself (`kubectl-edit`, `helm`, `kube-controller-manager`), not an identity: that is in the API server's audit
//! log only. Deletions leave nothing behind; who made the object anew can be told.

use serde_json::Value;

use crate::{executor::api::FIELD_MANAGER, executor::object};

/// Who wrote one of `fields` of the spec last, in words that end a sentence: ` (field manager helm wrote it at ...)`;
/// empty if nobody but Ferry did.
pub(crate) fn writer(object: &Value, fields: &[&str]) -> String {
    let wrote = |entry: &&Value| {
        let spec = entry.pointer("/fieldsV1/f:spec");
        spec.is_some_and(|spec| {
            fields.is_empty() || fields.iter().any(|of| spec.get(format!("f:{of}")).is_some())
        })
    };
    last(object, wrote)
        .map(|(manager, time)| format!(" (field manager {manager} wrote it at {time})"))
        .unwrap_or_default()
}

/// Who wrote the object last besides Ferry: its field manager and when.
pub(crate) fn last_writer(object: &Value) -> Option<(&str, &str)> {
    last(object, |_| true)
}

fn last<'a>(object: &'a Value, wrote: impl Fn(&&'a Value) -> bool) -> Option<(&'a str, &'a str)> {
    let entries = object::items(object, "/metadata/managedFields").iter().filter(wrote);
    let others = entries.map(|entry| (object::text(entry, "/manager"), object::text(entry, "/time")));
    others
        .filter(|(manager, _)| *manager != FIELD_MANAGER && !manager.is_empty())
        .max_by_key(|(_, time)| *time)
}

#[cfg(test)]
#[path = "blame_tests.rs"]
mod tests;
