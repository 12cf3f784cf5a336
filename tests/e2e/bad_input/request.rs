//! Requests that cannot be granted: of things that are not there, and of a workload that is on its way.
//!
//! What a plan says is compared as data, what the command says as words on standard error with the documented exit
//! code: 2 for a command line that is wrong, 3 for a refusal. The second migration is asked for while the first is kept
//! in step 5 by a hold point, under the observer, and the first must then complete as if nobody had asked.
//! Faults that only a cluster shows are in [`crate::refusal`].

use anyhow::{Context as _, Result, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::ferry::Output;
use futures::FutureExt as _;

use super::expect;
use crate::kill::{Hold, ended};
use crate::refusal::scene::{self, NAME, Scene, refusals};
use crate::stage::{Stage, assert_clean};

/// A plan from nowhere, of nothing, to nowhere, and to where it is.
pub(super) async fn wrong(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "requests").await?;
    scene.available(scene::workload()).await?;
    let plan = |set: &'static str, to: &'static str| {
        let (cli, namespace) = (stage.ferry.cli(), scene.namespace.clone());
        async move { cli.run(&["plan", "-n", &namespace, set, "--to", to, "-o", "json"]).await }.boxed_local()
    };
    refused(&plan(NAME, "north").await?, "P-unknown-cluster", &["cluster/north", "ferry clusters"])?;
    refused(&plan(NAME, "east").await?, "P-same-cluster", &["cluster/east", "another target"])?;
    refused(
        &plan("two", "west").await?,
        "P-source-unknown",
        &["StatefulSet/two", "no attached cluster runs it"],
    )?;
    let from = ["plan", "-n", &scene.namespace, "two", "--from", "east", "--to", "west", "-o", "json"];
    let missing = stage.ferry.cli().run(&from).await?;
    refused(&missing, "K3-no-stateful-set", &[&scene.namespace, "Check the name"])?;
    let deployment = stage.ferry.cli().run(&["plan", "deployment/one", "--to", "west"]).await?;
    expect(&deployment, 2, &["deployment", "statefulset/NAME"])?;
    let unapproved = ["migrate", "-n", &scene.namespace, NAME, "--to", "west"];
    expect(&stage.ferry.cli().run(&unapproved).await?, 2, &["approval is needed", "--yes", "--plan"])?;
    let unknown = ["migrate", "--plan", &"0".repeat(64), "--yes", "--detach"];
    expect(&stage.ferry.cli().run(&unknown).await?, 3, &["plan-unknown", "plan again"])?;
    scene.accepted().await?;
    scene.strike().await
}

/// A refused plan with one refusal, which says these words.
fn refused(output: &Output, code: &str, words: &[&str]) -> Result<()> {
    ensure!(output.code == 3, "expected exit code 3: {output}");
    let found = refusals(output)?;
    ensure!(found.len() == 1 && found[0]["code"] == code, "expected {code} alone: {output}");
    let said = found[0].to_string();
    for word in words {
        ensure!(said.contains(word), "{code} does not say {word:?}: {said}");
    }
    Ok(())
}

/// A workload on its way is nobody else's: neither a plan nor an older plan's hash moves it again.
pub(super) async fn second(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: "twice".into(), name: "single".into(), replicas: 1, ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let tried = try_twice(stage, &etcd).await;
    let outcome = crossing.end().await?;
    tried?;
    assert_clean(&outcome, 1)
}

async fn try_twice(stage: &Stage, etcd: &Etcd) -> Result<()> {
    let cli = stage.ferry.cli();
    let first = planned(stage, etcd, "highest-first").await?;
    let other = planned(stage, etcd, "lowest-first").await?;
    ensure!(first != other, "two plans have one hash");
    let start = ["migrate", "--plan", &first, "--yes", "--detach"];
    let hold = Hold::set(stage.ferry.hold_dir().join("step-5"))?;
    cli.run(&start).await?.success()?;
    hold.reached(stage).await?;
    let second = ["migrate", "--plan", &other, "--yes", "--detach"];
    expect(&cli.run(&second).await?, 3, &["already-migrating", "from east to west", "ferry watch"])?;
    let same = cli.run(&start).await?.success()?;
    ensure!(same.to_string().contains("single-1"), "a start that is said twice is one start: {same}");
    let set = format!("statefulset/{}", etcd.name);
    let again = ["plan", "-n", &etcd.namespace, &set, "--from", "east", "--to", "west", "-o", "json"];
    let again = cli.run(&again).await?;
    ensure!(again.code == 3, "{again}");
    let codes = refusals(&again)?;
    ensure!(codes.iter().any(|finding| finding["code"] == "P-already-migrating"), "{again}");
    hold.lift()?;
    ended(stage, etcd, "west").await
}

/// A plan of the whole workload to west: its hash.
async fn planned(stage: &Stage, etcd: &Etcd, order: &str) -> Result<String> {
    let set = format!("statefulset/{}", etcd.name);
    let plan = ["plan", "-n", &etcd.namespace, &set, "--to", "west", "--order", order, "-o", "json"];
    let plan = stage.ferry.cli().run(&plan).await?.success()?.json()?;
    Ok(plan["hash"].as_str().context("a plan without a hash")?.to_owned())
}
