//! What there is now, in numbers: for metrics, never for a decision.
//!
//! Counted in one pass over the state and what is observed, without copies, because it is asked for every few seconds
//! between two inputs. Names of workloads and volumes stay out of it: their number has no bound that a time series
//! database would like. What people want to see by name is in the replies to their requests.

use std::collections::BTreeMap;

use crate::core::Core;
use crate::ids::ClusterName;
use crate::migration::Phase;
use crate::time::Millis;

/// What there is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Every cluster that was ever attached.
    pub clusters: BTreeMap<ClusterName, ClusterMeasure>,
    /// Migrations that are kept, in phases that some are in.
    pub migrations: Vec<(Phase, u64)>,
    /// Commands whose outcome is not known.
    pub commands_pending: u64,
    /// Volumes of the ledger.
    pub volumes: u64,
    /// Those that are usable in two clusters.
    pub volumes_in_conflict: u64,
    /// Those that no cluster shows.
    pub volumes_missing: u64,
}

/// One cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterMeasure {
    /// Whether its agent is attached.
    pub attached: bool,
    /// Whether its API server answers, as its agent said last.
    pub api_server_ok: bool,
    /// Age of its agent's oldest watch, in milliseconds.
    pub watch_lag_ms: u64,
    /// Last sign of life; else when it last attached.
    pub last_seen: Millis,
    /// StatefulSets.
    pub workloads: u64,
    /// Replicas of them that are asked for and not available.
    pub unavailable: u64,
}

/// Counts.
#[must_use]
pub fn measure(core: &Core) -> Measure {
    let (state, observed) = (core.state(), core.observed());
    let mut measure = Measure::default();
    for (name, record) in &state.clusters {
        let mut cluster = ClusterMeasure { last_seen: record.attached_at, ..ClusterMeasure::default() };
        if let Some(observed) = observed.clusters.get(name) {
            cluster.attached = observed.session.is_some();
            cluster.api_server_ok = cluster.attached && observed.health.api_server_ok;
            cluster.watch_lag_ms = observed.health.watch_lag_ms;
            cluster.last_seen = observed.last_seen;
            cluster.workloads = count(observed.workloads.len());
            cluster.unavailable = observed
                .workloads
                .values()
                .map(|workload| u64::from(workload.slice.replicas.saturating_sub(workload.available)))
                .sum();
        }
        measure.clusters.insert(name.clone(), cluster);
    }
    for migration in state.migrations.values() {
        match measure.migrations.iter_mut().find(|(phase, _)| *phase == migration.phase) {
            Some((_, number)) => *number += 1,
            None => measure.migrations.push((migration.phase, 1)),
        }
    }
    measure.commands_pending = count(
        state
            .work
            .values()
            .flat_map(|work| work.slots.values())
            .filter(|slot| slot.pending.is_some())
            .count(),
    );
    measure.volumes = count(state.ledger.volumes.len());
    for volume in state.ledger.volumes.values() {
        measure.volumes_in_conflict += u64::from(volume.is_in_conflict());
        measure.volumes_missing += u64::from(volume.missing_since.is_some());
    }
    measure
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
