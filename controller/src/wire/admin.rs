//! What people see and ask: views of the core as the admin API's messages, and their filters back.
//!
//! Answers are copied field by field and cannot fail. Requests are checked: an empty filter means any, everything
//! else must be a name, because it will be compared with names. An order of another version is refused rather than
//! taken for the default.

use ferry_core::{
    ClusterName, Migration, Millis, Order, OrdinalProgress, Phase, Plan, Rejection, Workload,
    facts::{Finding, Severity},
    input::{MigrationFilter, PlanRequest, VolumeFilter},
    migration::{StepTime, UnknownOutcome, step_name},
    reply::{ClusterView, VolumeView},
};
use ferry_proto::admin::v1 as wire;

use super::{
    check::{Error, label, name},
    control,
};

pub(super) fn unix_ms(at: Millis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn optional_unix_ms(at: Option<Millis>) -> i64 {
    at.map_or(0, unix_ms)
}

/// A cluster.
#[must_use]
pub fn cluster_view(from: ClusterView) -> wire::Cluster {
    wire::Cluster {
        name: from.name.0,
        uid: from.uid,
        attached: from.attached,
        kubernetes_version: from.kubernetes_version,
        agent_version: from.agent_version,
        nodes: from.nodes,
        nodes_ready: from.nodes_ready,
        last_seen_unix_ms: unix_ms(from.last_seen),
        message: from.message,
        api_server_ok: from.api_server_ok,
        workloads: from.workloads,
        volumes: from.volumes,
        watch_lag_ms: from.watch_lag_ms,
    }
}

/// A volume.
#[must_use]
pub fn volume_view(from: VolumeView) -> wire::Volume {
    wire::Volume {
        domain: from.id.domain,
        driver: from.id.driver,
        handle: from.id.handle,
        cluster: from.cluster.map(|cluster| cluster.0).unwrap_or_default(),
        pv_name: from.pv_name,
        claim_name: from.claim_name,
        namespace: from.workload.namespace,
        workload: from.workload.name,
        ordinal: from.ordinal,
        epoch: from.epoch.0,
        state: from.state,
        message: from.message,
    }
}

/// A plan.
#[must_use]
pub fn plan(from: Plan) -> wire::Plan {
    wire::Plan {
        hash: from.hash.map(|hash| hash.0).unwrap_or_default(),
        namespace: from.workload.namespace,
        workload: from.workload.name,
        from: from.from.0,
        to: from.to.0,
        order: to_order(from.order).into(),
        ordinals: from.ordinals,
        findings: from.findings.into_iter().map(finding).collect(),
        budget: from.budget,
        volumes: from
            .volumes
            .into_iter()
            .map(|from| wire::PlannedVolume {
                ordinal: from.ordinal,
                claim: from.claim,
                pv_name: from.pv_name,
                driver: from.driver,
                handle: from.handle,
            })
            .collect(),
        writes: from
            .writes
            .into_iter()
            .map(|from| wire::PlannedWrite { cluster: from.cluster.0, write: from.write })
            .collect(),
        expires_unix_ms: unix_ms(from.expires_at),
        storage_classes: from.storage_classes.into_iter().collect(),
        deadlines: control::deadlines(&from.deadlines),
        on_failure: control::on_failure(from.on_failure).into(),
    }
}

fn finding(from: Finding) -> wire::Finding {
    let severity = match from.severity {
        Severity::Note => "note",
        Severity::Warn => "warn",
        Severity::Refuse => "refuse",
    };
    wire::Finding {
        check: from.check,
        code: from.code,
        severity: severity.to_owned(),
        subject: from.subject,
        found: from.found,
        expected: from.expected,
        remedy: from.remedy,
        cluster: from.cluster,
    }
}

/// A migration.
#[must_use]
pub fn migration(from: &Migration) -> wire::Migration {
    let phase = match from.phase {
        Phase::Preparing => wire::Phase::Preparing,
        Phase::Running => wire::Phase::Running,
        Phase::Completed => wire::Phase::Completed,
        Phase::Paused => wire::Phase::Paused,
        Phase::Refused => wire::Phase::Refused,
        Phase::RolledBack => wire::Phase::RolledBack,
    };
    wire::Migration {
        id: from.id.0.clone(),
        namespace: from.workload.namespace.clone(),
        workload: from.workload.name.clone(),
        from: from.from.0.clone(),
        to: from.to.0.clone(),
        order: to_order(from.order).into(),
        phase: phase.into(),
        message: from.message.clone(),
        ordinals: from.ordinals.iter().map(ordinal).collect(),
        started_unix_ms: unix_ms(from.started_at),
        ended_unix_ms: optional_unix_ms(from.ended_at),
        plan_hash: from.plan_hash.0.clone(),
        started_by: from.started_by.clone(),
        control: control::control(&from.control),
        certificate: from.certificate.as_deref().map(control::certificate),
        deadlines: control::deadlines(&from.deadlines),
        on_failure: control::on_failure(from.on_failure).into(),
        unknown: from.unknown.iter().map(unknown).collect(),
    }
}

fn unknown(from: &UnknownOutcome) -> wire::UnknownOutcome {
    wire::UnknownOutcome {
        cluster: from.cluster.0.clone(),
        message: from.message.clone(),
        unproven_nodes: from.unproven.clone(),
    }
}

fn ordinal(from: &OrdinalProgress) -> wire::OrdinalProgress {
    wire::OrdinalProgress {
        ordinal: from.ordinal,
        step: from.step,
        step_name: step_name(from.step).to_owned(),
        message: from.message.clone(),
        started_unix_ms: optional_unix_ms(from.started_at),
        ended_unix_ms: optional_unix_ms(from.ended_at),
        steps: from.steps.iter().map(step_time).collect(),
    }
}

fn step_time(from: &StepTime) -> wire::StepTime {
    wire::StepTime {
        step: from.step,
        started_unix_ms: unix_ms(from.started_at),
        ended_unix_ms: optional_unix_ms(from.ended_at),
        message: from.message.clone(),
    }
}

/// A refusal of the domain.
#[must_use]
pub fn rejection(from: &Rejection) -> wire::Rejection {
    wire::Rejection {
        code: from.code().to_owned(),
        message: from.to_string(),
        transient: from.is_transient(),
    }
}

fn to_order(from: Order) -> wire::Order {
    match from {
        Order::HighestFirst => wire::Order::HighestFirst,
        Order::LowestFirst => wire::Order::LowestFirst,
    }
}

/// The order of a request; unspecified is highest first (admin.proto).
pub fn order(from: i32) -> Result<Order, Error> {
    match wire::Order::try_from(from) {
        Ok(wire::Order::Unspecified | wire::Order::HighestFirst) => Ok(Order::HighestFirst),
        Ok(wire::Order::LowestFirst) => Ok(Order::LowestFirst),
        Err(_) => Err(Error::Enum { field: "order", found: from }),
    }
}

/// What to move, and where.
pub fn plan_request(from: wire::CreatePlanRequest) -> Result<PlanRequest, Error> {
    Ok(PlanRequest {
        workload: Workload {
            namespace: label("namespace", from.namespace)?,
            name: name("workload", from.workload)?,
        },
        from: optional(from.from, |text| Ok(ClusterName(label("from", text)?)))?,
        to: ClusterName(label("to", from.to)?),
        order: order(from.order)?,
        ordinals: control::chosen_ordinals(from.ordinals)?,
        storage_classes: control::storage_classes(from.storage_classes)?,
        deadlines: control::chosen_deadlines(from.deadlines)?,
        on_failure: control::chosen_on_failure(from.on_failure)?,
    })
}

/// Which volumes.
pub fn volume_filter(from: wire::ListVolumesRequest) -> Result<VolumeFilter, Error> {
    Ok(VolumeFilter {
        namespace: optional(from.namespace, |text| label("namespace", text))?,
        workload: optional(from.workload, |text| name("workload", text))?,
        cluster: optional(from.cluster, |text| Ok(ClusterName(label("cluster", text)?)))?,
    })
}

/// Which migrations.
pub fn migration_filter(from: wire::ListMigrationsRequest) -> Result<MigrationFilter, Error> {
    Ok(MigrationFilter {
        namespace: optional(from.namespace, |text| label("namespace", text))?,
        workload: optional(from.workload, |text| name("workload", text))?,
    })
}

pub(super) fn optional<T>(
    text: String,
    check: impl FnOnce(String) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    if text.is_empty() { Ok(None) } else { check(text).map(Some) }
}
