//! What people ask of a running migration, and of one that has completed.
//!
//! Each asks the core and hands its word on: the migration as it is now, or a rejection with its code in the response. Only
//! what is no answer of the domain becomes a status: a name that does not exist, an agent that is needed and away, silence.
//! Whether a request makes sense now is not looked at here, or it would be looked at twice.

use ferry_core::{Migration, MigrationId, Rejection, Reply, input::Request as Ask};
use ferry_proto::admin::v1 as wire;
use tonic::Request;
use wire::{
    finish_migration_response as finished, pause_migration_response as paused,
    resume_migration_response as resumed, rollback_migration_response as rolled_back,
};

use super::{Admin, identity};
use crate::{limits, status::Failure, wire as translate};

type Asked = Result<Result<Box<Migration>, Rejection>, Failure>;

async fn ask(admin: &Admin, body: Ask) -> Asked {
    // As long as a finish may take; the others are answered at once.
    match admin.handle.ask(body, limits::PLAN_TIMEOUT).await? {
        Reply::Migration(migration) => Ok(Ok(migration)),
        Reply::Rejected(
            rejection @ (Rejection::ClusterNotAttached(_)
            | Rejection::ClusterSilent(_)
            | Rejection::Busy(_)
            | Rejection::MigrationUnknown(_)
            | Rejection::Invalid(_)),
        ) => Err(rejection.into()),
        Reply::Rejected(rejection) => Ok(Err(rejection)),
        _ => Err(Failure::Contradiction),
    }
}

pub(super) async fn pause(
    admin: &Admin,
    request: Request<wire::PauseMigrationRequest>,
) -> Result<wire::PauseMigrationResponse, Failure> {
    let by = identity(&request)?;
    let id = MigrationId(request.into_inner().migration);
    let result = match ask(admin, Ask::PauseMigration { id, by }).await? {
        Ok(migration) => paused::Result::Migration(translate::migration(&migration)),
        Err(rejection) => paused::Result::Rejection(translate::rejection(&rejection)),
    };
    Ok(wire::PauseMigrationResponse { result: Some(result) })
}

pub(super) async fn resume(
    admin: &Admin,
    request: Request<wire::ResumeMigrationRequest>,
) -> Result<wire::ResumeMigrationResponse, Failure> {
    let by = identity(&request)?;
    let id = MigrationId(request.into_inner().migration);
    let result = match ask(admin, Ask::ResumeMigration { id, by }).await? {
        Ok(migration) => resumed::Result::Migration(translate::migration(&migration)),
        Err(rejection) => resumed::Result::Rejection(translate::rejection(&rejection)),
    };
    Ok(wire::ResumeMigrationResponse { result: Some(result) })
}

pub(super) async fn rollback(
    admin: &Admin,
    request: Request<wire::RollbackMigrationRequest>,
) -> Result<wire::RollbackMigrationResponse, Failure> {
    let by = identity(&request)?;
    let wire::RollbackMigrationRequest { migration, all } = request.into_inner();
    let result = match ask(admin, Ask::RollbackMigration { id: MigrationId(migration), all, by }).await? {
        Ok(migration) => rolled_back::Result::Migration(translate::migration(&migration)),
        Err(rejection) => rolled_back::Result::Rejection(translate::rejection(&rejection)),
    };
    Ok(wire::RollbackMigrationResponse { result: Some(result) })
}

pub(super) async fn attest(
    admin: &Admin,
    request: Request<wire::AttestFencedRequest>,
) -> Result<wire::AttestFencedResponse, Failure> {
    let by = identity(&request)?;
    let wire::AttestFencedRequest { node, reason } = request.into_inner();
    match admin.handle.ask(Ask::AttestFenced { node, reason, by }, limits::PLAN_TIMEOUT).await? {
        Reply::Migrations(migrations) => Ok(wire::AttestFencedResponse {
            migrations: migrations.iter().map(translate::migration).collect(),
            rejection: None,
        }),
        Reply::Rejected(rejection @ Rejection::Invalid(_)) => Err(rejection.into()),
        Reply::Rejected(rejection) => Ok(wire::AttestFencedResponse {
            migrations: Vec::new(),
            rejection: Some(translate::rejection(&rejection)),
        }),
        _ => Err(Failure::Contradiction),
    }
}

pub(super) async fn finish(
    admin: &Admin,
    request: Request<wire::FinishMigrationRequest>,
) -> Result<wire::FinishMigrationResponse, Failure> {
    let by = identity(&request)?;
    let wire::FinishMigrationRequest { migration, accept } = request.into_inner();
    let result = match ask(admin, Ask::FinishMigration { id: MigrationId(migration), accept, by }).await? {
        Ok(migration) => finished::Result::Migration(translate::migration(&migration)),
        Err(rejection) => finished::Result::Rejection(translate::rejection(&rejection)),
    };
    Ok(wire::FinishMigrationResponse { result: Some(result) })
}
