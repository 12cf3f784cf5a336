//! The ledger's volumes, for people.
//!
//! One line for each volume: who owns it, where it shows, under which epoch, and what keeps it from moving. A conflict
//! is told with both places, because which of the two is wrong only a person can say. Nothing is decided from these
//! words; the planner and `drive` ask the ledger itself.

use crate::ids::{ClusterName, Epoch};
use crate::input::VolumeFilter;
use crate::reply::VolumeView;
use crate::volume::{Custody, Ledger, OrdinalRecord, VolumeRecord};

/// The volumes that the filter lets through, by domain, driver and handle.
pub(crate) fn list(ledger: &Ledger, filter: &VolumeFilter) -> Vec<VolumeView> {
    ledger
        .volumes
        .iter()
        .map(|(id, record)| {
            let ordinal = ledger
                .workloads
                .get(&record.workload)
                .and_then(|workload| workload.ordinals.get(&record.ordinal))
                .filter(|ordinal| ordinal.volumes.contains(id));
            let mut view = view(record, ordinal);
            view.id = id.clone();
            view
        })
        .filter(|view| matches(filter, ledger, view))
        .collect()
}

fn matches(filter: &VolumeFilter, ledger: &Ledger, view: &VolumeView) -> bool {
    let shown_in = |cluster: &ClusterName| {
        view.cluster.as_ref() == Some(cluster)
            || ledger.volumes.get(&view.id).is_some_and(|record| record.sightings.contains_key(cluster))
    };
    filter.namespace.as_ref().is_none_or(|namespace| *namespace == view.workload.namespace)
        && filter.workload.as_ref().is_none_or(|name| *name == view.workload.name)
        && filter.cluster.as_ref().is_none_or(shown_in)
}

fn view(record: &VolumeRecord, ordinal: Option<&OrdinalRecord>) -> VolumeView {
    let shown = record.usable_in().next().or_else(|| record.sightings.keys().next()).cloned();
    let (cluster, mut state) = match ordinal.map(|ordinal| &ordinal.custody) {
        None => (shown.clone(), "owned".to_owned()),
        Some(Custody::Owned { cluster }) => (Some(cluster.clone()), "owned".to_owned()),
        Some(Custody::Releasing { from, to }) => (None, format!("releasing {from} to {to}")),
        Some(Custody::Granted { to, .. }) => (None, format!("granted {to}")),
        Some(Custody::Reclaiming { from, .. }) => (None, format!("reclaiming {from}")),
    };
    let mut message = match state.as_str() {
        "owned" => String::new(),
        _ => "it is on its way: wait for its migration to end".to_owned(),
    };
    if record.missing_since.is_some() {
        state = "missing".to_owned();
        message = "no attached cluster shows a PersistentVolume of it: find out who deleted it".to_owned();
    }
    if record.is_in_conflict() {
        state = "conflict".to_owned();
        message = conflict_message(record);
    }
    let sighting = cluster.as_ref().or(shown.as_ref()).and_then(|cluster| record.sightings.get(cluster));
    VolumeView {
        pv_name: sighting.map(|sighting| sighting.pv_name.clone()).unwrap_or_default(),
        claim_name: sighting.map(|sighting| sighting.claim_name.clone()).unwrap_or_default(),
        cluster,
        workload: record.workload.clone(),
        ordinal: record.ordinal,
        epoch: ordinal.map_or(Epoch(1), |ordinal| ordinal.epoch),
        state,
        message,
        ..VolumeView::default()
    }
}

/// Where a volume is usable although it must be usable in one cluster only, and what to do.
pub(crate) fn conflict_message(record: &VolumeRecord) -> String {
    let places: Vec<String> = record
        .sightings
        .iter()
        .filter(|(_, sighting)| sighting.usable)
        .map(|(cluster, sighting)| format!("{cluster} (PersistentVolume {})", sighting.pv_name))
        .collect();
    format!(
        "usable in {}; expected in one cluster only: stop what uses it in one of them and delete the \
         PersistentVolume there, its reclaim policy being Retain",
        places.join(" and in ")
    )
}
