//! Control over the real wire: pause at a safe point, resume, give one ordinal back, give all back, finish, and the record of it.
//!
//! What each means at each step is the core's business and tested there; here it is that requests, commands and answers find
//! their way through the controller, that refusals come with their codes, and that everything is on record with who asked.
//! Waiting is for what a migration says of itself, with a deadline.

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{
    AddStorageMapRequest, FinishMigrationRequest, ListAuditRequest, ListMigrationsRequest,
    ListStorageDomainsRequest, ListStorageMapsRequest, Migration, Order, PauseMigrationRequest, Phase,
    Rejection, RemoveStorageMapRequest, ResumeMigrationRequest, RollbackMigrationRequest,
    SetStorageDomainRequest, StorageMap, admin_service_client::AdminServiceClient,
    finish_migration_response as finished, pause_migration_response as paused,
    resume_migration_response as resumed, rollback_migration_response as rolled_back,
};
use tonic::{Code, transport::Channel};

use crate::{
    client::{World, eventually, role},
    crossing::{attached, locked, owners, start, to},
};

type Answer = Result<std::result::Result<Migration, Rejection>>;

/// Somebody who asks the controller things.
struct Operator(AdminServiceClient<Channel>);

impl Operator {
    async fn of(world: &World) -> Result<Self> {
        let credential = world.server.join(&world.admin, role("operator")).await?;
        Ok(Self(world.server.admin(&credential).await?))
    }

    async fn pause(&mut self, id: &str) -> Answer {
        let request = PauseMigrationRequest { migration: id.into() };
        Ok(match self.0.pause_migration(request).await?.into_inner().result.context("a result")? {
            paused::Result::Migration(migration) => Ok(migration),
            paused::Result::Rejection(rejection) => Err(rejection),
        })
    }

    async fn resume(&mut self, id: &str) -> Answer {
        let request = ResumeMigrationRequest { migration: id.into() };
        Ok(match self.0.resume_migration(request).await?.into_inner().result.context("a result")? {
            resumed::Result::Migration(migration) => Ok(migration),
            resumed::Result::Rejection(rejection) => Err(rejection),
        })
    }

    async fn rollback(&mut self, id: &str, all: bool) -> Answer {
        let request = RollbackMigrationRequest { migration: id.into(), all };
        Ok(match self.0.rollback_migration(request).await?.into_inner().result.context("a result")? {
            rolled_back::Result::Migration(migration) => Ok(migration),
            rolled_back::Result::Rejection(rejection) => Err(rejection),
        })
    }

    async fn finish(&mut self, id: &str, accept: bool) -> Answer {
        let request = FinishMigrationRequest { migration: id.into(), accept };
        Ok(match self.0.finish_migration(request).await?.into_inner().result.context("a result")? {
            finished::Result::Migration(migration) => Ok(migration),
            finished::Result::Rejection(rejection) => Err(rejection),
        })
    }

    async fn get(&mut self, id: &str) -> Result<Migration> {
        let listed = self.0.list_migrations(ListMigrationsRequest::default()).await?.into_inner().migrations;
        listed.into_iter().find(|migration| migration.id == id).context("the migration is forgotten")
    }

    async fn until(&mut self, what: &str, id: &str, so: impl Fn(&Migration) -> bool) -> Result<Migration> {
        let of = &self.0;
        eventually(what, async || {
            let migration = Self(of.clone()).get(id).await?;
            Ok(so(&migration).then_some(migration))
        })
        .await
    }
}

fn code(answer: std::result::Result<Migration, Rejection>) -> Result<String> {
    let rejection = answer.err().context("expected a refusal")?;
    assert!(!rejection.message.is_empty() && !rejection.transient, "{rejection:?}");
    Ok(rejection.code)
}

fn stopped(migration: &Migration) -> bool {
    migration.control.as_ref().is_some_and(|control| control.stopped)
}

fn moved(migration: &Migration) -> usize {
    migration.ordinals.iter().filter(|ordinal| ordinal.step == 14).count()
}

#[tokio::test]
async fn a_migration_is_paused_resumed_and_finished() -> Result<()> {
    let (world, clusters) = attached().await?;
    locked(&clusters, |clusters| clusters.pace = std::time::Duration::from_millis(30));
    let mut operator = Operator::of(&world).await?;
    let id = start(&world, to("east", "west", Order::HighestFirst)).await?.id;
    let told = operator.pause(&id).await?.map_err(|no| anyhow::anyhow!("{no:?}"))?;
    assert!(!told.message.is_empty(), "it says at which point: {told:?}");
    let by = told.control.context("what was asked")?.paused_by;
    assert!(by.ends_with("/role/operator/somebody"), "{by}");
    assert_eq!(code(operator.pause(&id).await?)?, "already-paused");
    let held = operator.until("it stops", &id, stopped).await?;
    assert_eq!(held.phase(), Phase::Paused, "{held:?}");
    let commands = locked(&clusters, |clusters| clusters.commands);
    assert_eq!(code(operator.finish(&id, false).await?)?, "not-completed");
    assert_eq!(code(operator.rollback(&id, false).await?)?, "nothing-in-flight");
    assert_eq!(locked(&clusters, |clusters| clusters.commands), commands, "a paused migration does nothing");

    operator.resume(&id).await?.map_err(|no| anyhow::anyhow!("{no:?}"))?;
    assert_eq!(code(operator.resume(&id).await?)?, "not-paused");
    operator.until("it completes", &id, |migration| migration.phase() == Phase::Completed).await?;
    for answer in
        [operator.pause(&id).await?, operator.resume(&id).await?, operator.rollback(&id, true).await?]
    {
        assert_eq!(code(answer)?, "already-over");
    }

    let first = operator.finish(&id, false).await?.map_err(|no| anyhow::anyhow!("{no:?}"))?;
    let certificate = first.certificate.context("a certificate")?;
    assert!(certificate.stateful_set_gone && !certificate.accepted && certificate.cluster == "east");
    assert_eq!(certificate.tombstones.len(), 3, "{certificate:?}");
    let second = operator.finish(&id, true).await?.map_err(|no| anyhow::anyhow!("{no:?}"))?;
    let certificate = second.certificate.context("a certificate")?;
    assert!(certificate.accepted && certificate.tombstones.is_empty(), "{certificate:?}");
    assert_eq!(operator.get(&id).await?.certificate, Some(certificate), "it is kept");
    on_record(&mut operator, &id).await
}

/// Everything above is in the audit log, with who asked and how it ended.
async fn on_record(operator: &mut Operator, id: &str) -> Result<()> {
    let request = ListAuditRequest { limit: 0, before: 0, migration: id.into() };
    let records = operator.0.list_audit(request).await?.into_inner().records;
    let count = |action: &str, result: &str| {
        records.iter().filter(|of| of.action == action && of.result == result).count()
    };
    for (action, result, times) in [
        ("start-migration", "done", 1),
        ("pause-migration", "done", 1),
        ("pause-migration", "already-paused", 1),
        ("pause-migration", "already-over", 1),
        ("resume-migration", "done", 1),
        ("resume-migration", "not-paused", 1),
        ("rollback-migration", "nothing-in-flight", 1),
        ("finish-migration", "done", 2),
    ] {
        assert!(count(action, result) >= times, "{action} {result}: {records:?}");
    }
    let owners = records.iter().filter(|of| of.action == "owner-changed");
    assert!(owners.clone().count() >= 9, "three ordinals, each released, granted and owned: {records:?}");
    assert!(owners.clone().all(|of| of.by == "controller" && !of.message.is_empty()), "{records:?}");
    let pause = records.iter().find(|of| of.action == "pause-migration").context("the pause")?;
    assert!(pause.by.ends_with("/role/operator/somebody") && pause.at_unix_ms > 0, "{pause:?}");
    let numbers: Vec<u64> = records.iter().map(|of| of.number).collect();
    assert!(numbers.is_sorted_by(|newer, older| newer > older), "newest first: {numbers:?}");
    Ok(())
}

#[tokio::test]
async fn everything_is_given_back() -> Result<()> {
    let (world, clusters) = attached().await?;
    locked(&clusters, |clusters| clusters.pace = std::time::Duration::from_millis(30));
    let mut operator = Operator::of(&world).await?;
    let id = start(&world, to("east", "west", Order::LowestFirst)).await?.id;
    operator.until("one has moved", &id, |migration| moved(migration) >= 1).await?;
    let told = operator.rollback(&id, true).await?.map_err(|no| anyhow::anyhow!("{no:?}"))?;
    assert_eq!(told.control.context("what was asked")?.rollback, "all");
    assert_eq!(code(operator.rollback(&id, true).await?)?, "already-rolling-back");
    let over = operator.until("it is over", &id, |migration| migration.ended_unix_ms != 0).await?;
    assert_eq!(over.phase(), Phase::RolledBack, "{over:?}");
    assert_eq!(locked(&clusters, |clusters| clusters.running("east")), [0, 1, 2]);
    assert!(locked(&clusters, |clusters| clusters.running("west")).is_empty());
    for (cluster, state, _) in owners(&world.server, &world.admin).await? {
        assert_eq!((cluster.as_str(), state.as_str()), ("east", "owned"));
    }
    Ok(())
}

#[tokio::test]
async fn a_name_that_is_none_is_not_found() -> Result<()> {
    let world = World::new().await?;
    let mut operator = Operator::of(&world).await?;
    for error in [
        operator.pause("etcd-99").await,
        operator.resume("etcd-99").await,
        operator.rollback("etcd-99", true).await,
        operator.finish("", false).await,
    ] {
        let error = error.err().context("refused")?;
        let status = error.downcast_ref::<tonic::Status>().context("a status")?;
        assert_eq!(status.code(), Code::NotFound, "{status}");
        assert!(status.message().contains("ferry get"), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn storage_is_set_by_admins_and_survives() -> Result<()> {
    let World { controller, server, admin, data } = World::new().await?;
    let mut client = server.admin(&admin).await?;
    let set = |domain: &str| SetStorageDomainRequest {
        cluster: "east".into(),
        driver: "csi.x".into(),
        domain: domain.into(),
    };
    assert_eq!(client.set_storage_domain(set("array-1")).await?.into_inner().rejection, None);
    for bad in [
        SetStorageDomainRequest { cluster: "Not a label".into(), ..set("array-1") },
        SetStorageDomainRequest { driver: String::new(), ..set("array-1") },
        set("a/b"),
    ] {
        let status = client.set_storage_domain(bad).await.err().context("refused")?;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let map = StorageMap {
        from: "east".into(),
        to: "west".into(),
        namespace: String::new(),
        from_class: "fast".into(),
        to_class: "premium".into(),
    };
    let add = AddStorageMapRequest { map: Some(map.clone()) };
    assert_eq!(client.add_storage_map(add).await?.into_inner().rejection, None);
    controller.kill()?;

    let controller = data.start()?;
    let server = crate::client::Server::new(&data, &controller)?;
    let mut client = server.admin(&admin).await?;
    let domains = client.list_storage_domains(ListStorageDomainsRequest {}).await?.into_inner().domains;
    assert_eq!(domains.len(), 1);
    assert_eq!(domains[0].domain, "array-1");
    assert_eq!(
        client.list_storage_maps(ListStorageMapsRequest {}).await?.into_inner().maps,
        std::slice::from_ref(&map)
    );
    let remove = RemoveStorageMapRequest { map: Some(StorageMap { to_class: String::new(), ..map }) };
    assert_eq!(client.remove_storage_map(remove.clone()).await?.into_inner().rejection, None);
    let again = client.remove_storage_map(remove).await?.into_inner().rejection.context("refused")?;
    assert_eq!(again.code, "invalid", "{again:?}");
    Ok(())
}
