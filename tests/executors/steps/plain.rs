//! What two runs of one course must have in common, as text.
//!
//! Each run has a namespace, uids, disks and nodes of its own, its own wall-clock times and versions, and other numbers
//! of commands where one was abandoned; evidence and objects are the same but for these, which are named here and nowhere
//! else. Everything that is left has to be equal to the letter.

use ferry_agent::outcome::Evidence;
use serde_json::Value;

use crate::{journey::Journey, snapshot::Snapshot, witness};

/// Fields whose numbers each run has of its own.
const NUMBERED: [&str; 2] = ["resourceVersion", "/command/"];
/// Annotation with the epoch of an object.
const EPOCH: &str = "ferry.dev/epoch";
/// The epoch of preparation. A claim bears it if preparation took its owners off, and not if the StatefulSet controller
/// was faster, which does it too.
const DISOWNED: &str = "1";
/// The same in a manifest that evidence carries.
const DISOWNED_SAID: &str = r#"\"ferry.dev/epoch\":\"1\","#;
/// Keys of the guard's list.
const DIGESTS: [&str; 2] = ["digest", "revision"];
/// What handles of the array begin with, and the hexadecimal digits that follow.
const HANDLE: (&str, usize) = ("vol-", 16);
/// Length of a UUID.
const UUID: usize = 36;
/// Characters of a time up to its seconds.
const TIME: usize = 19;

/// `text` without what each run has of its own.
pub(crate) fn text(journey: &Journey, nodes: &[String], text: &str) -> String {
    let mut text = text.replace(&journey.namespace, "NAMESPACE");
    for node in nodes {
        text = text.replace(node, "NODE");
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(character) = rest.chars().next() {
        let is_inside = plain.chars().last().is_some_and(|last| last.is_ascii_alphanumeric());
        let passing =
            [(uuid(rest), "UID"), (time(rest), "TIME"), (address(rest), "ADDRESS"), (handle(rest), "HANDLE")];
        match passing.into_iter().find(|(length, _)| *length > 0 && !is_inside) {
            Some((length, word)) => {
                plain.push_str(word);
                rest = &rest[length..];
            }
            None => {
                plain.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    NUMBERED.iter().fold(plain, |plain, field| unnumbered(&plain, field))
}

/// Evidence without what each run has of its own.
pub(crate) fn evidence(journey: &Journey, nodes: &[String], said: &Evidence) -> String {
    text(journey, nodes, &witness::essence(said)).replace(DISOWNED_SAID, "")
}

/// A cluster's objects without what each run has of its own, a line each.
pub(crate) fn objects(journey: &Journey, nodes: &[String], snapshot: &Snapshot) -> Vec<String> {
    let line = |(name, object): (&String, &Value)| {
        let mut object = object.clone();
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        if let Some(annotations) = annotations.filter(|_| name.starts_with("PersistentVolumeClaim/")) {
            annotations.retain(|key, epoch| key != EPOCH || epoch != DISOWNED);
        }
        // Digests of what is guarded, by handles and namespace, which stand beside them.
        if let Some(data) = object.pointer_mut("/data").and_then(Value::as_object_mut) {
            data.retain(|key, _| {
                !name.starts_with("ConfigMap/ferry-guard-") || !DIGESTS.contains(&key.as_str())
            });
        }
        text(journey, nodes, &format!("{name} {object}"))
    };
    let mut lines: Vec<_> = snapshot.iter().map(line).collect();
    lines.sort();
    lines
}

/// Where the two differ first, in words.
pub(crate) fn difference(expected: &str, found: &str) -> Option<String> {
    let at = expected.bytes().zip(found.bytes()).position(|(a, b)| a != b);
    let at = at.or((expected.len() != found.len()).then_some(expected.len().min(found.len())))?;
    let around = |text: &str| {
        let from = text.floor_char_boundary(at.saturating_sub(200));
        text[from..text.floor_char_boundary(at + 200)].to_owned()
    };
    Some(format!("expected ...{}...\nfound ...{}...", around(expected), around(found)))
}

fn uuid(text: &str) -> usize {
    let is_uuid = text.len() >= UUID
        && text.bytes().take(UUID).enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid { UUID } else { 0 }
}

fn time(text: &str) -> usize {
    let is_time = text.len() > TIME
        && text.bytes().take(TIME).enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b'T',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if !is_time {
        return 0;
    }
    let fraction = text.bytes().skip(TIME).take_while(|byte| matches!(byte, b'.' | b'0'..=b'9' | b'Z'));
    TIME + fraction.count()
}

fn address(text: &str) -> usize {
    let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let parts: Vec<_> = text[..length].split('.').collect();
    if parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok()) { length } else { 0 }
}

fn handle(text: &str) -> usize {
    let (lead, digits) = HANDLE;
    let is_handle = text.strip_prefix(lead).is_some_and(|rest| {
        rest.len() >= digits && rest.bytes().take(digits).all(|byte| byte.is_ascii_hexdigit())
    });
    if is_handle { lead.len() + digits } else { 0 }
}

/// Without the number that follows `field`.
fn unnumbered(text: &str, field: &str) -> String {
    let mut parts = text.split(field);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.trim_start_matches(['\\', '"', ':', ' ']);
        let lead = &part[..part.len() - digits.len()];
        plain.push_str(field);
        plain.push_str(lead);
        plain.push_str(digits.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    plain
}
