//! Streams of agents: resync, replacement, and every way in which one is refused.
//!
//! Each refusal must name its reason in the status, end that stream only, and leave the controller serving others. A
//! refused stream must leave the ledger as it was: a cluster keeps the UID it attached with first. Heartbeats are
//! tested by their absence, which takes as long as the time-out.

use anyhow::{Context, Result};
use ferry_proto::{
    admin::v1::{Cluster, ListClustersRequest, ListVolumesRequest},
    agent::v1::{AttachRequest, Endpoint, EndpointsReport, Progress, Resync, attach_request::Message as Say},
};
use tonic::Code;

use crate::{
    agent::{Agent, resync},
    client::{Credential, World, cluster, eventually, role},
};

async fn clusters(world: &World) -> Result<Vec<Cluster>> {
    let mut admin = world.server.admin(&world.admin).await?;
    Ok(admin.list_clusters(ListClustersRequest {}).await?.into_inner().clusters)
}

async fn world(names: &[&str]) -> Result<(World, Vec<Credential>)> {
    let world = World::new().await?;
    let mut credentials = Vec::new();
    for name in names {
        credentials.push(world.server.join(&world.admin, cluster(name)).await?);
    }
    Ok((world, credentials))
}

#[tokio::test]
async fn an_agent_attaches_and_its_cluster_is_listed() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let (mut agent, attached) =
        Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    assert_eq!(attached.cluster, "east");
    assert_eq!(attached.wire_version, 1);
    assert_eq!((attached.heartbeat_interval_ms, attached.heartbeat_timeout_ms), (2_000, 10_000));
    assert!(attached.generation >= 1);
    agent.beat().await?;
    agent.hear_ack().await?;

    let listed = clusters(&world).await?;
    assert_eq!(listed.len(), 1);
    let east = &listed[0];
    assert_eq!((east.name.as_str(), east.uid.as_str(), east.attached), ("east", "uid-east", true));
    assert_eq!((east.nodes, east.nodes_ready, east.workloads, east.volumes), (2, 2, 1, 1));
    let mut admin = world.server.admin(&world.admin).await?;
    let volumes = admin.list_volumes(ListVolumesRequest::default()).await?.into_inner().volumes;
    assert_eq!(volumes.len(), 1);
    let volume = &volumes[0];
    assert_eq!((volume.handle.as_str(), volume.cluster.as_str(), volume.ordinal), ("vol-1", "east", 0));
    assert_eq!((volume.state.as_str(), volume.claim_name.as_str()), ("owned", "data-etcd-0"));

    drop(agent);
    eventually("east is detached", async || {
        Ok(clusters(&world).await?.iter().any(|cluster| !cluster.attached).then_some(()))
    })
    .await
}

#[tokio::test]
async fn one_volume_in_two_clusters_is_a_conflict_that_is_shown() -> Result<()> {
    let (world, credentials) = world(&["east", "west"]).await?;
    let _east = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    let _west = Agent::attach(&world.server, &credentials[1], resync("uid-west", "vol-1")).await?;
    let mut admin = world.server.admin(&world.admin).await?;
    let volumes = admin.list_volumes(ListVolumesRequest::default()).await?.into_inner().volumes;
    let conflict = volumes.iter().find(|volume| volume.state == "conflict").context("a conflict")?;
    assert!(conflict.message.contains("east") && conflict.message.contains("west"), "{}", conflict.message);
    Ok(())
}

#[tokio::test]
async fn a_newer_stream_takes_the_place_of_the_older() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let (older, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    let (mut newer, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    assert_eq!(older.end().await?.code(), Code::Aborted);
    newer.beat().await?;
    newer.hear_ack().await?;
    assert!(clusters(&world).await?[0].attached);
    Ok(())
}

#[tokio::test]
async fn another_clusters_uid_is_refused_and_the_first_one_stays() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let (first, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    drop(first);
    let other = Agent::open(&world.server, &credentials[0]).await?;
    other.say(Say::Resync(resync("uid-other", "vol-1"))).await?;
    let status = other.end().await?;
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("uid-east") && status.message().contains("uid-other"), "{status}");
    assert_eq!(clusters(&world).await?[0].uid, "uid-east");
    Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    Ok(())
}

#[tokio::test]
async fn an_agent_that_was_refused_is_named_in_the_list_of_clusters() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let east = &credentials[0];
    drop(Agent::attach(&world.server, east, resync("uid-east", "vol-1")).await?);
    eventually("it is detached", async || Ok((!clusters(&world).await?[0].attached).then_some(()))).await?;
    let future = Agent::open(&world.server, east).await?;
    let newer = Resync { wire_version: 2, agent_version: "9.0".into(), ..resync("uid-east", "vol-1") };
    future.say(Say::Resync(newer)).await?;
    future.end().await?;
    let message = clusters(&world).await?[0].message.clone();
    for part in ["was refused", "the agent 2 (version 9.0)", "run an agent of the controller's version"] {
        assert!(message.contains(part), "{message}");
    }
    let _agent = Agent::attach(&world.server, east, resync("uid-east", "vol-1")).await?;
    assert!(!clusters(&world).await?[0].message.contains("refused"));
    Ok(())
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_the_reason() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let east = &credentials[0];

    let future = Agent::open(&world.server, east).await?;
    let mut newer = resync("uid-east", "vol-1");
    newer.wire_version = 2;
    future.say(Say::Resync(newer)).await?;
    let status = future.end().await?;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("wire version 1, the agent 2"), "{status}");

    let unspecified =
        Say::Progress(Progress { command_id: "x".into(), step: 5, state: 99, message: "".into() });
    let endpoints = |address: &str| {
        Say::Endpoints(EndpointsReport {
            namespace: "default".into(),
            service: "etcd".into(),
            endpoints: vec![Endpoint { address: address.into(), ..Endpoint::default() }],
            ..EndpointsReport::default()
        })
    };
    let mut nameless = resync("uid-east", "vol-1");
    nameless.inventory.as_mut().context("inventory")?.volumes[0].workload = None;
    let cases = [
        (None, Some(Say::Heartbeat(Default::default())), "first message"),
        (None, None, "first message"),
        (None, Some(Say::Resync(nameless)), "workload is missing"),
        (None, Some(Say::Resync(resync("", "vol-1"))), "cluster_uid"),
        (Some(()), Some(Say::Resync(resync("uid-east", "vol-1"))), "second resync"),
        (Some(()), Some(unspecified), "progress.state has the value 99"),
        (Some(()), Some(endpoints("not-an-address")), "IP address"),
        (Some(()), None, "message is missing"),
        (Some(()), Some(Say::Heartbeat(Default::default())), "heartbeat.health"),
    ];
    for (attached, message, reason) in cases {
        let agent = match attached {
            Some(()) => Agent::attach(&world.server, east, resync("uid-east", "vol-1")).await?.0,
            None => Agent::open(&world.server, east).await?,
        };
        agent.say_raw(AttachRequest { message }).await?;
        let status = agent.end().await?;
        assert_eq!(status.code(), Code::InvalidArgument, "{reason}: {status}");
        assert!(status.message().contains(reason), "{reason}: {status}");
    }
    Ok(())
}

#[tokio::test]
async fn an_oversized_message_ends_its_stream_only() -> Result<()> {
    let (world, credentials) = world(&["east", "west"]).await?;
    let (agent, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    let (mut other, _) = Agent::attach(&world.server, &credentials[1], resync("uid-west", "vol-2")).await?;
    let message = "x".repeat(5 * 1024 * 1024);
    agent.say(Say::Progress(Progress { command_id: "x".into(), step: 5, state: 1, message })).await?;
    let status = agent.end().await?;
    assert_ne!(status.code(), Code::Ok, "{status}");
    other.beat().await?;
    other.hear_ack().await
}

#[tokio::test]
async fn silence_ends_a_stream() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let (agent, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    let status = agent.end().await?;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("heartbeat"), "{status}");
    Ok(())
}

#[tokio::test]
async fn only_a_cluster_attaches() -> Result<()> {
    let world = World::new().await?;
    let operator = world.server.join(&world.admin, role("operator")).await?;
    for credential in [&world.admin, &operator] {
        let error = Agent::open(&world.server, credential).await.err().context("refused")?;
        let status = error.downcast::<tonic::Status>()?;
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(status.message().contains("it takes a cluster's agent"), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn termination_tells_agents_and_is_clean() -> Result<()> {
    let (world, credentials) = world(&["east"]).await?;
    let (agent, _) = Agent::attach(&world.server, &credentials[0], resync("uid-east", "vol-1")).await?;
    let World { controller, .. } = world;
    let terminated = tokio::task::spawn_blocking(move || controller.terminate());
    assert_eq!(agent.end().await?.code(), Code::Unavailable);
    assert_eq!(terminated.await??.code(), Some(0));
    Ok(())
}
