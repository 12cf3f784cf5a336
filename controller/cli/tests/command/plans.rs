//! Plans, refusals, and the tables that are read by scripts.
//!
//! What a plan looks like is tested beside its rendering; here it is that a refused plan shows everything at once and
//! exits with 3, that nothing starts without approval, that JSON keeps its shape, and that neither colours nor control
//! characters from a cluster reach a pipe.

use anyhow::Result;
use ferry_proto::admin::v1 as admin;

use crate::{
    controller::Controller,
    runner::Person,
    samples::{HASH, finding, plan},
};

#[tokio::test]
async fn a_plan_ends_with_the_command_that_runs_it() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    controller.book().plan = plan();
    let shown = person.run(&["plan", "statefulset/etcd", "-n", "db", "--to", "west"]).await?;
    assert_eq!(shown.code, 0, "{shown:?}");
    let next = format!("  ferry migrate statefulset/etcd -n db --to west --plan {HASH}\n");
    assert!(shown.out.ends_with(&next), "{}", shown.out);
    assert!(!shown.out.contains('\u{1b}'), "no colours in a pipe");

    let json = person.run(&["plan", "etcd", "--to", "west", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!((value["hash"].as_str(), value["order"].as_str()), (Some(HASH), Some("highest-first")));
    assert_eq!(value["expiresAt"], "2026-09-21T14:13:20.000Z");
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/plan.json");
    let schema = serde_json::from_slice(&std::fs::read(published)?)?;
    jsonschema::validate(&schema, &value).map_err(|error| anyhow::anyhow!("{error}"))
}

#[tokio::test]
async fn what_is_chosen_reaches_the_controller() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    controller.book().plan = plan();
    let line = ["plan", "etcd", "--to", "west", "--ordinals", "1-2", "--storage-class", "fast=premium"];
    let shown = person.run(&[&line[..], &["--deadline", "start=10m"]].concat()).await?;
    assert_eq!(shown.code, 0, "{shown:?}");
    let asked = controller.book().asked_plan.clone();
    assert_eq!(asked.ordinals, [1, 2]);
    assert_eq!(asked.storage_classes.get("fast").map(String::as_str), Some("premium"));
    let deadline = admin::StepDeadline { step: 10, step_name: String::new(), deadline_ms: 600_000 };
    assert_eq!(asked.deadlines, [deadline]);
    Ok(())
}

#[tokio::test]
async fn a_refused_plan_names_everything_at_once() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/operator/alice").await?;
    let findings =
        vec![finding("a-note", "note"), finding("no-driver", "refuse"), finding("rollout", "refuse")];
    controller.book().plan = admin::Plan { hash: String::new(), findings, ..plan() };
    let shown = person.run(&["plan", "etcd", "--to", "west"]).await?;
    shown.failed_with(3, &["the plan is refused", "2 of the checks refuse"]);
    for code in ["no-driver", "rollout", "a-note"] {
        for part in ["found", "expected", "remedy"] {
            assert!(shown.out.contains(&format!("{part} of {code}")), "{}", shown.out);
        }
    }
    let json = person.run(&["plan", "etcd", "--to", "west", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!((json.code, &value["hash"]), (3, &serde_json::Value::Null));
    assert_eq!(value["findings"][0]["severity"], "refuse");

    let migrate = person.run(&["migrate", "etcd", "--to", "west", "--yes"]).await?;
    migrate.failed_with(3, &["remedy of no-driver", "the plan is refused"]);
    assert_eq!(controller.calls("start"), 0);
    Ok(())
}

#[tokio::test]
async fn nothing_starts_without_approval() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/operator/alice").await?;
    controller.book().plan = plan();
    let unasked = person.run(&["migrate", "etcd", "--to", "west"]).await?;
    unasked.failed_with(2, &["approval is needed", "--yes", "--plan HASH"]);
    assert_eq!((controller.calls("plan"), controller.calls("start")), (0, 0));
    person.run(&["migrate", "pod/etcd", "--to", "west"]).await?.failed_with(2, &["statefulset/NAME"]);
    Ok(())
}

#[tokio::test]
async fn a_conflict_is_shown_with_both_clusters() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    assert_eq!(person.run(&["volumes"]).await?.err, "No volumes found.\n");
    controller.book().volumes = vec![admin::Volume {
        domain: "array".into(),
        driver: "array.csi".into(),
        handle: "vol-\u{1b}[2J1".into(),
        namespace: "db".into(),
        workload: "etcd".into(),
        ordinal: 2,
        epoch: 4,
        state: "conflict".into(),
        message: "usable in east and west".into(),
        ..admin::Volume::default()
    }];
    let shown = person.run(&["volumes"]).await?;
    assert!(shown.out.contains("conflict") && shown.out.contains("usable in east and west"), "{}", shown.out);
    assert!(!shown.out.contains('\u{1b}'), "what a cluster names its things does not drive the terminal");
    let json = person.run(&["volumes", "-o", "json"]).await?;
    let value: serde_json::Value = serde_json::from_str(&json.out)?;
    assert_eq!(value["items"][0]["epoch"], 4);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let controller = Controller::start().await?;
    let person = Person::logged_in(&controller, "role/viewer/eve").await?;
    controller.book().clusters = vec![admin::Cluster { name: "east".into(), ..admin::Cluster::default() }];
    let mut child = person.spawn(&["clusters"])?;
    drop(child.stdout.take());
    let done = crate::runner::finish(child).await?;
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    Ok(())
}
