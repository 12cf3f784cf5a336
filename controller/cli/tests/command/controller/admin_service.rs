//! The admin service of the controller that says what it is told: from the [`Book`](super::Book), and into it.
//!
//! Each call is counted, and needs somebody whose certificate this controller signed. What is told is not checked: a test may
//! want the command to meet what no controller should say. Lists are given as they are, but for the paging of the audit log,
//! which a command has to follow; a watch shows the one migration that there is, whenever it changes.

use std::pin::Pin;

use ferry_proto::admin::v1::{self as admin, admin_service_server::AdminService};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status};

use super::{Service, lock};

#[tonic::async_trait]
impl AdminService for Service {
    async fn get_version(
        &self,
        request: Request<admin::GetVersionRequest>,
    ) -> Result<Response<admin::GetVersionResponse>, Status> {
        let identity = self.asked("version", &request)?;
        let (version, trust_domain) = ("9.9.9".to_owned(), "ferry.local".to_owned());
        let agent_wire_version = 1;
        Ok(Response::new(admin::GetVersionResponse { version, identity, trust_domain, agent_wire_version }))
    }

    async fn create_token(
        &self,
        request: Request<admin::CreateTokenRequest>,
    ) -> Result<Response<admin::CreateTokenResponse>, Status> {
        let identity = self.asked("token", &request)?;
        if !identity.contains("/role/admin/") {
            return Err(Status::permission_denied(format!("{identity} may not make tokens")));
        }
        let expires_unix_ms = 1_790_000_000_000 + i64::from(request.get_ref().ttl_seconds) * 1_000;
        Ok(Response::new(admin::CreateTokenResponse {
            token: "ferry1.secret.ca".to_owned(),
            expires_unix_ms,
        }))
    }

    async fn list_clusters(
        &self,
        request: Request<admin::ListClustersRequest>,
    ) -> Result<Response<admin::ListClustersResponse>, Status> {
        self.asked("clusters", &request)?;
        let clusters = lock(&self.book).clusters.clone();
        Ok(Response::new(admin::ListClustersResponse { clusters }))
    }

    async fn list_volumes(
        &self,
        request: Request<admin::ListVolumesRequest>,
    ) -> Result<Response<admin::ListVolumesResponse>, Status> {
        self.asked("volumes", &request)?;
        let volumes = lock(&self.book).volumes.clone();
        Ok(Response::new(admin::ListVolumesResponse { volumes }))
    }

    async fn create_plan(
        &self,
        request: Request<admin::CreatePlanRequest>,
    ) -> Result<Response<admin::CreatePlanResponse>, Status> {
        self.asked("plan", &request)?;
        lock(&self.book).asked_plan = request.into_inner();
        let plan = lock(&self.book).plan.clone();
        Ok(Response::new(admin::CreatePlanResponse { plan: Some(plan) }))
    }

    async fn start_migration(
        &self,
        request: Request<admin::StartMigrationRequest>,
    ) -> Result<Response<admin::StartMigrationResponse>, Status> {
        self.asked("start", &request)?;
        let result = lock(&self.book).start.clone();
        Ok(Response::new(admin::StartMigrationResponse { result }))
    }

    async fn list_migrations(
        &self,
        request: Request<admin::ListMigrationsRequest>,
    ) -> Result<Response<admin::ListMigrationsResponse>, Status> {
        self.asked("migrations", &request)?;
        let migrations = vec![self.migration.borrow().clone()];
        Ok(Response::new(admin::ListMigrationsResponse { migrations }))
    }

    async fn pause_migration(
        &self,
        request: Request<admin::PauseMigrationRequest>,
    ) -> Result<Response<admin::PauseMigrationResponse>, Status> {
        self.asked("pause", &request)?;
        use admin::pause_migration_response::Result as Answer;
        let result = Some(match self.controlled()? {
            Ok(migration) => Answer::Migration(migration),
            Err(rejection) => Answer::Rejection(rejection),
        });
        Ok(Response::new(admin::PauseMigrationResponse { result }))
    }

    async fn resume_migration(
        &self,
        request: Request<admin::ResumeMigrationRequest>,
    ) -> Result<Response<admin::ResumeMigrationResponse>, Status> {
        self.asked("resume", &request)?;
        use admin::resume_migration_response::Result as Answer;
        let result = Some(match self.controlled()? {
            Ok(migration) => Answer::Migration(migration),
            Err(rejection) => Answer::Rejection(rejection),
        });
        Ok(Response::new(admin::ResumeMigrationResponse { result }))
    }

    async fn rollback_migration(
        &self,
        request: Request<admin::RollbackMigrationRequest>,
    ) -> Result<Response<admin::RollbackMigrationResponse>, Status> {
        self.asked("rollback", &request)?;
        use admin::rollback_migration_response::Result as Answer;
        let result = Some(match self.controlled()? {
            Ok(migration) => Answer::Migration(migration),
            Err(rejection) => Answer::Rejection(rejection),
        });
        Ok(Response::new(admin::RollbackMigrationResponse { result }))
    }

    async fn attest_fenced(
        &self,
        request: Request<admin::AttestFencedRequest>,
    ) -> Result<Response<admin::AttestFencedResponse>, Status> {
        self.asked("attest", &request)?;
        Ok(Response::new(match self.controlled()? {
            Ok(migration) => admin::AttestFencedResponse { migrations: vec![migration], rejection: None },
            Err(rejection) => {
                admin::AttestFencedResponse { migrations: Vec::new(), rejection: Some(rejection) }
            }
        }))
    }

    async fn finish_migration(
        &self,
        request: Request<admin::FinishMigrationRequest>,
    ) -> Result<Response<admin::FinishMigrationResponse>, Status> {
        self.asked("finish", &request)?;
        use admin::finish_migration_response::Result as Answer;
        let result = Some(match self.controlled()? {
            Ok(migration) => Answer::Migration(migration),
            Err(rejection) => Answer::Rejection(rejection),
        });
        Ok(Response::new(admin::FinishMigrationResponse { result }))
    }

    async fn list_audit(
        &self,
        request: Request<admin::ListAuditRequest>,
    ) -> Result<Response<admin::ListAuditResponse>, Status> {
        self.asked("audit", &request)?;
        let admin::ListAuditRequest { limit, before, migration } = request.into_inner();
        let mut records = lock(&self.book).audit.clone();
        records.retain(|of| migration.is_empty() || of.migration == migration);
        records.retain(|of| before == 0 || of.number < before);
        let more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let last = records.last().map(|record| record.number).unwrap_or_default();
        Ok(Response::new(admin::ListAuditResponse { records, next_before: if more { last } else { 0 } }))
    }

    async fn set_storage_domain(
        &self,
        request: Request<admin::SetStorageDomainRequest>,
    ) -> Result<Response<admin::SetStorageDomainResponse>, Status> {
        self.asked("set-domain", &request)?;
        let admin::SetStorageDomainRequest { cluster, driver, domain } = request.into_inner();
        lock(&self.book).domains.push(admin::StorageDomain { cluster, driver, domain });
        Ok(Response::new(admin::SetStorageDomainResponse { rejection: None }))
    }

    async fn list_storage_domains(
        &self,
        request: Request<admin::ListStorageDomainsRequest>,
    ) -> Result<Response<admin::ListStorageDomainsResponse>, Status> {
        self.asked("domains", &request)?;
        let domains = lock(&self.book).domains.clone();
        Ok(Response::new(admin::ListStorageDomainsResponse { domains }))
    }

    async fn add_storage_map(
        &self,
        request: Request<admin::AddStorageMapRequest>,
    ) -> Result<Response<admin::AddStorageMapResponse>, Status> {
        self.asked("add-map", &request)?;
        lock(&self.book).maps.extend(request.into_inner().map);
        Ok(Response::new(admin::AddStorageMapResponse { rejection: None }))
    }

    async fn remove_storage_map(
        &self,
        request: Request<admin::RemoveStorageMapRequest>,
    ) -> Result<Response<admin::RemoveStorageMapResponse>, Status> {
        self.asked("remove-map", &request)?;
        let code = "invalid".to_owned();
        let rejection = admin::Rejection { code, message: "no such mapping is set".into(), transient: false };
        Ok(Response::new(admin::RemoveStorageMapResponse { rejection: Some(rejection) }))
    }

    async fn list_storage_maps(
        &self,
        request: Request<admin::ListStorageMapsRequest>,
    ) -> Result<Response<admin::ListStorageMapsResponse>, Status> {
        self.asked("maps", &request)?;
        let maps = lock(&self.book).maps.clone();
        Ok(Response::new(admin::ListStorageMapsResponse { maps }))
    }

    async fn probe_storage(
        &self,
        request: Request<admin::ProbeStorageRequest>,
    ) -> Result<Response<admin::ProbeStorageResponse>, Status> {
        self.asked("probe", &request)?;
        use admin::probe_storage_response::Result as Answer;
        let admin::ProbeStorageRequest { from, to, from_class, to_class, .. } = request.into_inner();
        let result = Some(if from_class == to_class {
            let steps = vec![format!("a disk of {from_class} was made in {from}"), format!("read in {to}")];
            Answer::Probe(admin::StorageProbe { name: "ferry-probe-1-t1".into(), steps })
        } else {
            let message = format!("failed: reading the disk in {to}: no such disk; nothing of it is left");
            Answer::Rejection(admin::Rejection { code: "probe-failed".into(), message, transient: false })
        });
        Ok(Response::new(admin::ProbeStorageResponse { result }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<admin::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<admin::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.asked("watch", &request)?;
        let id = request.into_inner().migration;
        if !id.is_empty() && self.migration.borrow().id != id {
            return Err(Status::not_found(format!("no migration {id}; `ferry get` lists them")));
        }
        let states = WatchStream::new(self.migration.subscribe());
        Ok(Response::new(Box::pin(
            states.map(|migration| Ok(admin::WatchResponse { migration: Some(migration) })),
        )))
    }
}
