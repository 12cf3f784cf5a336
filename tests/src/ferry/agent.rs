//! An agent, with exactly the permissions of `deploy/agent`.
//!
//! The manifests are applied as they are, and the agent talks to its API server with a token of its service
//! account: a permission that is missing there fails the tests, and one that is too many is not hidden by an
//! administrator's certificate. The address and the CA come from the administrator's kubeconfig, nothing else
//! does.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{ADDRESS, agent_metrics, program, watched};
use crate::world::{Cluster, Process, Spec, World};

/// Where the manifests lie.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/agent");
/// Those of them that say who the agent is and what it may do; the rest runs it as a pod.
const PERMISSIONS: [&str; 5] = ["namespace.yaml", "observe.yaml", "move.yaml", "secrets.yaml", "probe.yaml"];
/// Namespace and name of the agent's service account.
const NAMESPACE: &str = "ferry-system";
const ACCOUNT: &str = "ferry-agent";

pub(super) async fn start(world: &World, cluster: &Cluster, dir: &Path, token: &str) -> Result<Process> {
    let name = cluster.name();
    let files = PERMISSIONS.map(|file| format!("{MANIFESTS}/{file}"));
    let apply = ["apply"].into_iter().chain(files.iter().flat_map(|file| ["-f", file])).collect::<Vec<_>>();
    cluster.kubectl(&apply).await.context("the agent's permissions")?;
    let own = dir.join(format!("agent-{name}"));
    std::fs::create_dir_all(&own)?;
    let kubeconfig = kubeconfig(cluster, &own).await?;
    let arguments = [
        "--controller".to_owned(),
        ADDRESS.to_owned(),
        "--state".to_owned(),
        own.display().to_string(),
        "--token".to_owned(),
        token.to_owned(),
        "--kubeconfig".to_owned(),
        kubeconfig.display().to_string(),
    ];
    let hold = dir.join("hold").display().to_string();
    let arguments = arguments.into_iter().chain(watched(&agent_metrics(world, name)?));
    let spec = Spec::new(&program("ferry-agent")?, arguments).with_env("FERRY_HOLD_DIR", hold);
    let agent = world.process(&format!("ferry/agent-{name}"));
    agent.launch(&spec)?;
    Ok(agent)
}

/// A kubeconfig that speaks as the service account, with the API server's address and CA from the administrator's.
async fn kubeconfig(cluster: &Cluster, dir: &Path) -> Result<PathBuf> {
    let create = ["-n", NAMESPACE, "create", "token", ACCOUNT, "--duration=24h"];
    let token = cluster.kubectl(&create).await.context("a token of the agent's account")?;
    let view = ["config", "view", "--raw", "--minify", "--flatten", "-o", "json"];
    let admin: serde_json::Value = serde_json::from_str(&cluster.kubectl(&view).await?)?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "agent",
        "clusters": [{"name": "own", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "agent", "user": {"token": token.trim()}}],
        "contexts": [{"name": "agent", "context": {"cluster": "own", "user": "agent"}}],
    });
    let path = dir.join("kubeconfig.json");
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
