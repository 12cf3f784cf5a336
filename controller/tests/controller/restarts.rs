//! What survives: kill -9 at any moment, a second controller, a damaged journal, a full disk.
//!
//! What was acknowledged is asked for again after the restart; what was not may be there or not. Refusals are held to
//! their exit code and to the words that tell a person what to do, and to leaving the file as it was. Kills
//! come right after an acknowledgement, with others under way: no point of their commits is preferred.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{ListClustersRequest, ListVolumesRequest};

use crate::{
    agent::{Agent, resync},
    client::{Credential, Server, World, cluster, token_for},
    process::{BINARY, DEADLINE, Data},
};

#[tokio::test]
async fn everything_acknowledged_survives_a_kill() -> Result<()> {
    let World { controller, server, admin, data } = World::new().await?;
    let east = server.join(&admin, cluster("east")).await?;
    let (agent, _) = Agent::attach(&server, &east, resync("uid-east", "vol-1")).await?;
    let token =
        server.admin(&admin).await?.create_token(token_for(cluster("west"))).await?.into_inner().token;
    let mut client = server.admin(&admin).await?;
    let volumes = client.list_volumes(ListVolumesRequest::default()).await?.into_inner();
    controller.kill()?;
    drop(agent);

    let controller = data.start()?;
    assert_eq!(controller.first_token, None, "the first credential is shown once");
    let server = Server::new(&data, &controller)?;
    let mut client = server.admin(&admin).await?;
    let clusters = client.list_clusters(ListClustersRequest {}).await?.into_inner().clusters;
    assert_eq!(clusters.len(), 1);
    assert_eq!((clusters[0].name.as_str(), clusters[0].uid.as_str()), ("east", "uid-east"));
    assert!(!clusters[0].attached);
    assert_eq!(client.list_volumes(ListVolumesRequest::default()).await?.into_inner(), volumes);
    server.enroll(&token).await?;
    Agent::attach(&server, &east, resync("uid-east", "vol-1")).await?;
    Ok(())
}

/// Makes tokens from several connections until the controller is gone; those that were acknowledged, which `count`
/// counts as they come.
async fn tokens_until_gone(server: &Server, admin: &Credential, count: &AtomicUsize) -> Result<Vec<String>> {
    let makers = (0..8).map(async |maker| {
        let mut tokens = Vec::new();
        let Ok(mut client) = server.admin(admin).await else { return anyhow::Ok(tokens) };
        while let Ok(made) = client.create_token(token_for(cluster(&format!("c-{maker}")))).await {
            tokens.push(made.into_inner().token);
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(tokens)
    });
    Ok(futures::future::try_join_all(makers).await?.concat())
}

#[tokio::test]
async fn no_acknowledged_token_is_lost_by_kills_at_any_moment() -> Result<()> {
    let World { mut controller, mut server, admin, data } = World::new().await?;
    for kill_after in [1, 9, 30, 77, 150] {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let killer = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + DEADLINE;
            while seen.load(Ordering::Relaxed) < kill_after && Instant::now() < deadline {
                std::thread::yield_now();
            }
            controller.kill()
        });
        let tokens = tokens_until_gone(&server, &admin, &count).await?;
        killer.await??;
        assert!(tokens.len() >= kill_after, "only {} tokens in {} s", tokens.len(), DEADLINE.as_secs());
        controller = data.start()?;
        server = Server::new(&data, &controller)?;
        for token in tokens.iter().step_by(tokens.len() / 20 + 1) {
            server.enroll(token).await.with_context(|| format!("killed after {kill_after}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_second_controller_is_refused_and_the_first_goes_on() -> Result<()> {
    let world = World::new().await?;
    let (code, said) = world.data.fail()?;
    assert_eq!(code, Some(1));
    assert!(said.contains("in use by another controller: stop that one first"), "{said}");
    world.server.admin(&world.admin).await?.list_clusters(ListClustersRequest {}).await?;
    Ok(())
}

#[tokio::test]
async fn a_damaged_journal_is_refused_and_left_alone() -> Result<()> {
    let World { controller, server, admin, data } = World::new().await?;
    for _ in 0..20 {
        server.admin(&admin).await?.create_token(token_for(cluster("east"))).await?;
    }
    assert_eq!(controller.terminate()?.code(), Some(0));
    let good = fs::read(data.journal())?;
    let place = good.windows(4).rposition(|window| window == b"east").context("an entry in the file")?;
    let mut damaged = good.clone();
    damaged[place] ^= 0x20;
    fs::write(data.journal(), &damaged)?;
    let (code, said) = data.fail()?;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is damaged") && said.contains("restore the file from a backup"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(fs::read(data.journal())?, damaged, "the damaged file was changed");
    fs::write(data.journal(), good)?;
    let controller = data.start()?;
    let server = Server::new(&data, &controller)?;
    server.admin(&admin).await?.list_clusters(ListClustersRequest {}).await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_journal_is_not_replaced_by_an_empty_one() -> Result<()> {
    let World { controller, data, .. } = World::new().await?;
    controller.terminate()?;
    fs::write(data.journal(), "")?;
    for _ in 0..2 {
        let (code, said) = data.fail()?;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("is missing or empty") && said.contains("Restore the file"), "{said}");
        fs::remove_file(data.journal())?;
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_ends_the_process_and_loses_nothing_acknowledged() -> Result<()> {
    let data = Data::new()?;
    let admin = {
        let controller = data.start()?;
        let server = Server::new(&data, &controller)?;
        let admin = server.enroll(controller.first_token.as_ref().context("first token")?).await?;
        controller.terminate()?;
        admin
    };
    let blocks = u32::try_from(fs::metadata(data.journal())?.len() / 512)? + 256;
    let mut controller = data.start_on_full_disk(blocks)?;
    let server = Server::new(&data, &controller)?;
    let tokens = tokens_until_gone(&server, &admin, &AtomicUsize::new(0)).await?;
    assert_eq!(controller.wait()?.code(), Some(74));
    let said = controller.stderr()?;
    assert!(said.contains("no space for the journal") && said.contains("Free space"), "{said}");

    let controller = data.start()?;
    let server = Server::new(&data, &controller)?;
    assert!(!tokens.is_empty());
    for token in tokens.iter().rev().take(20) {
        server.enroll(token).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_address_in_use_is_named() -> Result<()> {
    let world = World::new().await?;
    let other = Data::new()?;
    let output = Command::new(BINARY)
        .args(["serve", "--data"])
        .arg(other.path())
        .args(["--listen", &world.controller.address.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {}", world.controller.address)), "{said}");
    Ok(())
}

#[tokio::test]
async fn wrong_usage_exits_with_2() -> Result<()> {
    for arguments in [
        &["serve"][..],
        &["serve", "--data", "x", "--listen", "nowhere"],
        &["serve", "--data", "x", "--cert-ttl", "1s"],
        &["serve", "--data", "x", "--ca-cert", "x"],
        &["serve", "--data", "x", "--trust-domain", "Not A Domain"],
        &["juggle"],
    ] {
        let output = Command::new(BINARY).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let output = Command::new(BINARY).arg("version").output()?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ferry-controller 0.1.0\n");
    assert_eq!(output.status.code(), Some(0));
    Ok(())
}
