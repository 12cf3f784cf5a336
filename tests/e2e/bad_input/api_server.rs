//! An API server that is not there: for an agent that starts, and for a plan.
//!
//! An agent is started by machines, perhaps before its API server is: what only a person can repair (a kubeconfig that
//! is not there) ends it, everything else is named and waited for. A plan that needs a cluster whose API server is away
//! fails with the cluster's name, and once it is back nobody has to restart anything.
//! An agent that is not attached at all is the kill matrix's business ([`crate::kill`]).

use std::time::Duration;

use anyhow::{Result, ensure};
use ferry_tests::ferry::{ADDRESS, program};
use ferry_tests::world::{Spec, Wait};
use serde_json::json;

use super::expect;
use super::spare::{folder, run, text};
use crate::refusal::scene::{self, NAME, Scene};
use crate::stage::Stage;

/// Time for an agent to say what is wrong, and for a cluster to be usable again.
const SAID: Duration = Duration::from_secs(20);
const BACK: Duration = Duration::from_secs(60);

/// A kubeconfig that is not there ends an agent; an API server that is not there is named and waited for.
pub(super) async fn never(stage: &Stage) -> Result<()> {
    let folder = folder(&stage.world, "no-api-server");
    std::fs::create_dir_all(&folder)?;
    let made = stage.ferry.cli().run(&["token", "create", "cluster", "ghost"]).await?.success()?;
    let (state, kubeconfig) = (text(&folder.join("state")), text(&folder.join("kubeconfig.json")));
    let start = [
        "--controller",
        ADDRESS,
        "--state",
        &state,
        "--token",
        made.stdout.trim(),
        "--kubeconfig",
        &kubeconfig,
    ];

    let missing = run(&stage.world, "ferry-agent", &start).await?;
    expect(&missing, 1, &["cannot use the kubeconfig", &kubeconfig, "give --kubeconfig"])?;

    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dead",
        "clusters": [{"name": "dead", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "dead", "user": {"token": "none"}}],
        "contexts": [{"name": "dead", "context": {"cluster": "dead", "user": "dead"}}],
    });
    std::fs::write(&kubeconfig, config.to_string())?;
    let agent = stage.world.process("bad-input/agent-ghost");
    agent.launch(&Spec::new(&program("ferry-agent")?, start))?;
    let said = Wait::new("the agent to say that no API server answers", SAID)
        .on(&agent)
        .until(async || {
            let log = std::fs::read_to_string(agent.log_path())?;
            Ok(log.lines().find(|line| line.contains("no API server")).map(str::to_owned))
        })
        .await?;
    for word in ["https://127.0.0.1:1", "check the address in the kubeconfig", "Connection refused"] {
        ensure!(said.contains(word), "the agent does not say {word:?}: {said}");
    }
    ensure!(agent.is_alive(), "the agent gave up");
    agent.kill()
}

/// West's API server ends: the plan says so and changes nothing, the list of clusters shows it, and when it is back
/// nobody has to do anything.
pub(super) async fn stopped(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "api-server").await?;
    scene.available(scene::workload()).await?;
    scene.accepted().await?;
    let api_server = scene.west()?.process("kube-apiserver");
    api_server.kill()?;
    let told = told(stage, &scene).await;
    api_server.start()?;
    scene.west()?.wait_api().await?;
    told?;
    Wait::new("a plan to be accepted again", BACK)
        .on(stage.ferry.agent("west")?)
        .until(async || Ok(Some(scene.accepted().await?)))
        .await?;
    scene.strike().await
}

async fn told(stage: &Stage, scene: &Scene<'_>) -> Result<()> {
    let plan = ["plan", "-n", &scene.namespace, NAME, "--from", "east", "--to", "west"];
    let words = [
        "planning failed",
        "cluster west could not be inspected",
        "Connection refused",
        "Check the API server",
    ];
    expect(&stage.ferry.cli().run(&plan).await?, 1, &words)?;
    let clusters = stage.ferry.cli().run(&["clusters"]).await?.success()?;
    let west = clusters.stdout.lines().find(|line| line.starts_with("west")).unwrap_or_default();
    for word in ["NoAPIServer", "the API server does not answer", "Connection refused"] {
        ensure!(west.contains(word), "the list of clusters does not say {word:?}: {clusters}");
    }
    ensure!(!west.contains("cannot watch"), "one fault is told more than once: {clusters}");
    Ok(())
}
