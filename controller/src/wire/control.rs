//! Control and what goes with it, both ways: subsets, mappings and deadlines of a plan; what a person asked of a migration; its
//! certificate; the audit log; storage domains and maps.
//!
//! What a person asks for is checked for its form here (a name is a name, a step is a step); whether it makes sense is for the
//! core to say, with the reason in the plan or the rejection. Lists are bounded before they are looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ferry_core::{
    Certificate, ClusterName, Control, MigrationId, OnFailure, Ordinal, StorageDomain, StorageMap,
    input::ProbeRequest, limits as core_limits, migration::step_name,
};
use ferry_proto::admin::v1 as wire;

use super::{
    admin::{optional, unix_ms},
    check::{Error, driver, label, name, optional_name, some_identifier},
};
use crate::{
    event_loop::{AuditPage, AuditQuery},
    limits,
};

/// Steps of handoff.md section 5.
const STEPS: std::ops::RangeInclusive<u32> = 1..=13;

pub(super) fn deadlines(from: &BTreeMap<u32, u64>) -> Vec<wire::StepDeadline> {
    let one = |(step, deadline_ms): (&u32, &u64)| wire::StepDeadline {
        step: *step,
        step_name: step_name(*step).to_owned(),
        deadline_ms: *deadline_ms,
    };
    from.iter().map(one).collect()
}

pub(super) fn on_failure(from: OnFailure) -> wire::OnFailure {
    match from {
        OnFailure::Pause => wire::OnFailure::Pause,
        OnFailure::Rollback => wire::OnFailure::Rollback,
    }
}

/// Unspecified is pause (admin.proto): clients that know no policy ask for none.
pub(super) fn chosen_on_failure(from: i32) -> Result<OnFailure, Error> {
    match wire::OnFailure::try_from(from) {
        Ok(wire::OnFailure::Unspecified | wire::OnFailure::Pause) => Ok(OnFailure::Pause),
        Ok(wire::OnFailure::Rollback) => Ok(OnFailure::Rollback),
        Err(_) => Err(Error::Enum { field: "on_failure", found: from }),
    }
}

pub(super) fn control(from: &Control) -> Option<wire::Control> {
    if *from == Control::default() {
        return None;
    }
    let (rollback, asked) = match (&from.rollback, &from.undo) {
        (Some(asked), _) => ("all", Some(asked)),
        (None, Some(asked)) => ("ordinal", Some(asked)),
        (None, None) => ("", None),
    };
    Some(wire::Control {
        paused_by: from.paused.as_ref().map(|asked| asked.by.clone()).unwrap_or_default(),
        paused_unix_ms: from.paused.as_ref().map_or(0, |asked| unix_ms(asked.at)),
        stopped: from.stopped,
        rollback: rollback.to_owned(),
        rollback_by: asked.map(|asked| asked.by.clone()).unwrap_or_default(),
    })
}

pub(super) fn certificate(from: &Certificate) -> wire::Certificate {
    let found = &from.found;
    wire::Certificate {
        cluster: from.cluster.0.clone(),
        issued_unix_ms: unix_ms(from.at),
        stateful_set_gone: found.stateful_set_gone,
        recreated_by: found.recreated_by.clone(),
        pods: found.pods.clone(),
        claims: found.claims.clone(),
        pv_names: found.pvs.clone(),
        attachments: found.attachments.clone(),
        tombstones: found.tombstones.clone(),
        accepted: found.accepted,
        by_hand: found.by_hand.clone(),
    }
}

fn counted(field: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::Count { field, found, limit }) } else { Ok(()) }
}

pub(super) fn chosen_ordinals(from: Vec<u32>) -> Result<Vec<Ordinal>, Error> {
    counted("ordinals", from.len(), core_limits::ORDINALS)?;
    let found = from.len();
    let ordinals: BTreeSet<Ordinal> = from.into_iter().collect();
    if ordinals.len() < found {
        let expected = "each ordinal once";
        return Err(Error::Form { field: "ordinals", found: format!("{found} ordinals"), expected });
    }
    Ok(ordinals.into_iter().collect())
}

pub(super) fn storage_classes(from: HashMap<String, String>) -> Result<BTreeMap<String, String>, Error> {
    counted("storage_classes", from.len(), core_limits::STORAGE_SETTINGS)?;
    from.into_iter()
        .map(|(source, target)| Ok((name("storage_classes", source)?, name("storage_classes", target)?)))
        .collect()
}

pub(super) fn chosen_deadlines(from: Vec<wire::StepDeadline>) -> Result<BTreeMap<u32, u64>, Error> {
    counted("deadlines", from.len(), *STEPS.end() as usize)?;
    let mut deadlines = BTreeMap::new();
    for wire::StepDeadline { step, deadline_ms, .. } in from {
        let form = |field, found: u64, expected| Error::Form { field, found: found.to_string(), expected };
        if !STEPS.contains(&step) {
            return Err(form("deadlines.step", step.into(), "a step of a handoff, 1 to 13"));
        }
        let (least, most) = (core_limits::STEP_DEADLINE_LEAST_MS, core_limits::STEP_DEADLINE_MOST_MS);
        if !(least..=most).contains(&deadline_ms) {
            return Err(form("deadlines.deadline_ms", deadline_ms, "1 second to 7 days, in milliseconds"));
        }
        deadlines.insert(step, deadline_ms);
    }
    Ok(deadlines)
}

/// Which page of the audit log.
pub fn audit_query(from: wire::ListAuditRequest) -> Result<AuditQuery, Error> {
    let wire::ListAuditRequest { limit, before, migration } = from;
    if limit > limits::MAX_AUDIT_PAGE {
        let (found, limit) = (limit as usize, limits::MAX_AUDIT_PAGE as usize);
        return Err(Error::Count { field: "limit", found, limit });
    }
    let limit = if limit == 0 { limits::DEFAULT_AUDIT_PAGE } else { limit } as usize;
    let migration = optional(migration, |id| Ok(MigrationId(name("migration", id)?)))?;
    Ok(AuditQuery { limit, before: (before != 0).then_some(before), migration })
}

/// A page of the audit log.
#[must_use]
pub fn audit_page(from: AuditPage) -> wire::ListAuditResponse {
    let records = from.records.into_iter().map(|(number, record)| wire::AuditRecord {
        number,
        at_unix_ms: unix_ms(record.at),
        by: record.by,
        action: record.action,
        subject: record.subject,
        migration: record.migration.map(|id| id.0).unwrap_or_default(),
        result: record.result,
        message: record.message,
    });
    wire::ListAuditResponse { records: records.collect(), next_before: from.next_before.unwrap_or_default() }
}

/// A storage domain.
#[must_use]
pub fn domain(from: StorageDomain) -> wire::StorageDomain {
    wire::StorageDomain { cluster: from.cluster.0, driver: from.driver, domain: from.domain }
}

/// A storage domain to set.
pub fn domain_request(from: wire::SetStorageDomainRequest) -> Result<StorageDomain, Error> {
    Ok(StorageDomain {
        cluster: ClusterName(label("cluster", from.cluster)?),
        driver: name("driver", driver(from.driver)?)?,
        domain: optional_name("domain", from.domain)?,
    })
}

/// A mapping of StorageClasses.
#[must_use]
pub fn map(from: StorageMap) -> wire::StorageMap {
    wire::StorageMap {
        from: from.from.0,
        to: from.to.0,
        namespace: from.namespace.unwrap_or_default(),
        from_class: from.from_class,
        to_class: from.to_class,
    }
}

/// A mapping to set, or to take away: then its target class may be missing.
pub fn map_request(from: Option<wire::StorageMap>, removal: bool) -> Result<StorageMap, Error> {
    let from = from.ok_or(Error::Missing { field: "map" })?;
    Ok(StorageMap {
        from: ClusterName(label("map.from", from.from)?),
        to: ClusterName(label("map.to", from.to)?),
        namespace: optional(from.namespace, |text| label("map.namespace", text))?,
        from_class: name("map.from_class", from.from_class)?,
        to_class: if removal { String::new() } else { name("map.to_class", from.to_class)? },
    })
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;

/// A probe of the storage between two clusters.
pub fn probe_request(from: wire::ProbeStorageRequest) -> Result<ProbeRequest, Error> {
    Ok(ProbeRequest {
        from: ClusterName(label("from", from.from)?),
        to: ClusterName(label("to", from.to)?),
        namespace: label("namespace", from.namespace)?,
        from_class: name("from_class", from.from_class)?,
        to_class: name("to_class", from.to_class)?,
        image: some_identifier("image", from.image)?,
    })
}
