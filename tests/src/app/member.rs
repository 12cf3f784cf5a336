//! What one etcd member says of itself: how far its log is, and whether it was filled from its peers.
//!
//! Raft refills an empty member and so hides a lost disk; the count of snapshots received and a log that went
//! back give it away. The member is asked directly, at its pod's address: a client of the whole would be
//! answered by whoever is well.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::etcd::CLIENT_PORT;

/// Time for one question.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A member at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Index of its raft log.
    pub raft_index: u64,
    /// Snapshots it received from peers since its process started.
    pub snapshots_received: u64,
}

/// Asks the member at this pod address.
///
/// # Errors
/// It does not answer, or not as etcd does.
pub async fn status(address: IpAddr) -> Result<Status> {
    let member = SocketAddr::new(address, CLIENT_PORT);
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
    let ask = http.post(format!("http://{member}/v3/maintenance/status")).json(&json!({}));
    let status: Value = ask.send().await?.error_for_status()?.json().await?;
    let raft_index = status.get("raftIndex").and_then(Value::as_str).context("no raftIndex")?.parse()?;
    let metrics =
        http.get(format!("http://{member}/metrics")).send().await?.error_for_status()?.text().await?;
    Ok(Status { raft_index, snapshots_received: sum(&metrics, "etcd_network_snapshot_receive_success") })
}

/// Sum of a counter over its labels, in Prometheus' text format; a counter that never counted is absent.
fn sum(metrics: &str, name: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .map(|value| value as u64)
        .sum()
}
