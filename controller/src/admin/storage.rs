//! What admins say about storage, and what was said.
//!
//! Domains and mappings are the core's; a refusal of it is a field of the response, as everywhere. That a cluster, a driver
//! or a class exists is not asked here: it may come later, and a plan finds out.
//! Changes are for admins, lists for everybody with a role: the table in `authz` says so, not this file.

use ferry_core::{Rejection, Reply, input::Request as Ask};
use ferry_proto::admin::v1::{self as wire, probe_storage_response::Result as Probed};
use tonic::Request;

use super::{Admin, identity};
use crate::{limits, status::Failure, wire as translate};

/// Asks for a change; the rejection, if it is refused.
async fn change(admin: &Admin, body: Ask) -> Result<Option<wire::Rejection>, Failure> {
    match admin.handle.ask(body, limits::REQUEST_TIMEOUT).await? {
        Reply::StorageDomains(_) | Reply::StorageMaps(_) => Ok(None),
        Reply::Rejected(rejection @ Rejection::Busy(_)) => Err(rejection.into()),
        Reply::Rejected(rejection) => Ok(Some(translate::rejection(&rejection))),
        _ => Err(Failure::Contradiction),
    }
}

pub(super) async fn set_domain(
    admin: &Admin,
    request: Request<wire::SetStorageDomainRequest>,
) -> Result<wire::SetStorageDomainResponse, Failure> {
    let by = identity(&request)?;
    let set = translate::domain_request(request.into_inner())?;
    let rejection = change(admin, Ask::SetStorageDomain { set, by }).await?;
    Ok(wire::SetStorageDomainResponse { rejection })
}

pub(super) async fn list_domains(
    admin: &Admin,
    _request: Request<wire::ListStorageDomainsRequest>,
) -> Result<wire::ListStorageDomainsResponse, Failure> {
    let Reply::StorageDomains(domains) = admin.ask(Ask::ListStorageDomains).await? else {
        return Err(Failure::Contradiction);
    };
    let domains = domains.into_iter().map(translate::domain).collect();
    Ok(wire::ListStorageDomainsResponse { domains })
}

pub(super) async fn add_map(
    admin: &Admin,
    request: Request<wire::AddStorageMapRequest>,
) -> Result<wire::AddStorageMapResponse, Failure> {
    let by = identity(&request)?;
    let map = translate::map_request(request.into_inner().map, false)?;
    let rejection = change(admin, Ask::AddStorageMap { map, by }).await?;
    Ok(wire::AddStorageMapResponse { rejection })
}

pub(super) async fn remove_map(
    admin: &Admin,
    request: Request<wire::RemoveStorageMapRequest>,
) -> Result<wire::RemoveStorageMapResponse, Failure> {
    let by = identity(&request)?;
    let map = translate::map_request(request.into_inner().map, true)?;
    let rejection = change(admin, Ask::RemoveStorageMap { map, by }).await?;
    Ok(wire::RemoveStorageMapResponse { rejection })
}

pub(super) async fn list_maps(
    admin: &Admin,
    _request: Request<wire::ListStorageMapsRequest>,
) -> Result<wire::ListStorageMapsResponse, Failure> {
    let Reply::StorageMaps(maps) = admin.ask(Ask::ListStorageMaps).await? else {
        return Err(Failure::Contradiction);
    };
    Ok(wire::ListStorageMapsResponse { maps: maps.into_iter().map(translate::map).collect() })
}

pub(super) async fn probe(
    admin: &Admin,
    request: Request<wire::ProbeStorageRequest>,
) -> Result<wire::ProbeStorageResponse, Failure> {
    let by = identity(&request)?;
    let asked = translate::probe_request(request.into_inner())?;
    let ask = Ask::ProbeStorage { asked, by };
    let result = match admin.handle.ask(ask, limits::PROBE_TIMEOUT).await? {
        Reply::StorageProbed { name, steps } => Probed::Probe(wire::StorageProbe { name, steps }),
        Reply::Rejected(rejection @ (Rejection::Busy(_) | Rejection::ClusterNotAttached(_))) => {
            return Err(rejection.into());
        }
        Reply::Rejected(rejection) => Probed::Rejection(translate::rejection(&rejection)),
        _ => return Err(Failure::Contradiction),
    };
    Ok(wire::ProbeStorageResponse { result: Some(result) })
}
