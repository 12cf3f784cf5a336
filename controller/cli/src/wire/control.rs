//! From the wire to what is shown, for control: pauses, certificates, the audit log, storage.
//!
//! Copied field by field and cleaned of control characters, as everything that may come from a cluster. What is empty on
//! the wire stays empty here; a time that is zero there is none here. The shapes say what that means.
//! Nothing is decided or left out on the way.

use ferry_proto::admin::v1 as pb;
use jiff::Timestamp;

use super::{at, clean};
use crate::shape;

fn cleaned(from: &[String]) -> Vec<String> {
    from.iter().map(|text| clean(text)).collect()
}

/// What a person asked of a migration.
pub(super) fn control(from: pb::Control) -> shape::Control {
    shape::Control {
        paused_by: clean(&from.paused_by),
        paused_at: at(from.paused_unix_ms),
        stopped: from.stopped,
        rollback: clean(&from.rollback),
        rollback_by: clean(&from.rollback_by),
    }
}

/// A certificate.
pub(super) fn certificate(from: pb::Certificate) -> shape::Certificate {
    shape::Certificate {
        cluster: clean(&from.cluster),
        issued_at: at(from.issued_unix_ms),
        stateful_set_gone: from.stateful_set_gone,
        recreated_by: clean(&from.recreated_by),
        pods: cleaned(&from.pods),
        claims: cleaned(&from.claims),
        pvs: cleaned(&from.pv_names),
        attachments: cleaned(&from.attachments),
        tombstones: cleaned(&from.tombstones),
        accepted: from.accepted,
        by_hand: cleaned(&from.by_hand),
    }
}

/// A page of the audit log.
pub(crate) fn audit(from: pb::ListAuditResponse) -> shape::AuditPage {
    let record = |from: pb::AuditRecord| shape::AuditRecord {
        number: from.number,
        at: Timestamp::from_millisecond(from.at_unix_ms).unwrap_or_default(),
        by: clean(&from.by),
        action: clean(&from.action),
        subject: clean(&from.subject),
        migration: clean(&from.migration),
        result: clean(&from.result),
        message: clean(&from.message),
    };
    shape::AuditPage {
        items: from.records.into_iter().map(record).collect(),
        next_before: (from.next_before != 0).then_some(from.next_before),
    }
}

/// A storage domain.
pub(crate) fn storage_domain(from: pb::StorageDomain) -> shape::StorageDomain {
    shape::StorageDomain {
        cluster: clean(&from.cluster),
        driver: clean(&from.driver),
        domain: clean(&from.domain),
    }
}

/// A mapping of StorageClasses.
pub(crate) fn storage_map(from: pb::StorageMap) -> shape::StorageMap {
    shape::StorageMap {
        from: clean(&from.from),
        to: clean(&from.to),
        namespace: clean(&from.namespace),
        from_class: clean(&from.from_class),
        to_class: clean(&from.to_class),
    }
}

/// A mapping on its way to the controller.
pub(crate) fn storage_map_of(from: shape::StorageMap) -> pb::StorageMap {
    let shape::StorageMap { from, to, namespace, from_class, to_class } = from;
    pb::StorageMap { from, to, namespace, from_class, to_class }
}

/// A probe that came through.
pub(crate) fn storage_probe(from: &pb::StorageProbe) -> shape::StorageProbe {
    shape::StorageProbe {
        name: clean(&from.name),
        steps: from.steps.iter().map(|step| clean(step)).collect(),
    }
}
