//! What people and scripts ask: requests become inputs of the event loop, its replies become responses.
//!
//! A refusal that the response has a field for goes there; everything else that fails becomes a status in `status`.
//! `Watch` sends the latest picture of a migration whenever it changed and skips what a slow reader missed. Who may
//! call what has been decided before a request gets here.

mod audit;
mod control;
mod enroll;
mod probes;
mod storage;
mod tokens;

use std::{pin::Pin, sync::Arc, time::Duration};

use ferry_core::{Migration, MigrationId, PlanHash, Rejection, Reply, input::Request as Ask};
use ferry_proto::admin::v1::{
    self as wire,
    admin_service_server::{AdminService, AdminServiceServer},
    start_migration_response as started,
};
use futures::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub use enroll::Enrolment;
pub use probes::{ReflectionError, health, reflection};
pub use tokens::create as create_token;

use crate::{
    authz::Caller,
    event_loop::{Handle, Watcher},
    identity::authority::Authority,
    limits,
    refusals::Refusals,
    status::Failure,
    tls::PeerInfo,
    wire as translate,
};

/// The admin service.
pub struct Admin {
    handle: Handle,
    authority: Arc<Authority>,
    refusals: Refusals,
    watchers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Admin {
    /// A service whose watch streams end when `shutdown` is cancelled.
    #[must_use]
    pub fn new(
        handle: Handle,
        authority: Arc<Authority>,
        refusals: Refusals,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            handle,
            authority,
            refusals,
            watchers: Arc::new(Semaphore::new(limits::MAX_WATCHERS)),
            shutdown,
        }
    }

    /// As a gRPC service with its bound on requests.
    #[must_use]
    pub fn service(self) -> AdminServiceServer<Self> {
        AdminServiceServer::new(self).max_decoding_message_size(limits::MAX_ADMIN_MESSAGE_BYTES)
    }

    async fn ask(&self, body: Ask) -> Result<Reply, Failure> {
        match self.handle.ask(body, limits::REQUEST_TIMEOUT).await? {
            Reply::Rejected(rejection) => Err(rejection.into()),
            reply => Ok(reply),
        }
    }
}

fn identity<T>(request: &Request<T>) -> Result<String, Failure> {
    request
        .extensions()
        .get::<Caller>()
        .map(|Caller(identity)| identity.to_string())
        .ok_or(Failure::NoIdentity)
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_version(
        &self,
        request: Request<wire::GetVersionRequest>,
    ) -> Result<Response<wire::GetVersionResponse>, Status> {
        Ok(Response::new(wire::GetVersionResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: identity(&request)?,
            trust_domain: self.authority.trust_domain().to_owned(),
            agent_wire_version: crate::session::WIRE_VERSION,
        }))
    }

    async fn create_token(
        &self,
        request: Request<wire::CreateTokenRequest>,
    ) -> Result<Response<wire::CreateTokenResponse>, Status> {
        let by = identity(&request)?;
        let wire::CreateTokenRequest { subject, ttl_seconds } = request.into_inner();
        let subject = tokens::requested_subject(subject)?;
        let (token, expires_at) =
            tokens::create(&self.handle, &self.authority, subject.clone(), ttl_seconds, &by).await?;
        tracing::info!(%by, ?subject, "made a join token");
        let expires_unix_ms = i64::try_from(expires_at.0).unwrap_or(i64::MAX);
        Ok(Response::new(wire::CreateTokenResponse { token: token.reveal(), expires_unix_ms }))
    }

    async fn list_clusters(
        &self,
        _request: Request<wire::ListClustersRequest>,
    ) -> Result<Response<wire::ListClustersResponse>, Status> {
        let Reply::Clusters(clusters) = self.ask(Ask::ListClusters).await? else {
            return Err(Failure::Contradiction.into());
        };
        let clusters = clusters.into_iter().map(|mut view| {
            if let Some(refused) = self.refusals.of(&view.name).filter(|_| !view.attached) {
                view.message = format!("its agent was refused: {refused}");
            }
            translate::cluster_view(view)
        });
        let clusters = clusters.collect();
        Ok(Response::new(wire::ListClustersResponse { clusters }))
    }

    async fn list_volumes(
        &self,
        request: Request<wire::ListVolumesRequest>,
    ) -> Result<Response<wire::ListVolumesResponse>, Status> {
        let filter = translate::volume_filter(request.into_inner()).map_err(Failure::from)?;
        let Reply::Volumes(volumes) = self.ask(Ask::ListVolumes(filter)).await? else {
            return Err(Failure::Contradiction.into());
        };
        let volumes = volumes.into_iter().map(translate::volume_view).collect();
        Ok(Response::new(wire::ListVolumesResponse { volumes }))
    }

    async fn create_plan(
        &self,
        request: Request<wire::CreatePlanRequest>,
    ) -> Result<Response<wire::CreatePlanResponse>, Status> {
        let plan = translate::plan_request(request.into_inner()).map_err(Failure::from)?;
        match self.handle.ask(Ask::CreatePlan(plan), limits::PLAN_TIMEOUT).await.map_err(Failure::from)? {
            Reply::Planned(plan) => {
                Ok(Response::new(wire::CreatePlanResponse { plan: Some(translate::plan(*plan)) }))
            }
            Reply::Rejected(rejection) => Err(Failure::from(rejection).into()),
            _ => Err(Failure::Contradiction.into()),
        }
    }

    async fn start_migration(
        &self,
        request: Request<wire::StartMigrationRequest>,
    ) -> Result<Response<wire::StartMigrationResponse>, Status> {
        let by = identity(&request)?;
        let hash = PlanHash(request.into_inner().plan_hash);
        let ask = Ask::StartMigration { hash, by };
        let result = match self.handle.ask(ask, limits::PLAN_TIMEOUT).await.map_err(Failure::from)? {
            Reply::Started(migration) => started::Result::Migration(translate::migration(&migration)),
            Reply::Rejected(
                rejection @ (Rejection::ClusterNotAttached(_)
                | Rejection::ClusterSilent(_)
                | Rejection::Busy(_)),
            ) => return Err(Failure::from(rejection).into()),
            Reply::Rejected(rejection) => started::Result::Rejection(translate::rejection(&rejection)),
            _ => return Err(Failure::Contradiction.into()),
        };
        Ok(Response::new(wire::StartMigrationResponse { result: Some(result) }))
    }

    async fn list_migrations(
        &self,
        request: Request<wire::ListMigrationsRequest>,
    ) -> Result<Response<wire::ListMigrationsResponse>, Status> {
        let filter = translate::migration_filter(request.into_inner()).map_err(Failure::from)?;
        let Reply::Migrations(migrations) = self.ask(Ask::ListMigrations(filter)).await? else {
            return Err(Failure::Contradiction.into());
        };
        let migrations = migrations.iter().map(translate::migration).collect();
        Ok(Response::new(wire::ListMigrationsResponse { migrations }))
    }

    async fn pause_migration(
        &self,
        request: Request<wire::PauseMigrationRequest>,
    ) -> Result<Response<wire::PauseMigrationResponse>, Status> {
        Ok(Response::new(control::pause(self, request).await?))
    }

    async fn resume_migration(
        &self,
        request: Request<wire::ResumeMigrationRequest>,
    ) -> Result<Response<wire::ResumeMigrationResponse>, Status> {
        Ok(Response::new(control::resume(self, request).await?))
    }

    async fn rollback_migration(
        &self,
        request: Request<wire::RollbackMigrationRequest>,
    ) -> Result<Response<wire::RollbackMigrationResponse>, Status> {
        Ok(Response::new(control::rollback(self, request).await?))
    }

    async fn attest_fenced(
        &self,
        request: Request<wire::AttestFencedRequest>,
    ) -> Result<Response<wire::AttestFencedResponse>, Status> {
        Ok(Response::new(control::attest(self, request).await?))
    }

    async fn finish_migration(
        &self,
        request: Request<wire::FinishMigrationRequest>,
    ) -> Result<Response<wire::FinishMigrationResponse>, Status> {
        Ok(Response::new(control::finish(self, request).await?))
    }

    async fn list_audit(
        &self,
        request: Request<wire::ListAuditRequest>,
    ) -> Result<Response<wire::ListAuditResponse>, Status> {
        Ok(Response::new(audit::list(self, request).await?))
    }

    async fn set_storage_domain(
        &self,
        request: Request<wire::SetStorageDomainRequest>,
    ) -> Result<Response<wire::SetStorageDomainResponse>, Status> {
        Ok(Response::new(storage::set_domain(self, request).await?))
    }

    async fn list_storage_domains(
        &self,
        request: Request<wire::ListStorageDomainsRequest>,
    ) -> Result<Response<wire::ListStorageDomainsResponse>, Status> {
        Ok(Response::new(storage::list_domains(self, request).await?))
    }

    async fn add_storage_map(
        &self,
        request: Request<wire::AddStorageMapRequest>,
    ) -> Result<Response<wire::AddStorageMapResponse>, Status> {
        Ok(Response::new(storage::add_map(self, request).await?))
    }

    async fn remove_storage_map(
        &self,
        request: Request<wire::RemoveStorageMapRequest>,
    ) -> Result<Response<wire::RemoveStorageMapResponse>, Status> {
        Ok(Response::new(storage::remove_map(self, request).await?))
    }

    async fn list_storage_maps(
        &self,
        request: Request<wire::ListStorageMapsRequest>,
    ) -> Result<Response<wire::ListStorageMapsResponse>, Status> {
        Ok(Response::new(storage::list_maps(self, request).await?))
    }

    async fn probe_storage(
        &self,
        request: Request<wire::ProbeStorageRequest>,
    ) -> Result<Response<wire::ProbeStorageResponse>, Status> {
        Ok(Response::new(storage::probe(self, request).await?))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<wire::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let expires_in = request.extensions().get::<PeerInfo>().map(PeerInfo::expires_in).unwrap_or_default();
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let place = place.map_err(|_| Failure::Watchers(limits::MAX_WATCHERS))?;
        let wire::WatchRequest { migration } = request.into_inner();
        let one = (!migration.is_empty()).then_some(MigrationId(migration));
        let watcher = self.handle.migrations().watch(one.clone()).ok_or_else(|| {
            let id = one.as_ref().map(ToString::to_string).unwrap_or_default();
            Failure::from(Rejection::MigrationUnknown(format!(
                "no migration is called {id:?}: see the names with `ferry get`"
            )))
        })?;
        let over = over(self.shutdown.clone(), expires_in).shared();
        let said = over.clone();
        let told = pictures(watcher, one.is_some(), place)
            .map(|migration| Ok(wire::WatchResponse { migration: Some(translate::migration(&migration)) }))
            .take_until(over)
            .chain(stream::once(async move { said.peek().cloned() }).filter_map(std::future::ready).map(Err));
        Ok(Response::new(Box::pin(told)))
    }
}

/// Why a watch ends before the migration does.
async fn over(shutdown: CancellationToken, expires_in: Duration) -> Status {
    tokio::select! {
        () = shutdown.cancelled_owned() => {
            Status::unavailable("the controller is shutting down; watch again when it is back")
        }
        () = tokio::time::sleep(expires_in) => {
            Status::unauthenticated("the certificate of this watch has expired; log in again, then watch again")
        }
    }
}

/// Latest pictures, as they change; for one migration until it is over.
fn pictures(
    watcher: Watcher,
    until_over: bool,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Arc<Migration>> + Send {
    stream::unfold(Some((watcher, place)), move |state| async move {
        let (mut watcher, place) = state?;
        let changes = watcher.changes().await?;
        let over = until_over && changes.iter().any(|change| change.migration.phase.is_over());
        let pictures: Vec<_> = changes.into_iter().map(|change| change.migration).collect();
        Some((stream::iter(pictures), (!over).then_some((watcher, place))))
    })
    .flatten()
}
