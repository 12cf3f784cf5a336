//! A whole migration over the real wire: planned, approved, carried out by two agents, followed to its end.
//!
//! Also with the controller killed again and again on the way: it goes on by itself, from its journal and from what
//! the agents say when they come back. The clusters are tables (`cluster`), which hold invariants I1, I2 and I5 from
//! the outside; the ledger is asked at the end who owns what.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use ferry_proto::{
    admin::v1::{
        CreatePlanRequest, ListMigrationsRequest, ListVolumesRequest, Migration, Order, Phase,
        StartMigrationRequest, WatchRequest, start_migration_response as started,
    },
    agent::v1::{
        GovernedService, MirrorApplied, Progress, attach_request::Message as Say,
        attach_response::Message as Told,
    },
};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::{
    agent::Agent,
    client::{Credential, Server, World, cluster, eventually},
    cluster::Clusters,
};

pub(crate) type Shared = Arc<Mutex<Clusters>>;

pub(crate) fn locked<T>(clusters: &Shared, look: impl FnOnce(&mut Clusters) -> T) -> T {
    look(&mut clusters.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An agent that comes back whenever its stream ends.
fn keep_attached(
    clusters: &Shared,
    name: &'static str,
    server: &Server,
    credential: Credential,
) -> JoinHandle<()> {
    let (clusters, server) = (Arc::clone(clusters), server.clone());
    tokio::spawn(async move {
        loop {
            // Whatever ended it: disconnection is normal.
            let _ended = serve(&clusters, name, &server, &credential).await;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
}

async fn serve(
    clusters: &Shared,
    name: &'static str,
    server: &Server,
    credential: &Credential,
) -> Result<()> {
    let resync = locked(clusters, |clusters| clusters.cluster(name).resync());
    let (mut agent, _) = Agent::attach(server, credential, resync).await?;
    for outcome in locked(clusters, |clusters| clusters.cluster(name).unacknowledged.clone()).into_values() {
        agent.say(Say::Outcome(outcome)).await?;
    }
    let mut governed: Vec<GovernedService> = Vec::new();
    let mut beat = tokio::time::interval(std::time::Duration::from_secs(2));
    loop {
        let told = tokio::select! {
            _ = beat.tick() => {
                agent.beat().await?;
                continue;
            }
            told = agent.hear.message() => told?.context("the stream ended")?.message.context("empty")?,
        };
        match told {
            Told::Attached(_) | Told::HeartbeatAck(_) => {}
            Told::OutcomeAck(ack) => {
                locked(clusters, |clusters| clusters.cluster(name).unacknowledged.remove(&ack.command_id));
            }
            Told::Governed(set) => {
                governed = set.services;
                report(clusters, name, &agent, &governed).await?;
            }
            Told::Mirror(mirror) => {
                ensure!(mirror.origin != name, "its own endpoints were mirrored to {name}");
                let applied = MirrorApplied {
                    namespace: mirror.namespace,
                    service: mirror.service,
                    origin: mirror.origin,
                    revision: mirror.revision,
                    origin_instance_id: mirror.origin_instance_id,
                    error: String::new(),
                };
                agent.say(Say::MirrorApplied(applied)).await?;
            }
            Told::Command(command) => {
                for (state, message) in [(1, "begun"), (3, "done")] {
                    let (command_id, message) = (command.id.clone(), message.to_owned());
                    agent.say(Say::Progress(Progress { command_id, step: 5, state, message })).await?;
                }
                tokio::time::sleep(locked(clusters, |clusters| clusters.pace)).await;
                let outcome = locked(clusters, |clusters| clusters.carry_out(name, command))?;
                let inventory = locked(clusters, |clusters| clusters.cluster(name).inventory());
                agent.say(Say::Inventory(inventory)).await?;
                report(clusters, name, &agent, &governed).await?;
                agent.say(Say::Outcome(outcome)).await?;
            }
        }
    }
}

async fn report(
    clusters: &Shared,
    name: &'static str,
    agent: &Agent,
    governed: &[GovernedService],
) -> Result<()> {
    for GovernedService { namespace, service } in governed {
        let report = locked(clusters, |clusters| clusters.cluster(name).endpoints(namespace, service));
        agent.say(Say::Endpoints(report)).await?;
    }
    Ok(())
}

/// A controller with east and west attached.
pub(crate) async fn attached() -> Result<(World, Shared)> {
    attached_with(&[]).await
}

/// The same, of a controller with these arguments besides.
pub(crate) async fn attached_with(arguments: &[&str]) -> Result<(World, Shared)> {
    let world = World::with(arguments).await?;
    let clusters = Arc::new(Mutex::new(Clusters::new()));
    for name in ["east", "west"] {
        let credential = world.server.join(&world.admin, cluster(name)).await?;
        keep_attached(&clusters, name, &world.server, credential);
    }
    eventually("both clusters are attached", async || {
        let mut admin = world.server.admin(&world.admin).await?;
        let listed = admin.list_clusters(ferry_proto::admin::v1::ListClustersRequest {}).await?.into_inner();
        Ok((listed.clusters.iter().filter(|cluster| cluster.attached).count() == 2).then_some(()))
    })
    .await?;
    Ok((world, clusters))
}

pub(crate) fn to(from: &str, to: &str, order: Order) -> CreatePlanRequest {
    CreatePlanRequest {
        namespace: "default".into(),
        workload: "etcd".into(),
        from: from.into(),
        to: to.into(),
        order: order.into(),
        ..CreatePlanRequest::default()
    }
}

pub(crate) async fn start(world: &World, request: CreatePlanRequest) -> Result<Migration> {
    let mut admin = world.server.admin(&world.admin).await?;
    let plan = admin.create_plan(request).await?.into_inner().plan.context("a plan")?;
    ensure!(!plan.hash.is_empty(), "refused: {:?}", plan.findings);
    ensure!(plan.volumes.len() == 3 && !plan.writes.is_empty(), "{plan:?}");
    let start = StartMigrationRequest { plan_hash: plan.hash };
    let first = admin.start_migration(start.clone()).await?.into_inner().result;
    let Some(started::Result::Migration(migration)) = first else { anyhow::bail!("refused: {first:?}") };
    let again = admin.start_migration(start).await?.into_inner().result;
    let same = matches!(&again, Some(started::Result::Migration(found)) if found.id == migration.id);
    ensure!(same, "an exact retry found {again:?}");
    Ok(migration)
}

pub(crate) async fn owners(server: &Server, admin: &Credential) -> Result<Vec<(String, String, u64)>> {
    let mut client = server.admin(admin).await?;
    let volumes = client.list_volumes(ListVolumesRequest::default()).await?.into_inner().volumes;
    let one = |volume: ferry_proto::admin::v1::Volume| (volume.cluster, volume.state, volume.epoch);
    Ok(volumes.into_iter().map(one).collect())
}

#[tokio::test]
async fn three_replicas_cross_and_come_back() -> Result<()> {
    let (world, clusters) = attached().await?;
    for (from, other, order) in [("east", "west", Order::HighestFirst), ("west", "east", Order::LowestFirst)]
    {
        let started = start(&world, to(from, other, order)).await?;
        let mut admin = world.server.admin(&world.admin).await?;
        let mut watch = admin.watch(WatchRequest { migration: started.id.clone() }).await?.into_inner();
        let mut last = None;
        while let Some(picture) = watch.message().await? {
            last = picture.migration;
        }
        let last = last.context("a picture")?;
        assert_eq!(last.phase(), Phase::Completed, "{last:?}");
        assert!(last.ordinals.iter().all(|ordinal| ordinal.step == 14), "{last:?}");
        assert!(locked(&clusters, |clusters| clusters.running(from)).is_empty());
        assert_eq!(locked(&clusters, |clusters| clusters.running(other)), [0, 1, 2]);
        let expected = (other.to_owned(), "owned".to_owned());
        for (cluster, state, epoch) in owners(&world.server, &world.admin).await? {
            assert_eq!((cluster, state), expected);
            assert!(epoch >= 2);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_migration_goes_on_through_kills_of_the_controller() -> Result<()> {
    let (world, clusters) = attached().await?;
    locked(&clusters, |clusters| clusters.pace = std::time::Duration::from_millis(30));
    let started = start(&world, to("", "west", Order::HighestFirst)).await?;
    let World { mut controller, server, admin, data } = world;
    let mut kills = 0;
    loop {
        let before = locked(&clusters, |clusters| clusters.commands);
        let phase = eventually("two more commands, or the end", async || {
            let mut client = server.admin(&admin).await?;
            let listed = client.list_migrations(ListMigrationsRequest::default()).await?.into_inner();
            let migration = listed.migrations.into_iter().find(|migration| migration.id == started.id);
            let phase = migration.context("the migration is forgotten")?.phase();
            let more = locked(&clusters, |clusters| clusters.commands) >= before + 2;
            Ok((more || phase == Phase::Completed).then_some(phase))
        })
        .await?;
        if phase == Phase::Completed {
            break;
        }
        let address = controller.address;
        controller.kill()?;
        controller = data.start_at(address)?;
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills");
    assert_eq!(locked(&clusters, |clusters| clusters.running("west")), [0, 1, 2]);
    for owner in owners(&server, &admin).await? {
        assert_eq!(owner, ("west".to_owned(), "owned".to_owned(), 2));
    }
    Ok(())
}

#[tokio::test]
async fn bad_plans_say_why() -> Result<()> {
    let (world, _clusters) = attached().await?;
    let mut admin = world.server.admin(&world.admin).await?;
    for (request, part) in [
        (to("east", "east", Order::HighestFirst), "east"),
        (to("east", "north", Order::HighestFirst), "north"),
        (
            CreatePlanRequest { workload: "nothing".into(), ..to("east", "west", Order::HighestFirst) },
            "nothing",
        ),
    ] {
        let plan = admin.create_plan(request).await?.into_inner().plan.context("a plan")?;
        assert_eq!(plan.hash, "");
        let refused =
            plan.findings.iter().find(|finding| finding.severity == "refuse").context("a refusal")?;
        assert!(format!("{refused:?}").contains(part) && !refused.remedy.is_empty(), "{refused:?}");
    }
    for request in [
        CreatePlanRequest { namespace: "Not a label".into(), ..to("east", "west", Order::HighestFirst) },
        CreatePlanRequest { order: 7, ..to("east", "west", Order::HighestFirst) },
        CreatePlanRequest { to: String::new(), ..to("east", "west", Order::HighestFirst) },
    ] {
        let status = admin.create_plan(request).await.err().context("refused")?;
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let start = StartMigrationRequest { plan_hash: "no such plan".into() };
    let result = admin.start_migration(start).await?.into_inner().result;
    assert!(
        matches!(&result, Some(started::Result::Rejection(rejection)) if rejection.code == "plan-unknown"),
        "{result:?}"
    );
    let status = admin.watch(WatchRequest { migration: "etcd-99".into() }).await.err().context("refused")?;
    assert_eq!(status.code(), Code::NotFound, "{status}");
    Ok(())
}
