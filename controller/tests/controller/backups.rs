//! Backups of a controller that runs and of one that does not, and what a restore makes of them.
//!
//! The programs themselves, as a person would run them: a restored controller is asked over the wire, with the credentials of
//! before. Every way in which a restore must refuse is held to its words and to leaving things as they were.
//! Files and directories are temporary, and each controller is ended by its test.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{ListAuditRequest, ListClustersRequest, ListVolumesRequest};

use crate::{
    agent::{Agent, resync},
    client::{Server, World, cluster, token_for},
    process::{BINARY, Data},
};

/// What a program did.
struct Done {
    code: Option<i32>,
    said: String,
}

fn run(arguments: &[&str]) -> Result<Done> {
    let output = Command::new(BINARY).args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Done { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() })
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a name")
}

fn back_up(data: &Data, file: &Path) -> Result<Done> {
    run(&["backup", "--data", text(data.path())?, "--output", text(file)?])
}

fn restore(file: &Path, dir: &Path) -> Result<Done> {
    run(&["restore", text(file)?, "--data", text(dir)?])
}

#[tokio::test]
async fn a_running_controller_is_backed_up_and_comes_back_as_the_next_generation() -> Result<()> {
    let World { controller, server, admin, data } = World::new().await?;
    let east = server.join(&admin, cluster("east")).await?;
    let (agent, before) = Agent::attach(&server, &east, resync("uid-east", "vol-1")).await?;
    let token =
        server.admin(&admin).await?.create_token(token_for(cluster("west"))).await?.into_inner().token;
    let volumes = server.admin(&admin).await?.list_volumes(ListVolumesRequest::default()).await?.into_inner();
    let scratch = Data::new()?;
    let file = scratch.path().join("backup");
    let done = back_up(&data, &file)?;
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let socket = data.path().join("backup.sock");
    assert_eq!(fs::metadata(&socket)?.permissions().mode() & 0o777, 0o600);
    server.admin(&admin).await?.list_clusters(ListClustersRequest {}).await?;
    drop(agent);
    controller.kill()?;

    let new = Data::new()?;
    let done = restore(&file, new.path())?;
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert!(
        done.said.contains("as generation 2") && done.said.contains("ferry-controller serve"),
        "{}",
        done.said
    );
    let controller = new.start()?;
    assert_eq!(controller.first_token, None, "nobody gets in by a restore");
    let server = Server::new(&new, &controller)?;
    let mut client = server.admin(&admin).await?;
    assert_eq!(client.list_volumes(ListVolumesRequest::default()).await?.into_inner(), volumes);
    let (_agent, after) = Agent::attach(&server, &east, resync("uid-east", "vol-1")).await?;
    assert_eq!((before.generation, after.generation), (1, 2));
    let void = server.enroll(&token).await.err().context("a token of before")?;
    assert!(void.to_string().contains("no such token"), "{void}");
    let records = client.list_audit(ListAuditRequest::default()).await?.into_inner().records;
    assert_eq!(records.iter().filter(|of| of.action == "restore").count(), 1, "{records:?}");
    assert!(records.iter().any(|of| of.action == "create-token"), "the log of before is there: {records:?}");
    Ok(())
}

#[tokio::test]
async fn a_stopped_controller_is_backed_up_from_its_journal() -> Result<()> {
    let World { controller, data, .. } = World::new().await?;
    controller.kill()?;
    let scratch = Data::new()?;
    let file = scratch.path().join("backup");
    let done = back_up(&data, &file)?;
    assert_eq!(done.code, Some(0), "{}", done.said);
    assert_eq!(restore(&file, &scratch.path().join("new"))?.code, Some(0));
    let piped = run(&["backup", "--data", text(data.path())?, "--output", "-"])?;
    assert!(piped.code == Some(0) && piped.said.starts_with("ferry-backup 1\n"), "{}", piped.said);

    let none = run(&["backup", "--data", text(&scratch.path().join("none"))?, "--output", text(&file)?])?;
    assert_eq!(none.code, Some(1));
    assert!(none.said.contains("is missing or empty"), "{}", none.said);
    assert!(!scratch.path().join("none").exists(), "nothing was made");
    Ok(())
}

#[tokio::test]
async fn what_must_not_be_restored_is_refused_and_left_alone() -> Result<()> {
    let World { controller, data, .. } = World::new().await?;
    let scratch = Data::new()?;
    let file = scratch.path().join("backup");
    assert_eq!(back_up(&data, &file)?.code, Some(0));
    let good = fs::read(&file)?;
    let dir = scratch.path().join("new");
    let refused = |bytes: &[u8], dir: &Path, parts: &[&str]| -> Result<()> {
        fs::write(&file, bytes)?;
        let done = restore(&file, dir)?;
        assert_eq!(done.code, Some(1), "{}", done.said);
        for part in parts {
            assert!(done.said.contains(part), "expected {part:?} in {}", done.said);
        }
        Ok(())
    };
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x20;
    refused(&damaged, &dir, &["is damaged", "checksum does not fit", "nothing was restored"])?;
    refused(&good[..middle], &dir, &["is damaged", "its end is missing"])?;
    refused(b"PNG", &dir, &["is no backup of a Ferry controller"])?;
    refused(
        &good.replacen_first(b"ferry-backup 1", b"ferry-backup 9"),
        &dir,
        &["format 9", "reads format 1"],
    )?;
    assert!(!dir.exists(), "nothing was made");
    refused(&good, data.path(), &["holds a journal already", "a restore never replaces one"])?;
    assert_eq!(controller.terminate()?.code(), Some(0));
    assert!(!data.path().join("backup.sock").exists(), "the socket goes with the controller");
    refused(&good, data.path(), &["holds a journal already"])?;

    let other = World::new().await?;
    other.controller.terminate()?;
    fs::remove_file(other.data.journal())?;
    refused(&good, other.data.path(), &["belongs to another controller", "its CA is"])?;
    assert!(!other.data.journal().exists());
    fs::write(&file, &good)?;
    let missing = restore(&scratch.path().join("nowhere"), &dir)?;
    assert!(missing.code == Some(1) && missing.said.contains("cannot read"), "{}", missing.said);
    Ok(())
}

/// As `str::replacen` with a count of one.
trait ReplaceFirst {
    fn replacen_first(&self, what: &[u8], with: &[u8]) -> Vec<u8>;
}

impl ReplaceFirst for Vec<u8> {
    fn replacen_first(&self, what: &[u8], with: &[u8]) -> Vec<u8> {
        match self.windows(what.len()).position(|window| window == what) {
            Some(at) => [&self[..at], with, &self[at + what.len()..]].concat(),
            None => self.clone(),
        }
    }
}
