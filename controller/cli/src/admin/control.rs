//! The calls that control migrations, and those about storage and the audit log.
//!
//! As all calls: one function each, nothing retried. A refusal of the controller's is a failure with its code, whatever
//! message of the wire it came in.
//! What is asked is checked before by the command line, and by the controller again; nothing is checked here.

use ferry_proto::admin::v1::{
    self as pb, finish_migration_response::Result as Finished, pause_migration_response::Result as Paused,
    probe_storage_response::Result as Probed, resume_migration_response::Result as Resumed,
    rollback_migration_response::Result as RolledBack,
};

use super::{Admin, Call, absent, rejected};
use crate::{error::Failure, limits, shape, wire};

impl Admin {
    /// Stops a migration at its next safe point.
    pub(crate) async fn pause(&mut self, migration: String) -> Result<shape::Migration, Failure> {
        let call = self.client.pause_migration(pb::PauseMigrationRequest { migration });
        match self.session.finish(Call::Pause, self.at_most, call).await?.result {
            Some(Paused::Migration(migration)) => wire::migration(migration),
            Some(Paused::Rejection(no)) => Err(rejected(Call::Pause, no)),
            None => Err(absent("result")),
        }
    }

    /// Lets it go on.
    pub(crate) async fn resume(&mut self, migration: String) -> Result<shape::Migration, Failure> {
        let call = self.client.resume_migration(pb::ResumeMigrationRequest { migration });
        match self.session.finish(Call::Resume, self.at_most, call).await?.result {
            Some(Resumed::Migration(migration)) => wire::migration(migration),
            Some(Resumed::Rejection(no)) => Err(rejected(Call::Resume, no)),
            None => Err(absent("result")),
        }
    }

    /// Gives the ordinal in flight back, or everything.
    pub(crate) async fn rollback(
        &mut self,
        migration: String,
        all: bool,
    ) -> Result<shape::Migration, Failure> {
        let call = self.client.rollback_migration(pb::RollbackMigrationRequest { migration, all });
        match self.session.finish(Call::Rollback, self.at_most, call).await?.result {
            Some(RolledBack::Migration(migration)) => wire::migration(migration),
            Some(RolledBack::Rejection(no)) => Err(rejected(Call::Rollback, no)),
            None => Err(absent("result")),
        }
    }

    /// Records that nothing on a node writes any more; the migrations that waited for it.
    pub(crate) async fn attest(
        &mut self,
        node: String,
        reason: String,
    ) -> Result<Vec<shape::Migration>, Failure> {
        let call = self.client.attest_fenced(pb::AttestFencedRequest { node, reason });
        let answer = self.session.finish(Call::Attest, self.at_most, call).await?;
        match answer.rejection {
            None => answer.migrations.into_iter().map(wire::migration).collect(),
            Some(no) => Err(rejected(Call::Attest, no)),
        }
    }

    /// Ends a completed migration in its source.
    pub(crate) async fn finish(
        &mut self,
        migration: String,
        accept: bool,
    ) -> Result<shape::Migration, Failure> {
        let call = self.client.finish_migration(pb::FinishMigrationRequest { migration, accept });
        match self.session.finish(Call::Finish, self.at_most, call).await?.result {
            Some(Finished::Migration(migration)) => wire::migration(migration),
            Some(Finished::Rejection(no)) => Err(rejected(Call::Finish, no)),
            None => Err(absent("result")),
        }
    }

    /// A page of the audit log; an empty migration means all.
    pub(crate) async fn audit(
        &mut self,
        limit: u32,
        before: Option<u64>,
        migration: String,
    ) -> Result<shape::AuditPage, Failure> {
        let request = pb::ListAuditRequest { limit, before: before.unwrap_or_default(), migration };
        let call = self.client.list_audit(request);
        Ok(wire::audit(self.session.finish(Call::Audit, self.at_most, call).await?))
    }

    /// Sets a storage domain; an empty one takes the setting away.
    pub(crate) async fn set_storage_domain(&mut self, set: shape::StorageDomain) -> Result<(), Failure> {
        let shape::StorageDomain { cluster, driver, domain } = set;
        let call = self.client.set_storage_domain(pb::SetStorageDomainRequest { cluster, driver, domain });
        none(self.session.finish(Call::SetStorage, self.at_most, call).await?.rejection)
    }

    /// Storage domains that were set.
    pub(crate) async fn storage_domains(&mut self) -> Result<Vec<shape::StorageDomain>, Failure> {
        let call = self.client.list_storage_domains(pb::ListStorageDomainsRequest {});
        let answer = self.session.finish(Call::Storage, self.at_most, call).await?;
        Ok(answer.domains.into_iter().map(wire::storage_domain).collect())
    }

    /// Sets a mapping of StorageClasses.
    pub(crate) async fn add_storage_map(&mut self, map: shape::StorageMap) -> Result<(), Failure> {
        let map = Some(wire::storage_map_of(map));
        let call = self.client.add_storage_map(pb::AddStorageMapRequest { map });
        none(self.session.finish(Call::SetStorage, self.at_most, call).await?.rejection)
    }

    /// Takes one away.
    pub(crate) async fn remove_storage_map(&mut self, map: shape::StorageMap) -> Result<(), Failure> {
        let map = Some(wire::storage_map_of(map));
        let call = self.client.remove_storage_map(pb::RemoveStorageMapRequest { map });
        none(self.session.finish(Call::SetStorage, self.at_most, call).await?.rejection)
    }

    /// Mappings that were set.
    pub(crate) async fn storage_maps(&mut self) -> Result<Vec<shape::StorageMap>, Failure> {
        let call = self.client.list_storage_maps(pb::ListStorageMapsRequest {});
        let answer = self.session.finish(Call::Storage, self.at_most, call).await?;
        Ok(answer.maps.into_iter().map(wire::storage_map).collect())
    }

    /// Makes a scratch disk in one cluster, reads it in the other, and removes it.
    pub(crate) async fn probe_storage(
        &mut self,
        request: pb::ProbeStorageRequest,
    ) -> Result<shape::StorageProbe, Failure> {
        let call = self.client.probe_storage(request);
        match self.session.finish(Call::Probe, limits::PROBE_TIMEOUT, call).await?.result {
            Some(Probed::Probe(probe)) => Ok(wire::storage_probe(&probe)),
            Some(Probed::Rejection(no)) => Err(rejected(Call::Probe, no)),
            None => Err(absent("result")),
        }
    }
}

fn none(rejection: Option<pb::Rejection>) -> Result<(), Failure> {
    rejection.map_or(Ok(()), |no| Err(rejected(Call::SetStorage, no)))
}
