//! `ferry storage probe` (K6, H22): a scratch disk crosses, and nothing of it stays, whether it came through or not.
//!
//! The namespaces enforce the `restricted` Pod Security standard, since that is what the probe's pods promise to pass. What
//! is left is asked of both clusters and of the array itself, whose log must hold no violation either: it is what the
//! observer reads about disks, and there is no workload here for the rest of it to watch.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use ferry_tests::array::{Array, ArrayLog};
use ferry_tests::ferry::Output;
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::Case;
use crate::refusal::scene::Scene;
use crate::stage::Stage;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("probe::h22_a_scratch_disk_crosses", |stage| crosses(stage).boxed_local()),
    ("probe::what_fails_is_said_and_leaves_nothing", |stage| fails(stage).boxed_local()),
];

async fn crosses(stage: &Stage) -> Result<()> {
    let scene = set(stage, "probe").await?;
    let disks = disks(stage)?;
    let output = probe(&scene, "array").await?.success()?;
    for said in ["was made in east", "attached in west, read the same", "deleted in east", "was read in west"]
    {
        ensure!(output.stdout.contains(said), "does not say {said:?}: {output}");
    }
    nothing_left(&scene, &disks).await?;
    let audit = stage.ferry.cli().run(&["audit", "-o", "json"]).await?.success()?.json()?;
    let records = audit["items"].as_array().context("no audit log")?;
    let kept = |of: &Value| of["action"] == "probe-storage" && of["result"] == "done";
    ensure!(records.iter().any(kept), "no record of the probe: {audit}");
    scene.strike().await
}

async fn fails(stage: &Stage) -> Result<()> {
    let scene = set(stage, "probe-fails").await?;
    let disks = disks(stage)?;
    let unmade = probe(&scene, "nowhere").await?;
    refused(&unmade, &["making the disk in east", "StorageClass nowhere does not exist"])?;
    nothing_left(&scene, &disks).await?;
    // Made in east, and west admits no pod to read it.
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"},
        "spec": {"hard": {"pods": "0"}},
    });
    scene.create(scene.west()?, &[quota]).await?;
    let unread = probe(&scene, "array").await?;
    refused(&unread, &["was made in east", "reading the disk in west", "quota"])?;
    nothing_left(&scene, &disks).await?;
    scene.strike().await
}

/// A namespace in both clusters, restricted.
async fn set<'a>(stage: &'a Stage, name: &str) -> Result<Scene<'a>> {
    let scene = Scene::set(stage, name).await?;
    let enforce = "pod-security.kubernetes.io/enforce";
    scene.in_west(json!({enforce: "restricted"})).await?;
    let label = format!("{enforce}=restricted");
    scene.kubectl(&["label", "namespace", &scene.namespace, &label]).await?;
    Ok(scene)
}

async fn probe(scene: &Scene<'_>, class: &str) -> Result<Output> {
    let arguments = ["storage", "probe", "--from", "east", "--to", "west", "-n", &scene.namespace];
    let what = ["--storage-class", class, "--image", "ferry.test/tool:1"];
    scene.stage.ferry.cli().run(&[arguments.as_slice(), &what].concat()).await
}

fn refused(output: &Output, expected: &[&str]) -> Result<()> {
    ensure!(output.code == 3, "a probe that fails ends with 3: {output}");
    for said in [&["probe-failed", "nothing of it is left"], expected].concat() {
        ensure!(output.stderr.contains(said), "does not say {said:?}: {output}");
    }
    Ok(())
}

/// The disks of the array.
fn disks(stage: &Stage) -> Result<BTreeSet<String>> {
    let state = Array::at(stage.world.array_dir()).state()?;
    Ok(state.volumes.into_values().map(|volume| volume.handle).collect())
}

/// No object of a probe in either cluster, the array's disks as before, and nothing that it calls a violation.
async fn nothing_left(scene: &Scene<'_>, before: &BTreeSet<String>) -> Result<()> {
    let stage = scene.stage;
    let after = disks(stage)?;
    let new: Vec<_> = after.difference(before).collect();
    ensure!(new.is_empty(), "disks are left on the array: {new:?}");
    for cluster in stage.world.clusters() {
        let kinds = "pod,pvc,pv";
        let labelled = ["get", kinds, "-A", "-l", "ferry.dev/probe", "-o", "name"];
        let left = cluster.kubectl(&labelled).await?;
        ensure!(left.trim().is_empty(), "left in {}: {left}", cluster.name());
    }
    let state = Array::at(stage.world.array_dir());
    let mut log: ArrayLog = state.log();
    let entries = log.poll()?;
    let violation = entries.iter().rev().take(100).find(|entry| {
        let ours = !before.contains(entry.volume.as_str()) && !entry.volume.is_empty();
        ours && entry.violation.is_some()
    });
    ensure!(violation.is_none(), "the array refused what nobody may ask: {violation:?}");
    Ok(())
}
