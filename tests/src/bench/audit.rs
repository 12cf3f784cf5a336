//! What the API servers say of who called them, and when: their audit logs.
//!
//! The log is asked for on the command line of the API server, for the users that are measured only, at the level that
//! leaves objects out. A line has the time at which the request was received, before anything was done for it: that is
//! when a client acted, by a clock that is not the client's. Both API servers and the outside watcher share one
//! machine, so their times compare.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::world::Cluster;

/// Verbs that change something.
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cluster whose API server was called.
    pub cluster: String,
    /// When the request was received.
    pub at: Timestamp,
    /// Who called.
    pub user: String,
    /// Verb of the request: `get`, `patch`...
    pub verb: String,
    /// Resource in the plural.
    pub resource: String,
    /// Namespace; empty for a kind that has none.
    pub namespace: String,
    /// Name; empty for a collection, and for a creation whose URL names none.
    pub name: String,
    /// HTTP status.
    pub code: u16,
    /// Whether it was a rehearsal: nothing was written.
    pub dry_run: bool,
}

impl Call {
    /// Whether it changed something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.verb.as_str()) && !self.dry_run && self.code < 300
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    request_received_timestamp: Timestamp,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    object_ref: Reference,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
struct Reference {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// The calls in an API server's log, in the order of their reception. A watch counts when it begins.
///
/// # Errors
/// The log cannot be read, or a line is none.
pub fn read(cluster: &str, log: &Path) -> Result<Vec<Call>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("no audit log {}", log.display()))?;
    let mut calls = Vec::new();
    // The last line may still be under way.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let line: Line = serde_json::from_str(line).with_context(|| format!("audit log: {line}"))?;
        let is_watch = line.verb == "watch";
        let counts = if is_watch { "ResponseStarted" } else { "ResponseComplete" };
        if line.stage != counts {
            continue;
        }
        calls.push(Call {
            cluster: cluster.to_owned(),
            at: line.request_received_timestamp,
            user: line.user.username,
            verb: line.verb,
            resource: line.object_ref.resource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.code,
            dry_run: line.request_uri.contains("dryRun=All"),
        });
    }
    calls.sort_by_key(|call| call.at);
    Ok(calls)
}

/// Restarts the cluster's API server so that it logs the calls of these users; the log's path.
///
/// # Errors
/// It does not come back.
pub async fn begin(cluster: &Cluster, dir: &Path, users: &[&str]) -> Result<PathBuf> {
    let log = dir.join(format!("audit-{}.log", cluster.name()));
    let policy = dir.join("audit-policy.json");
    let rules = json!([{"level": "Metadata", "users": users}, {"level": "None"}]);
    let text = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": rules,
    });
    std::fs::write(&policy, text.to_string())?;
    let process = cluster.process("kube-apiserver");
    let mut spec = process.spec()?;
    spec.command.push(format!("--audit-policy-file={}", policy.display()));
    spec.command.push(format!("--audit-log-path={}", log.display()));
    process.kill()?;
    process.launch(&spec)?;
    cluster.wait_api().await?;
    Ok(log)
}
