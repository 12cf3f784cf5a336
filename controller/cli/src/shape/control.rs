//! The shapes of control: what a person asked of a migration, its certificate, the audit log, storage, and checks.
//!
//! As in the rest of [`super`]: camelCase names, enums as lowercase words, `null` for what is not there. A certificate is
//! evidence from the source cluster at one moment, not a state that is kept up to date.
//! Conversions from the wire are in [`crate::wire`], rendering is elsewhere too.

use jiff::Timestamp;
use serde::Serialize;

use super::{instant, optional_instant};

/// What a person asked of a running migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Control {
    /// Identity of who paused it; empty when nobody did.
    pub(crate) paused_by: String,
    /// When that was asked.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) paused_at: Option<Timestamp>,
    /// Whether it has come to its safe point.
    pub(crate) stopped: bool,
    /// What is given back: empty, `ordinal` or `all`.
    pub(crate) rollback: String,
    /// Identity of who asked for that.
    pub(crate) rollback_by: String,
}

/// What the source holds of a workload that has moved away whole: `ferry finish`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Certificate {
    /// The source.
    pub(crate) cluster: String,
    /// When it was looked at.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) issued_at: Option<Timestamp>,
    /// Whether the StatefulSet is gone.
    pub(crate) stateful_set_gone: bool,
    /// Who made it anew while the name was watched; empty when nobody did.
    pub(crate) recreated_by: String,
    /// Pods found.
    pub(crate) pods: Vec<String>,
    /// Claims found, tombstones apart.
    pub(crate) claims: Vec<String>,
    /// PersistentVolumes found.
    pub(crate) pvs: Vec<String>,
    /// VolumeAttachments found.
    pub(crate) attachments: Vec<String>,
    /// Tombstones that stand.
    pub(crate) tombstones: Vec<String>,
    /// Whether a person accepted the end.
    pub(crate) accepted: bool,
    /// What is left to do by hand.
    pub(crate) by_hand: Vec<String>,
}

impl Certificate {
    /// Whether the source holds nothing of the workload but tombstones.
    pub(crate) fn is_clean(&self) -> bool {
        self.stateful_set_gone
            && self.recreated_by.is_empty()
            && [&self.pods, &self.claims, &self.pvs, &self.attachments].iter().all(|found| found.is_empty())
    }
}

/// One page of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditPage {
    /// Newest first.
    pub(crate) items: Vec<AuditRecord>,
    /// Ask with `--before` this for older ones; `null` when there are none.
    pub(crate) next_before: Option<u64>,
}

/// Who did what.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditRecord {
    /// Its number: rises by one with each record.
    pub(crate) number: u64,
    /// When.
    #[serde(serialize_with = "instant")]
    pub(crate) at: Timestamp,
    /// Identity of who asked for it; `controller` for what followed from that.
    pub(crate) by: String,
    /// `create-token`, `start-migration`, `owner-changed`, …
    pub(crate) action: String,
    /// On what.
    pub(crate) subject: String,
    /// The migration it belongs to; empty if to none.
    pub(crate) migration: String,
    /// `done`, or the code of the refusal.
    pub(crate) result: String,
    /// In words.
    pub(crate) message: String,
}

/// The storage domain of one driver in one cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageDomain {
    /// The cluster.
    pub(crate) cluster: String,
    /// The CSI driver.
    pub(crate) driver: String,
    /// The domain.
    pub(crate) domain: String,
}

/// A StorageClass of one cluster that stands for one of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageMap {
    /// The source.
    pub(crate) from: String,
    /// The target.
    pub(crate) to: String,
    /// Namespace it holds for; empty for all.
    pub(crate) namespace: String,
    /// StorageClass in the source.
    pub(crate) from_class: String,
    /// StorageClass in the target.
    pub(crate) to_class: String,
}

/// A scratch disk that was made in one cluster and read in another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageProbe {
    /// Name of its objects.
    pub(crate) name: String,
    /// What was done, in order.
    pub(crate) steps: Vec<String>,
}

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should see to it.
    Warn,
    /// It does not work.
    Fail,
}

/// One check of `ferry check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    /// What it belongs to: `client`, `controller`, or `cluster NAME`.
    pub(crate) group: String,
    /// Stable code.
    pub(crate) code: String,
    /// How it came out.
    pub(crate) verdict: Verdict,
    /// What was looked at, as a sentence that is true when it is ok.
    pub(crate) what: String,
    /// What was found; empty when it is as it should be and there is nothing to add.
    pub(crate) found: String,
    /// What to do; empty when nothing.
    pub(crate) remedy: String,
}

/// `ferry check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckReport {
    /// Whether nothing failed; warnings do not count.
    pub(crate) ok: bool,
    /// In the order in which they were made.
    pub(crate) checks: Vec<Check>,
}
