//! The checks: each takes a field's name for the reason, and gives back what may pass.
//!
//! Bounds come from `limits`; forms are those of Kubernetes (RFC 1123 names, CIDR networks, JSON). A check never
//! repairs: the one exception is control characters in words for people, which are dropped so that no agent can write
//! to an operator's terminal.

use std::net::IpAddr;

use ferry_core::{ServiceName, Slice, Workload};
use ferry_proto::agent::v1 as wire;

use crate::{identity::spiffe::is_label, limits};

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part that must be there is not, or is of a kind that is not known here.
    #[error("{field} is missing, or of a kind that this version does not know")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// An enum value that means nothing here.
    #[error("{field} has the value {found}, which this version does not know")]
    Enum {
        /// The field.
        field: &'static str,
        /// The number.
        found: i32,
    },
    /// Too many elements.
    #[error("{field} has {found} elements; at most {limit} are taken")]
    Count {
        /// The field.
        field: &'static str,
        /// How many.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Too long.
    #[error("{field} has {found} bytes; at most {limit} are taken")]
    Length {
        /// The field.
        field: &'static str,
        /// How long.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Not of the form.
    #[error("{field} is {found:?}; expected {expected}")]
    Form {
        /// The field.
        field: &'static str,
        /// Its beginning.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
}

type Checked<T> = Result<T, Error>;

/// A part that must be there.
pub(super) fn need<T>(field: &'static str, part: Option<T>) -> Checked<T> {
    part.ok_or(Error::Missing { field })
}

/// At most `limit` elements, each translated.
pub(super) fn each<A, B>(
    field: &'static str,
    limit: usize,
    elements: Vec<A>,
    translate: impl FnMut(A) -> Checked<B>,
) -> Checked<Vec<B>> {
    if elements.len() > limit {
        return Err(Error::Count { field, found: elements.len(), limit });
    }
    elements.into_iter().map(translate).collect()
}

fn bounded(field: &'static str, text: String, limit: usize) -> Checked<String> {
    if text.len() > limit {
        return Err(Error::Length { field, found: text.len(), limit });
    }
    Ok(text)
}

fn form(field: &'static str, text: String, good: bool, expected: &'static str) -> Checked<String> {
    if good { Ok(text) } else { Err(Error::Form { field, found: text.chars().take(80).collect(), expected }) }
}

/// Words for people; control characters other than line breaks do not reach terminals.
pub(super) fn message(field: &'static str, text: String) -> Checked<String> {
    let text = bounded(field, text, limits::MAX_MESSAGE_CHARS * 4)?;
    Ok(text
        .chars()
        .filter(|char| !char.is_control() || *char == '\n')
        .take(limits::MAX_MESSAGE_CHARS)
        .collect())
}

/// An opaque identifier, possibly empty.
pub(super) fn identifier(field: &'static str, text: String) -> Checked<String> {
    let text = bounded(field, text, limits::MAX_IDENTIFIER_CHARS)?;
    let good = !text.chars().any(char::is_control);
    form(field, text, good, "text without control characters")
}

/// An opaque identifier that must be there.
pub(super) fn some_identifier(field: &'static str, text: String) -> Checked<String> {
    let text = identifier(field, text)?;
    let good = !text.is_empty();
    form(field, text, good, "an identifier")
}

/// A DNS label.
pub(super) fn label(field: &'static str, text: String) -> Checked<String> {
    let good = is_label(&text);
    form(field, text, good, "a DNS label")
}

/// A DNS subdomain as Kubernetes takes it for the names of objects: the whole is bounded, its labels are not. Claims of
/// StatefulSets are joined from two names, and are often longer than a label of DNS may be.
fn is_object_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= limits::MAX_SUBDOMAIN_CHARS && text.split('.').all(label)
}

/// A DNS subdomain: the name of a Kubernetes object.
pub(super) fn name(field: &'static str, text: String) -> Checked<String> {
    let good = is_object_name(&text);
    form(field, text, good, "a DNS subdomain")
}

/// A DNS subdomain, or nothing.
pub(super) fn optional_name(field: &'static str, text: String) -> Checked<String> {
    if text.is_empty() { Ok(text) } else { name(field, text) }
}

/// A CSI driver's name, `in-tree/<plugin>`, or nothing. Only these keep a volume's written identity unambiguous.
pub(super) fn driver(text: String) -> Checked<String> {
    let text = identifier("driver", text)?;
    let plugin = text.strip_prefix("in-tree/").unwrap_or(&text);
    let good = text.is_empty() || is_object_name(&plugin.to_ascii_lowercase());
    form("driver", text, good, "a CSI driver's name or in-tree/<plugin>")
}

/// An address, IPv4 or IPv6.
pub(super) fn address(text: String) -> Checked<String> {
    let good = text.parse::<IpAddr>().is_ok();
    form("endpoint.address", text, good, "an IP address")
}

/// A port's number.
pub(super) fn port(field: &'static str, number: u32) -> Checked<u32> {
    if (1..=65_535).contains(&number) {
        return Ok(number);
    }
    Err(Error::Form { field, found: number.to_string(), expected: "1 to 65535" })
}

/// A network in CIDR notation.
pub(super) fn cidr(text: String) -> Checked<String> {
    let good = text.split_once('/').is_some_and(|(address, prefix)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
    });
    form("pod_cidrs", text, good, "a network such as 10.1.0.0/16")
}

/// JSON text, or nothing.
pub(super) fn json(text: String) -> Checked<String> {
    let good = text.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    form("manifest.json", text, good, "JSON")
}

/// One of a few words.
pub(super) fn one_of(
    field: &'static str,
    text: String,
    words: &[&str],
    expected: &'static str,
) -> Checked<String> {
    let good = words.contains(&text.as_str());
    form(field, text, good, expected)
}

/// A StatefulSet's identity.
pub(super) fn workload(workload: Option<wire::Workload>) -> Checked<Workload> {
    let workload = need("workload", workload)?;
    Ok(Workload {
        namespace: label("workload.namespace", workload.namespace)?,
        name: name("workload.name", workload.name)?,
    })
}

/// A Service's identity.
pub(super) fn service(namespace: String, service: String) -> Checked<ServiceName> {
    Ok(ServiceName { namespace: label("namespace", namespace)?, name: label("service", service)? })
}

/// A slice whose last ordinal is a number that Kubernetes takes.
pub(super) fn slice(field: &'static str, slice: Option<wire::Slice>) -> Checked<Slice> {
    let slice = need(field, slice)?;
    if u64::from(slice.start) + u64::from(slice.replicas) > i32::MAX as u64 {
        let found = format!("{} + {}", slice.start, slice.replicas);
        return Err(Error::Form { field, found, expected: "start + replicas at most 2147483647" });
    }
    Ok(Slice { start: slice.start, replicas: slice.replicas })
}

/// A step of handoff.md section 5, or 0.
pub(super) fn step(step: u32) -> Checked<u32> {
    if step <= 13 {
        return Ok(step);
    }
    Err(Error::Form { field: "step", found: step.to_string(), expected: "0 to 13" })
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
