//! What the commands show, and exactly what `-o json` prints.
//!
//! The shapes are the command's promise to scripts, kept apart from the wire so that either may change without the
//! other: names are camelCase as in Kubernetes' own JSON, enums are lowercase strings, times are RFC 3339 in UTC with
//! milliseconds, and what is not there is `null` rather than zero. Lists are an object with `items`. Fields may be
//! added; none is renamed or removed. Conversions from the wire are in [`crate::wire`].

mod control;
mod plan;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub(crate) use control::{
    AuditPage, AuditRecord, Certificate, Check, CheckReport, Control, StorageDomain, StorageMap,
    StorageProbe, Verdict,
};
pub(crate) use plan::{Deadline, Finding, OnFailure, Order, Plan, PlannedVolume, PlannedWrite, Severity};

/// A list, as `kubectl get -o json` prints one.
#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    /// In the order of the table.
    pub(crate) items: Vec<T>,
}

/// `ferry version`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    /// Version of this command.
    pub(crate) client: String,
    /// The controller, if it was asked and answered.
    pub(crate) server: Option<Server>,
}

/// The controller.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    /// Host and port it was reached at.
    pub(crate) address: String,
    /// Its version.
    pub(crate) version: String,
    /// Who it says we are.
    pub(crate) identity: String,
    /// Its trust domain.
    pub(crate) trust_domain: String,
}

/// `ferry token create`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    /// The token, whole.
    pub(crate) token: String,
    /// Until when it may be redeemed, once.
    #[serde(serialize_with = "instant")]
    pub(crate) expires_at: Timestamp,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    /// Name.
    pub(crate) name: String,
    /// UID of its namespace kube-system.
    pub(crate) uid: String,
    /// Whether its agent is attached now.
    pub(crate) attached: bool,
    /// Whether its API server answers the agent.
    pub(crate) api_server_ok: bool,
    /// `gitVersion` of its API server.
    pub(crate) kubernetes_version: String,
    /// Version of its agent.
    pub(crate) agent_version: String,
    /// Nodes.
    pub(crate) nodes: u32,
    /// Nodes Ready.
    pub(crate) nodes_ready: u32,
    /// StatefulSets.
    pub(crate) workloads: u32,
    /// Volumes of StatefulSets.
    pub(crate) volumes: u32,
    /// Age of the agent's oldest watch, in milliseconds.
    pub(crate) watch_lag_ms: u64,
    /// Last sign of life of its agent.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) last_seen_at: Option<Timestamp>,
    /// What is wrong; empty when nothing is.
    pub(crate) message: String,
}

/// One volume of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    /// Storage domain.
    pub(crate) domain: String,
    /// CSI driver.
    pub(crate) driver: String,
    /// `volumeHandle`.
    pub(crate) handle: String,
    /// The cluster that owns it; empty while it is on its way.
    pub(crate) cluster: String,
    /// PersistentVolume there.
    pub(crate) pv: String,
    /// Claim there.
    pub(crate) claim: String,
    /// Namespace of the workload.
    pub(crate) namespace: String,
    /// Name of the StatefulSet.
    pub(crate) workload: String,
    /// Ordinal.
    pub(crate) ordinal: u32,
    /// Epoch of the ordinal.
    pub(crate) epoch: u64,
    /// `owned`, `releasing east to west`, `granted west`, `conflict` or `missing`.
    pub(crate) state: String,
    /// Why it may not move; empty when it may.
    pub(crate) message: String,
}

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Both clusters are made ready.
    Preparing,
    /// Ordinals move.
    Running,
    /// All are with the target.
    Completed,
    /// It stopped, or waits for a person.
    Paused,
    /// Given up before anything moved.
    Refused,
    /// Everything was given back.
    RolledBack,
}

impl Phase {
    /// As `-o json` prints it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Paused => "paused",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// One migration: `ferry get`, and each line of `watch -o json` and `migrate -o json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Migration {
    /// `<workload>-<n>`.
    pub(crate) id: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// Name of the StatefulSet.
    pub(crate) workload: String,
    /// From this cluster.
    pub(crate) from: String,
    /// To this cluster.
    pub(crate) to: String,
    /// Order.
    pub(crate) order: Order,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// What it waits for or why it stopped; empty when it simply runs.
    pub(crate) message: String,
    /// Hash of its plan.
    pub(crate) plan_hash: String,
    /// Start.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) started_at: Option<Timestamp>,
    /// End; `null` while it runs.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) ended_at: Option<Timestamp>,
    /// Every ordinal, in the order it moves.
    pub(crate) ordinals: Vec<Ordinal>,
    /// Identity of who started it; empty if the controller does not say.
    pub(crate) started_by: String,
    /// What a person asked of it since; `null` when nothing.
    pub(crate) control: Option<Control>,
    /// What `finish` found; `null` before.
    pub(crate) certificate: Option<Certificate>,
    /// The deadline of each step that has one.
    pub(crate) deadlines: Vec<Deadline>,
    /// What follows when the target does not run a replica by its deadline.
    pub(crate) on_failure: OnFailure,
    /// Commands of which nobody can tell whether they were carried out.
    pub(crate) unknown: Vec<Unknown>,
}

/// A command whose outcome is not known: neither success nor failure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unknown {
    /// The cluster that was asked.
    pub(crate) cluster: String,
    /// What is not known, and what to do.
    pub(crate) message: String,
    /// Nodes whose own proof will not come: what `ferry attest fenced` takes.
    pub(crate) unproven_nodes: Vec<String>,
}

impl Migration {
    /// Whether nothing more will come.
    pub(crate) fn ended(&self) -> bool {
        self.ended_at.is_some() || matches!(self.phase, Phase::Completed | Phase::Refused | Phase::RolledBack)
    }

    /// Ordinals that are with the target; one that was given back is not.
    pub(crate) fn moved(&self) -> usize {
        self.ordinals
            .iter()
            .filter(|ordinal| ordinal.step == crate::steps::DONE && ordinal.ended_at.is_some())
            .count()
    }
}

/// One ordinal of a migration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ordinal {
    /// The ordinal.
    pub(crate) ordinal: u32,
    /// 0 not begun, 1 to 13 as in the handoff protocol, 14 done.
    pub(crate) step: u32,
    /// The step's name.
    pub(crate) step_name: String,
    /// What the step waits for.
    pub(crate) message: String,
    /// When its handoff began.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) ended_at: Option<Timestamp>,
    /// Each step that began.
    pub(crate) steps: Vec<Step>,
}

/// One step's times.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// 1 to 13.
    pub(crate) step: u32,
    /// Its name.
    pub(crate) name: String,
    /// Began.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) started_at: Option<Timestamp>,
    /// Ended.
    #[serde(serialize_with = "optional_instant")]
    pub(crate) ended_at: Option<Timestamp>,
    /// What was done: the evidence, in words.
    pub(crate) message: String,
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

fn optional_instant<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => instant(at, serializer),
        None => serializer.serialize_none(),
    }
}
