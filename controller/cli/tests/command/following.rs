//! Migrations that are started and followed: to their end, through a lost controller, until Ctrl-C.
//!
//! The controller's migration is moved from state to state by the test, which waits for the line that each state must
//! produce before it goes on, so that nothing depends on timing. Ctrl-C is a real signal, a lost controller a real end of
//! its connections, and every case ends with the exit code that scripts rely on.

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{self as admin, Phase, start_migration_response::Result as Started};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    controller::Controller,
    runner::{Person, finish},
    samples::{HASH, migration, plan},
};

async fn ready(identity: &str) -> Result<(Controller, Person)> {
    ready_on(Controller::start().await?, identity).await
}

async fn ready_on(controller: Controller, identity: &str) -> Result<(Controller, Person)> {
    let person = Person::logged_in(&controller, identity).await?;
    let begun = migration(Phase::Preparing, 0, 0);
    controller.book().plan = plan();
    controller.book().start = Some(Started::Migration(begun.clone()));
    controller.migration.send_replace(begun);
    Ok((controller, person))
}

fn interrupt(child: &Child) -> Result<()> {
    let pid = i32::try_from(child.id().context("it has ended")?)?;
    Ok(kill(Pid::from_raw(pid), Signal::SIGINT)?)
}

#[tokio::test]
async fn followed_to_its_end_in_lines() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let mut child = person.spawn(&["migrate", "sts/etcd", "-n", "db", "--to", "west", "--yes"])?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let mut next = async || anyhow::Ok(lines.next_line().await?.unwrap_or_default());
    assert!(next().await?.ends_with("Z db/etcd preparing from east to west"));
    controller.migration.send_replace(migration(Phase::Running, 6, 0));
    assert!(next().await?.ends_with("Z db/etcd running from east to west"));
    let waits = "2026-09-21T14:13:26Z db/etcd etcd-1 detach (6/13): waits for VolumeAttachment csi-1";
    assert_eq!(next().await?, waits);
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    assert_eq!(next().await?, "2026-09-21T14:13:34Z db/etcd etcd-1 done in 13.0s");
    assert_eq!(next().await?, "2026-09-21T14:13:34Z db/etcd etcd-0 done in 13.0s");
    assert_eq!(next().await?, "2026-09-21T14:14:22Z db/etcd completed from east to west");
    assert_eq!(next().await?, "db/etcd  east → west  completed: 2 of 2 replicas moved in 1m02s");
    assert_eq!(next().await?, "");
    assert!(next().await?.starts_with("REPLICA   TOTAL   RESERVE"));
    let done = finish(child).await?;
    assert_eq!(done.code, 0, "{done:?}");
    Ok(())
}

#[tokio::test]
async fn json_is_one_migration_a_line() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let child = person.spawn(&["migrate", "--plan", HASH, "-o", "json"])?;
    controller.called("watch", 1).await?;
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    let done = finish(child).await?;
    let phases: Vec<String> = done
        .out
        .lines()
        .map(|line| Ok(serde_json::from_str::<serde_json::Value>(line)?["phase"].to_string()))
        .collect::<Result<_>>()?;
    assert_eq!((done.code, phases), (0, vec!["\"preparing\"".to_owned(), "\"completed\"".to_owned()]));
    assert_eq!((controller.calls("plan"), done.err.as_str()), (0, ""));
    Ok(())
}

#[tokio::test]
async fn another_end_is_exit_code_five() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let message = "claim data-etcd-0 exists in west; expected none; remove it".to_owned();
    controller.migration.send_replace(admin::Migration { message, ..migration(Phase::Refused, 0, 0) });
    let done = person.run(&["watch", "etcd-7"]).await?;
    done.failed_with(5, &["migration etcd-7 refused", "data-etcd-0 exists", "nothing has moved"]);
    person.run(&["watch", "etcd-8"]).await?.failed_with(1, &["no migration etcd-8"]);
    Ok(())
}

#[tokio::test]
async fn a_rejected_start_is_a_refusal() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    controller.book().start = Some(Started::Rejection(admin::Rejection {
        code: "world-changed".into(),
        message: "etcd-1 is not Available any more; plan again".into(),
        transient: false,
    }));
    let done = person.run(&["migrate", "--plan", HASH]).await?;
    done.failed_with(3, &["not started: world-changed", "etcd-1 is not Available any more"]);
    Ok(())
}

#[tokio::test]
async fn detached_it_says_how_to_watch() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    for flag in ["--detach", "--no-wait"] {
        let done = person.run(&["migrate", "etcd", "--to", "west", "-n", "db", "--yes", flag]).await?;
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(done.out, "migration etcd-7 started at 2026-09-21T14:13:20.000Z\n");
        assert!(done.err.ends_with("Watch it: ferry watch etcd-7\n"), "{done:?}");
    }
    let other = person.run(&["migrate", "zookeeper", "--plan", HASH, "--detach"]).await?;
    assert!(other.err.contains("that plan is of db/etcd"), "{other:?}");
    assert_eq!(controller.calls("watch"), 0);
    Ok(())
}

#[tokio::test]
async fn a_lost_controller_is_dialled_again() -> Result<()> {
    let (mut controller, person) =
        ready_on(Controller::start_on("127.0.0.2").await?, "role/viewer/eve").await?;
    controller.migration.send_replace(migration(Phase::Running, 6, 0));
    let mut child = person.spawn(&["watch", "etcd-7"])?;
    let mut errors = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    controller.called("watch", 1).await?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    assert!(lines.next_line().await?.context("no line")?.ends_with("running from east to west"));
    controller.kill().await;
    let lost = errors.next_line().await?.context("no notice")?;
    assert_eq!(lost, "controller unreachable, the migration goes on; retrying");
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    controller.restart().await?;
    assert_eq!(errors.next_line().await?.context("no notice")?, "the controller is back");
    assert_eq!(finish(child).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn ctrl_c_leaves_the_migration_alone() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let child = person.spawn(&["migrate", "--plan", HASH])?;
    controller.called("watch", 1).await?;
    interrupt(&child)?;
    finish(child).await?.failed_with(130, &["the migration goes on", "ferry watch etcd-7"]);

    let mut child = person.spawn(&["watch", "etcd-7", "-o", "json"])?;
    drop(child.stdout.take());
    finish(child).await?.failed_with(130, &["the migration goes on", "ferry watch etcd-7"]);
    Ok(())
}

#[tokio::test]
async fn all_migrations_are_followed_without_end() -> Result<()> {
    let (controller, person) = ready("role/viewer/eve").await?;
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    let mut child = person.spawn(&["watch"])?;
    controller.called("watch", 1).await?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let again = admin::Migration { id: "etcd-8".into(), ..migration(Phase::Preparing, 0, 0) };
    controller.migration.send_replace(again);
    let first = lines.next_line().await?.context("no line")?;
    assert!(first.ends_with("preparing from east to west"), "the one that had ended is not news: {first}");
    interrupt(&child)?;
    finish(child).await?.failed_with(130, &["ferry watch\n"]);
    Ok(())
}

#[tokio::test]
async fn one_migration_is_shown_with_its_replicas() -> Result<()> {
    let (controller, person) = ready("role/viewer/eve").await?;
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    let one = person.run(&["get", "etcd-7"]).await?;
    assert!(
        one.out.contains("Completed   2/2     62s") && one.out.contains("etcd-1    done   13.0s"),
        "{}",
        one.out
    );
    let list = person.run(&["get", "migrations"]).await?;
    assert!(list.out.starts_with("ID       NAMESPACE   STATEFULSET"), "{}", list.out);
    let json = person.run(&["get", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(value["items"][0]["endedAt"], "2026-09-21T14:14:22.000Z");
    Ok(())
}
