//! Step 11: whether every importing cluster sees a replica where it is, and nowhere else (network.md, the gate).
//!
//! What a cluster resolves is its own endpoints and the mirrors that it confirmed. So once every cluster has
//! confirmed every other one's latest report, all of them see the same: the union of the reports. Pod readiness
//! counts, not the endpoint's condition (H21). Every failure says which cluster is waited for, and for what.

use std::collections::BTreeSet;

use crate::facts::Endpoint;
use crate::ids::{ClusterName, Ordinal, ServiceName, Workload};
use crate::migration::work::Handoff;
use crate::observed::{Observed, Version};

/// What is waited for.
pub(crate) type WaitsFor = String;

/// Every cluster has confirmed the latest report of every other one; the union of the reports.
fn settled_endpoints<'a>(
    observed: &'a Observed,
    service: &ServiceName,
    clusters: &BTreeSet<ClusterName>,
) -> Result<Vec<(&'a ClusterName, &'a Endpoint)>, WaitsFor> {
    let mut union = Vec::new();
    for origin in clusters {
        let Some((name, of_origin)) =
            observed.clusters.get_key_value(origin).filter(|(_, cluster)| cluster.session.is_some())
        else {
            return Err(format!("waits for cluster {origin}, whose agent is not attached: see to its agent"));
        };
        let Some(report) = of_origin.endpoints.get(service) else {
            return Err(format!("waits for cluster {origin} to report the endpoints of Service {service}"));
        };
        if !report.service_exists {
            return Err(format!("Service {service} does not exist in cluster {origin}: create it there"));
        }
        let latest = Version { instance_id: of_origin.instance_id.clone(), revision: report.revision };
        for importer in clusters.iter().filter(|importer| *importer != origin) {
            confirmed(observed, service, (origin, importer), &latest)?;
        }
        union.extend(report.endpoints.iter().map(|endpoint| (name, endpoint)));
    }
    Ok(union)
}

fn confirmed(
    observed: &Observed,
    service: &ServiceName,
    (origin, importer): (&ClusterName, &ClusterName),
    latest: &Version,
) -> Result<(), WaitsFor> {
    let mirror = observed
        .clusters
        .get(importer)
        .filter(|cluster| cluster.session.is_some())
        .and_then(|cluster| cluster.mirrors.get(&(service.clone(), origin.clone())));
    match mirror {
        Some(mirror) if mirror.confirmed.as_ref() == Some(latest) => Ok(()),
        Some(mirror) if !mirror.error.is_empty() => Err(format!(
            "cluster {importer} cannot mirror the endpoints of {service} from {origin}: {}; it tries again by itself",
            mirror.error
        )),
        Some(_) | None => {
            Err(format!("waits for cluster {importer} to mirror the endpoints of {service} from {origin}"))
        }
    }
}

/// Preparation: every replica has exactly one endpoint, in every cluster.
pub(crate) fn converged(
    observed: &Observed,
    workload: &Workload,
    ordinals: impl Iterator<Item = Ordinal>,
    (service, clusters): (&ServiceName, &BTreeSet<ClusterName>),
) -> Result<(), WaitsFor> {
    let union = settled_endpoints(observed, service, clusters)?;
    for ordinal in ordinals {
        let pod = workload.pod(ordinal);
        let count = union.iter().filter(|(_, endpoint)| endpoint.hostname == pod).count();
        if count != 1 {
            return Err(format!("Service {service} has {count} endpoints named {pod}; expected exactly one"));
        }
    }
    Ok(())
}

/// Step 11: the handed-over ordinal has exactly one endpoint in every cluster, a pod of the target, and that pod is
/// Ready; no endpoint has the old address.
pub(crate) fn ordinal_converged(
    observed: &Observed,
    workload: &Workload,
    (handoff, target): (&Handoff, &ClusterName),
    (service, clusters): (&ServiceName, &BTreeSet<ClusterName>),
) -> Result<(), WaitsFor> {
    let union = settled_endpoints(observed, service, clusters)?;
    let pod = workload.pod(handoff.ordinal);
    let named: Vec<_> = union.iter().filter(|(_, endpoint)| endpoint.hostname == pod).collect();
    let [(origin, endpoint)] = named.as_slice() else {
        return Err(format!(
            "Service {service} has {} endpoints named {pod}; expected exactly one",
            named.len()
        ));
    };
    // The pod may have been made anew since it was adopted: what counts is that it is the target's.
    if *origin != target {
        return Err(format!(
            "{pod} resolves to {} in cluster {origin}; expected an address in cluster {target}",
            endpoint.address
        ));
    }
    if !endpoint.pod_ready {
        return Err(format!("waits for pod {pod} to be Ready in cluster {origin}"));
    }
    // Another replica may have been given the address since: its own name says so.
    let old_pod = handoff.released.as_ref().map_or("", |released| released.pod_uid.as_str());
    let old = union.iter().find(|(_, endpoint)| {
        endpoint.hostname != pod
            && handoff.old_addresses.contains(&endpoint.address)
            && (endpoint.hostname.is_empty() || endpoint.pod_uid == old_pod)
    });
    if let Some((origin, endpoint)) = old {
        return Err(format!(
            "cluster {origin} still has the old address {} of {pod} in Service {service}",
            endpoint.address
        ));
    }
    Ok(())
}

/// Addresses under which a cluster shows an ordinal now.
pub(crate) fn old_addresses(
    observed: &Observed,
    cluster: &ClusterName,
    service: &ServiceName,
    pod: &str,
) -> Vec<String> {
    let addresses: BTreeSet<String> = observed
        .clusters
        .get(cluster)
        .and_then(|cluster| cluster.endpoints.get(service))
        .into_iter()
        .flat_map(|report| &report.endpoints)
        .filter(|endpoint| endpoint.hostname == pod)
        .map(|endpoint| endpoint.address.clone())
        .collect();
    addresses.into_iter().collect()
}
