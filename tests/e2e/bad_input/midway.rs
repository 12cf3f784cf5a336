//! A world that changes after it was judged: between the plan and its start, and between two steps.
//!
//! What was approved is what runs, so a start whose world is another says what differs and starts nothing. In the middle
//! a migration cannot refuse any more: it stops where it is, says what is in the way, and goes on by itself once that is
//! gone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::Wait;
use serde_json::json;

use super::expect;
use crate::kill::{Hold, ended};
use crate::refusal::scene::{self, NAME, Scene, create};
use crate::stage::{Stage, assert_clean};

/// Time for a cluster's answer to be told.
const TOLD: Duration = Duration::from_secs(60);

/// Another replica since the plan.
pub(super) async fn changed(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "changed").await?;
    scene.available(scene::workload()).await?;
    let plan = scene.plan("json").await?.success()?.json()?;
    let hash = plan["hash"].as_str().context("a plan without a hash")?;
    scene.kubectl(&["scale", &format!("statefulset/{NAME}"), "--replicas=2"]).await?;
    scene
        .until("two replicas available", async |scene| {
            let set = scene.get(&format!("statefulset/{NAME}")).await?;
            Ok(set["status"]["availableReplicas"] == 2)
        })
        .await?;
    let started = stage.ferry.cli().run(&["migrate", "--plan", hash, "--yes", "--detach"]).await?;
    expect(&started, 3, &["not started: world-changed", "again, read it"])?;
    let listed = stage.ferry.cli().run(&["get", "-n", &scene.namespace, "-o", "json"]).await?.success()?;
    ensure!(listed.json()?["items"] == json!([]), "a migration was started: {listed}");
    scene.strike().await
}

/// A quota of the target that leaves no room for a claim, set while the claim is gone from the source.
pub(super) async fn quota(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: "quota".into(), name: "single".into(), replicas: 1, ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let moved = move_without_room(stage, &etcd).await;
    let outcome = crossing.end().await?;
    moved?;
    assert_clean(&outcome, 1)
}

async fn move_without_room(stage: &Stage, etcd: &Etcd) -> Result<()> {
    let west = stage.world.cluster("west")?;
    let hold = Hold::set(stage.ferry.hold_dir().join("step-9"))?;
    let set = format!("statefulset/{}", etcd.name);
    let start = ["migrate", "-n", &etcd.namespace, &set, "--to", "west", "--yes", "--detach"];
    stage.ferry.cli().run(&start).await?.success()?;
    hold.reached(stage).await?;
    let full = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"},
        "spec": {"hard": {"persistentvolumeclaims": "0"}},
    });
    create(west, Some(&etcd.namespace), &[full]).await?;
    let inside = ["-n", &etcd.namespace, "get", "resourcequota/full", "-o", "jsonpath={.status.hard}"];
    Wait::new("the quota to be in force", TOLD)
        .until(async || Ok((!west.kubectl(&inside).await?.is_empty()).then_some(())))
        .await?;
    hold.lift()?;
    Wait::new("the migration to say that the quota is in the way", TOLD)
        .on(stage.ferry.controller())
        .until(async || {
            let get = ["get", "-n", &etcd.namespace, "-o", "json"];
            let shown = stage.ferry.cli().run(&get).await?.success()?.json()?;
            let newest = &shown["items"][0];
            let message = newest["message"].as_str().unwrap_or_default();
            let says = message.contains("exceeded quota: full") && message.contains("policy or quota");
            ensure!(newest["phase"] == "paused" && says, "{newest}");
            Ok(Some(()))
        })
        .await?;
    west.kubectl(&["-n", &etcd.namespace, "delete", "resourcequota/full"]).await?;
    ended(stage, etcd, "west").await
}
