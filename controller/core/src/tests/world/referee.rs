//! Looks at all clusters at once, knows nothing of the ledger, and says what is wrong.
//!
//! It shares no code with the core and reads the model's tables only, after every single write of an agent. So a command
//! that should never have been sent is seen at the moment it does harm, whatever the ledger believes. The model has one
//! truth at a time, so one look is enough; real clusters need two.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Cluster;
use super::db;
use crate::{ClusterName, CommandBody};

/// I1 to I3, and that no disk is lost.
pub(super) fn look(clusters: &BTreeMap<ClusterName, Cluster>) {
    let mut usable: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    let mut pods: BTreeMap<u32, &ClusterName> = BTreeMap::new();
    let mut wanted: BTreeSet<u32> = BTreeSet::new();
    for (name, cluster) in clusters {
        for (pv_name, pv) in &cluster.pvs {
            if cluster.is_bound(pv_name) {
                let other = usable.insert(&pv.handle, name);
                assert!(other.is_none(), "I1: {} is usable in {other:?} and {name}", pv.handle);
            }
        }
        for ordinal in cluster.pods.keys() {
            let other = pods.insert(*ordinal, name);
            assert!(other.is_none(), "I2: ordinal {ordinal} runs in {other:?} and {name}");
            let bound = cluster.claims_of(*ordinal).iter().all(|claim| {
                cluster
                    .claims
                    .get(claim)
                    .is_some_and(|claim| claim.volume.as_ref().is_some_and(|pv| cluster.pvs.contains_key(pv)))
            });
            assert!(bound, "H13: pod {ordinal} runs in {name} without its disks");
        }
        for ordinal in cluster.set.iter().flat_map(|set| set.slice.ordinals()) {
            assert!(wanted.insert(ordinal), "I3: ordinal {ordinal} is in two slices");
        }
    }
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return };
    let gaps = (*first..=*last).filter(|ordinal| !wanted.contains(ordinal)).count();
    assert!(gaps <= 1, "I3: {gaps} ordinals are missing between {first} and {last}");
}

/// When the source's last trace of an ordinal goes, every cluster must resolve it to one pod, outside the source.
pub(super) fn endpoints_converged(
    clusters: &BTreeMap<ClusterName, Cluster>,
    source: &ClusterName,
    retire: &CommandBody,
) {
    let CommandBody::Retire { ordinal, .. } = retire else { return };
    let hostname = db().pod(*ordinal);
    for (name, cluster) in clusters.iter().filter(|(_, cluster)| cluster.governed) {
        let own = cluster.endpoints();
        let resolved: Vec<&str> = cluster
            .mirrored
            .values()
            .flatten()
            .chain(&own)
            .filter(|endpoint| endpoint.hostname == hostname)
            .map(|endpoint| endpoint.address.as_str())
            .collect();
        let outside = resolved.iter().all(|address| !address.starts_with(&clusters[source].prefix()));
        assert!(outside && resolved.len() == 1, "gate: {name} resolves {hostname} to {resolved:?}");
    }
}
