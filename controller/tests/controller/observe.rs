//! What a controller says about itself: metrics and health over HTTP, health and reflection over gRPC, its log.
//!
//! As a scraper, a probe and a log collector see it, over the real sockets of the real binary. The authorization of the
//! gRPC services is the table's own test; here it is only that they answer whom it lets through. Traces and events take
//! agents and clusters, and are looked at end to end.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, ensure};
use ferry_proto::admin::v1::{Order, WatchRequest};
use serde_json::Value;
use tonic::Code;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    client::{World, eventually, role},
    crossing,
    process::{DEADLINE, Data},
};

const WATCHED: [&str; 4] = ["--metrics-listen", "127.0.0.1:0", "--log-format", "json"];

fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: ferry\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test]
async fn a_migration_is_counted_and_can_be_followed_in_the_log() -> Result<()> {
    let (mut world, _clusters) = crossing::attached_with(&WATCHED).await?;
    let metrics = world.controller.metrics.context("no metrics")?;
    ensure!(get(metrics, "/readyz")?.starts_with("HTTP/1.1 200"), "not ready");
    let migration = crossing::start(&world, crossing::to("east", "west", Order::HighestFirst)).await?.id;
    let mut admin = world.server.admin(&world.admin).await?;
    let mut watch = admin.watch(WatchRequest { migration: migration.clone() }).await?.into_inner();
    while watch.message().await?.is_some() {}
    let expected = [
        "ferry_controller_sessions 2.0",
        "ferry_controller_migrations{phase=\"completed\"} 1.0",
        "ferry_controller_migrations_ended_total{phase=\"completed\"} 1",
        "ferry_controller_handoff_duration_seconds_count 3",
        "ferry_controller_commands_total{verb=\"release\",outcome=\"evidence\"} 3",
        "ferry_controller_cluster_attached{cluster=\"west\"} 1.0",
    ];
    // What is measured at a scrape is kept for the next ones a while.
    for line in expected {
        eventually(line, async || {
            let scraped = get(metrics, "/metrics")?;
            Ok(scraped.lines().any(|written| written == line).then_some(()))
        })
        .await?;
    }
    let log = world.controller.end()?;
    let lines = log.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    // A pod may be called like the migration: whole values, and the beginnings of commands' ids.
    let named = [format!("\"{migration}\""), format!("\"{migration}/")];
    let names = |line: &&Value| named.iter().any(|name| line.to_string().contains(name));
    let concerned: Vec<&Value> = lines.iter().filter(names).collect();
    for line in &concerned {
        ensure!(line["migration"] == *migration, "no field migration: {line}");
        ensure!(line["workload"].is_string(), "no field workload: {line}");
        ensure!(line["command"].is_null() || line["cluster"].is_string(), "no field cluster: {line}");
        ensure!(line["step"].is_null() || line["ordinal"].is_u64(), "no field ordinal: {line}");
    }
    let verbs = ["prepare-source", "prepare-target", "hold", "release", "adopt", "retire", "settle"];
    for verb in verbs {
        let sent =
            concerned.iter().any(|line| line["verb"] == verb && line["message"] == "a command is sent");
        let ended = concerned.iter().any(|line| line["verb"] == verb && line["outcome"] == "evidence");
        ensure!(sent && ended, "the log does not tell of {verb}:\n{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_metrics_port_that_is_taken_is_told_with_what_to_do() -> Result<()> {
    let world = World::with(&WATCHED).await?;
    let taken = world.controller.metrics.context("no metrics")?.to_string();
    let refused =
        Data::new()?.start_with(&["--metrics-listen", &taken]).err().context("it started")?.to_string();
    ensure!(refused.contains(&taken) && refused.contains("--metrics-listen"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn health_and_reflection_answer_a_viewer_and_nobody_else() -> Result<()> {
    let world = World::new().await?;
    let viewer = world.server.join(&world.admin, role("viewer")).await?;
    let viewer = world.server.channel(Some(&viewer)).await?;
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let health = HealthClient::new(viewer.clone()).check(check("ferry.admin.v1.AdminService")).await?;
    assert_eq!(health.into_inner().status, ServingStatus::Serving as i32);
    let asked = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut answers = ServerReflectionClient::new(viewer)
        .server_reflection_info(tokio_stream::once(asked))
        .await?
        .into_inner();
    let answer = answers.message().await?.context("no answer")?.message_response;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
        anyhow::bail!("no list of services: {answer:?}");
    };
    let names: Vec<&str> = listed.service.iter().map(|service| service.name.as_str()).collect();
    ensure!(names.contains(&"ferry.agent.v1.AgentService"), "{names:?}");
    let stranger = world.server.channel(None).await?;
    let denied =
        HealthClient::new(stranger).check(check("")).await.err().context("a stranger was answered")?;
    assert_eq!(denied.code(), Code::Unauthenticated);
    Ok(())
}
