//! Pause, resume, rollback, finish, describe, audit, storage and check, as a person or a script meets them.
//!
//! Refusals come from the controller with their code and are shown with it; exit codes are held to what the documentation
//! promises. What is rendered is compared to the letter beside the code; here it is that the right things are asked, and that
//! data and words go to their streams.

use anyhow::{Context, Result};
use ferry_proto::admin::v1::{self as admin, Phase};

use crate::{
    controller::Controller,
    runner::{Person, finish},
    samples::migration,
};

async fn ready(identity: &str) -> Result<(Controller, Person)> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, identity).await?;
    Ok((controller, person))
}

fn rejection(code: &str, message: &str) -> Option<Result<admin::Migration, admin::Rejection>> {
    Some(Err(admin::Rejection { code: code.into(), message: message.into(), transient: false }))
}

fn paused(stopped: bool, message: &str) -> admin::Migration {
    let paused_by = "spiffe://ferry.local/role/operator/alice".to_owned();
    let control = admin::Control { paused_by, stopped, ..admin::Control::default() };
    admin::Migration {
        message: message.into(),
        control: Some(control),
        ..migration(if stopped { Phase::Paused } else { Phase::Running }, 6, 0)
    }
}

#[tokio::test]
async fn a_pause_says_where_it_stops_and_how_to_go_on() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    controller.book().control = Some(Ok(paused(false, "pauses after ordinal 1")));
    let done = person.run(&["pause", "etcd-7"]).await?;
    assert_eq!((done.code, done.out.as_str()), (0, "migration etcd-7 pauses after ordinal 1\n"));
    assert_eq!(done.err, "Let it go on: ferry resume etcd-7\n");
    let json = person.run(&["pause", "etcd-7", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(value["control"]["stopped"], false);
    Ok(())
}

#[tokio::test]
async fn a_pause_can_be_waited_for() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    controller.migration.send_replace(paused(false, "pauses after ordinal 1"));
    controller.book().control = Some(Ok(paused(false, "pauses after ordinal 1")));
    let child = person.spawn(&["pause", "etcd-7", "--wait"])?;
    controller.called("watch", 1).await?;
    controller.migration.send_replace(paused(true, "paused by alice"));
    let done = finish(child).await?;
    assert_eq!((done.code, done.out.as_str()), (0, "migration etcd-7 paused by alice\n"));
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_exit_code_three_with_its_reason() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    for (line, code, title) in [
        (&["pause", "etcd-7"][..], "already-paused", "the migration was not paused: already-paused"),
        (&["resume", "etcd-7"], "not-paused", "the migration was not resumed: not-paused"),
        (&["rollback", "etcd-7"], "past-return", "the migration is not rolled back: past-return"),
        (&["rollback", "etcd-7", "--all"], "already-over", "the migration is not rolled back: already-over"),
        (&["finish", "etcd-7"], "not-completed", "the migration was not finished: not-completed"),
    ] {
        controller.book().control = rejection(code, "what was found, and what to do");
        person.run(line).await?.failed_with(3, &[title, "what was found, and what to do"]);
    }
    Ok(())
}

#[tokio::test]
async fn resume_and_rollback_say_how_to_watch() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    controller.book().control = Some(Ok(migration(Phase::Running, 6, 0)));
    for line in [&["resume", "etcd-7"][..], &["rollback", "etcd-7", "--all"]] {
        let done = person.run(line).await?;
        assert_eq!((done.code, done.err.as_str()), (0, "Watch it: ferry watch etcd-7\n"));
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_text_and_json() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let certificate = admin::Certificate {
        cluster: "east".into(),
        stateful_set_gone: true,
        tombstones: vec!["data-etcd-0".into()],
        ..admin::Certificate::default()
    };
    let finished = admin::Migration { certificate: Some(certificate), ..migration(Phase::Completed, 14, 14) };
    controller.book().control = Some(Ok(finished));
    let done = person.run(&["finish", "etcd-7"]).await?;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.ends_with("east holds nothing of it but tombstones.\n"), "{}", done.out);
    assert!(done.err.ends_with("ferry finish etcd-7 --accept\n"), "{}", done.err);
    let json = person.run(&["finish", "etcd-7", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!((&value["statefulSetGone"], &value["issuedAt"]), (&true.into(), &serde_json::Value::Null));
    Ok(())
}

fn record(number: u64, migration: &str) -> admin::AuditRecord {
    admin::AuditRecord {
        number,
        at_unix_ms: 1_790_000_000_000,
        by: "spiffe://ferry.local/role/operator/alice".into(),
        action: "pause-migration".into(),
        subject: "db/etcd".into(),
        migration: migration.into(),
        result: "done".into(),
        message: "".into(),
    }
}

#[tokio::test]
async fn the_audit_log_is_read_by_pages() -> Result<()> {
    let (controller, person) = ready("role/viewer/eve").await?;
    assert_eq!(person.run(&["audit"]).await?.err, "No records found.\n");
    controller.book().audit = vec![record(3, "etcd-7"), record(2, "etcd-7"), record(1, "")];
    let page = person.run(&["audit", "--limit", "2"]).await?;
    let lines: Vec<&str> = page.out.lines().collect();
    assert_eq!(lines.len(), 3, "{page:?}");
    assert!(
        lines[1].starts_with("3        2026-09-21T14:13:20Z   operator/alice   pause-migration"),
        "{page:?}"
    );
    assert_eq!(page.err, "Older ones: ferry audit --limit 2 --before 2\n");
    let rest = person.run(&["audit", "--before", "2", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&rest.out)?;
    assert_eq!((&value["items"][0]["number"], &value["nextBefore"]), (&1.into(), &serde_json::Value::Null));
    Ok(())
}

#[tokio::test]
async fn described_it_has_its_history_and_who_did_what() -> Result<()> {
    let (controller, person) = ready("role/viewer/eve").await?;
    let mut moved = migration(Phase::Completed, 14, 14);
    moved.ordinals[0].steps[4].message = "pod etcd-1 is gone".into();
    controller.migration.send_replace(moved);
    controller.book().audit = vec![record(3, "etcd-7"), record(2, "etcd-6")];
    for line in [&["describe", "migration", "etcd-7"][..], &["describe", "etcd-7"]] {
        let done = person.run(line).await?;
        assert!(done.out.starts_with("Name:         etcd-7\n"), "{done:?}");
        assert!(
            done.out.contains(" 5 stop       14:13:25.000   1.0s   pod etcd-1 is gone\n"),
            "{}",
            done.out
        );
        assert_eq!(done.out.matches("pause-migration").count(), 1, "{}", done.out);
    }
    let json = person.run(&["describe", "etcd-7", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(value["migration"]["ordinals"][0]["steps"][4]["message"], "pod etcd-1 is gone");
    assert_eq!(value["audit"].as_array().context("a list")?.len(), 1);
    person.run(&["describe", "pod", "etcd-7"]).await?.failed_with(2, &["nothing called pod"]);
    Ok(())
}

#[tokio::test]
async fn storage_is_set_and_listed() -> Result<()> {
    let (controller, person) = ready("role/admin/root").await?;
    let none = person.run(&["storage", "domain", "list"]).await?;
    assert!(none.err.contains("drivers' names are the domains"), "{none:?}");
    let set = person.run(&["storage", "domain", "set", "east", "csi.x", "array-1"]).await?;
    assert_eq!((set.code, set.out.as_str()), (0, ""));
    let listed = person.run(&["storage", "domain", "list"]).await?;
    assert_eq!(listed.out, "CLUSTER   DRIVER   DOMAIN\neast      csi.x    array-1\n");
    person.run(&["storage", "map", "add", "east", "west", "fast=premium", "-n", "db"]).await?;
    let maps = person.run(&["storage", "map", "list", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&maps.out)?;
    let expected = serde_json::json!({
        "from": "east", "to": "west", "namespace": "db", "fromClass": "fast", "toClass": "premium",
    });
    assert_eq!(value["items"], serde_json::json!([expected]));
    let missing = person.run(&["storage", "map", "rm", "east", "west", "slow"]).await?;
    missing.failed_with(3, &["refused: invalid", "no such mapping is set"]);
    assert_eq!(controller.calls("add-map"), 1);
    Ok(())
}

#[tokio::test]
async fn a_probe_says_what_was_done_or_ends_with_three() -> Result<()> {
    let (controller, person) = ready("role/operator/alice").await?;
    let line = ["storage", "probe", "--from", "east", "--to", "west", "--image", "tool:1", "--storage-class"];
    let done = person.run(&[&line[..], &["fast"]].concat()).await?;
    let expected =
        "- a disk of fast was made in east\n- read in west\nA disk of fast made in east was read in west.\n";
    assert_eq!((done.code, done.out.as_str()), (0, expected));
    assert!(done.err.contains("in east, namespace default, to be read in west"), "{done:?}");
    let json = person.run(&[&line[..], &["fast", "-o", "json"]].concat()).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(value["steps"][1], "read in west");
    let failed = person.run(&[&line[..], &["fast=slow"]].concat()).await?;
    failed.failed_with(3, &["the disk was not seen to cross: probe-failed", "no such disk"]);
    assert_eq!(controller.calls("probe"), 3);
    Ok(())
}

fn cluster(name: &str) -> admin::Cluster {
    admin::Cluster {
        name: name.into(),
        attached: true,
        api_server_ok: true,
        // As the controller here says of itself.
        agent_version: "9.9.9".into(),
        nodes: 1,
        nodes_ready: 1,
        ..admin::Cluster::default()
    }
}

#[tokio::test]
async fn check_fails_for_what_does_not_work_and_warns_of_versions() -> Result<()> {
    let (mut controller, person) = ready("role/viewer/eve").await?;
    controller.migration.send_replace(migration(Phase::Completed, 14, 14));
    controller.book().clusters = vec![cluster("east"), cluster("west")];
    let good = person.run(&["check"]).await?;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains("‼ its version is this command's"), "{}", good.out);
    assert!(good.out.ends_with("Status check results are √\n"), "{}", good.out);

    let old = admin::Cluster { agent_version: "0.0.1".into(), ..cluster("east") };
    controller.book().clusters = vec![old, admin::Cluster { attached: false, ..cluster("west") }];
    let bad = person.run(&["check", "-o", "json"]).await?;
    bad.failed_with(1, &["1 of the checks failed"]);
    let value: serde_json::Value = serde_json::from_str(&bad.out)?;
    let verdict = |group: &str, code: &str| {
        let all = value["checks"].as_array().into_iter().flatten();
        all.filter(|of| of["group"] == group && of["code"] == code).map(|of| of["verdict"].clone()).next()
    };
    assert_eq!(value["ok"], false);
    assert_eq!(verdict("cluster east", "agent-version"), Some("warn".into()));
    assert_eq!(verdict("cluster west", "agent-attached"), Some("fail".into()));
    let listed = person.run(&["clusters"]).await?;
    assert!(listed.out.contains("its agent is 0.0.1, the controller 9.9.9"), "{}", listed.out);

    controller.kill().await;
    let lost = person.run(&["check"]).await?;
    lost.failed_with(1, &["1 of the checks failed"]);
    assert!(
        lost.out.contains("√ logged in to") && lost.out.contains("× the controller answers"),
        "{}",
        lost.out
    );
    Person::new()?.run(&["check"]).await?.failed_with(1, &["1 of the checks failed"]);
    Ok(())
}

#[tokio::test]
async fn a_runbook_is_a_script_on_standard_output() -> Result<()> {
    let (controller, person) = ready("role/viewer/eve").await?;
    controller.migration.send_replace(migration(Phase::Running, 6, 0));
    let done = person.run(&["runbook", "etcd-7"]).await?;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.starts_with("#!") && done.out.contains("etcd"), "{}", done.out);
    person.run(&["runbook", "etcd-8"]).await?.failed_with(1, &["no migration etcd-8"]);
    Ok(())
}
