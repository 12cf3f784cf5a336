//! Faults between the clusters (K14, H26 to H30): policies, leaders, a way that is closed, and what is only worth a word.
//!
//! The replicas here do nothing, so nobody is cut off for real but in one case, where the link of the node that runs the
//! replica is down: long enough for a plan, too short for Kubernetes to call the node silent. What is only worth a word
//! must not refuse, so the plan has to be accepted and to say it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::scene::{NAME, NOWHERE, Scene, workload};
use crate::stage::Stage;

/// A headless Service for the workload, and the workload that names it.
fn reached() -> [Value; 2] {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"clusterIP": "None", "selector": {"app": NAME}, "ports": [{"name": "db", "port": 7}]},
    });
    let mut set = workload();
    set["spec"]["serviceName"] = NAME.into();
    [service, set]
}

/// Replicas admitted by label only, on both sides; a Lease that a replica holds; a Service that is not there.
pub(super) async fn k14(stage: &Stage) -> Result<()> {
    tokio::try_join!(policies(stage), leader(stage), no_service(stage)).map(drop)
}

async fn policies(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k14-policies").await?;
    scene.available(workload()).await?;
    scene.in_west(json!({})).await?;
    let own = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "own"},
        "spec": {
            "podSelector": {"matchLabels": {"app": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": NAME}}}]}],
        },
    });
    for cluster in [scene.east()?, scene.west()?] {
        scene.create(cluster, std::slice::from_ref(&own)).await?;
        scene.refused(&["K14-policy-peers"]).await?;
        let wider = json!({"spec": {"ingress": [{"from": [
            {"podSelector": {"matchLabels": {"app": NAME}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}},
        ]}]}});
        let patch = ["patch", "networkpolicy", "own", "--type=merge", "-p", &wider.to_string()];
        cluster.kubectl(&[&["-n", &scene.namespace], patch.as_slice()].concat()).await?;
        scene.accepted_with(&[], &[("K14-policy-stays", "note")]).await?;
    }
    scene.strike().await
}

async fn leader(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k14-leader").await?;
    scene.available(workload()).await?;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": format!("{NAME}-0_4f2c")},
    });
    scene.create(scene.east()?, &[lease]).await?;
    scene.refused(&["K14-leader"]).await?;
    scene.kubectl(&["annotate", "statefulset", NAME, "ferry.dev/leaders-apart=true"]).await?;
    scene.accepted_with(&[], &[("K14-leader", "note")]).await?;
    scene.strike().await
}

async fn no_service(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k14-service").await?;
    let [_, set] = reached();
    scene.available(set).await?;
    scene.refused(&["K14-service-missing"]).await?;
    scene.strike().await
}

/// The replica's node is cut off: no connection from west reaches it, nor says no.
pub(super) async fn k14_route(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k14-route").await?;
    let [service, set] = reached();
    scene.create(scene.east()?, &[service]).await?;
    scene.available(set).await?;
    // Nothing listens there, but the way is open: the connection is refused.
    scene
        .until("an endpoint of the replica", async |scene| {
            Ok(scene.accepted_with(&[], &[("K14-route-refused", "warn")]).await.is_ok())
        })
        .await?;
    let pod = scene.get(&format!("pod/{NAME}-0")).await?;
    let node = scene.east()?.node(pod["spec"]["nodeName"].as_str().context("a pod on no node")?)?;
    node.set_link(false)?;
    let refused = scene.refused(&["K14-unreachable"]).await;
    node.set_link(true)?;
    scene.east()?.wait_node_ready(&node).await?;
    refused?;
    scene.strike().await
}

/// What a person should know and may go on with: a mesh, a cache of names, identities, rules between pods.
pub(super) async fn warnings(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k14-words").await?;
    let east = scene.east()?;
    let cache = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "node-local-dns", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"app": "cache"}},
            "template": {
                "metadata": {"labels": {"app": "cache"}},
                "spec": {
                    "nodeSelector": {NOWHERE: "true"},
                    "containers": [{"name": "cache", "image": "ferry.test/pause:1"}],
                },
            },
        },
    });
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "runner", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/db"}},
    });
    let [service, mut set] = reached();
    let template = &mut set["spec"]["template"]["spec"];
    template["serviceAccountName"] = "runner".into();
    template["topologySpreadConstraints"] = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": NAME}},
    }]);
    template["volumes"] = json!([{"name": "token", "projected": {"sources": [
        {"serviceAccountToken": {"path": "token", "audience": "vault"}},
    ]}}]);
    scene.create(east, &[service, account]).await?;
    super::scene::create(east, None, &[cache]).await?;
    scene.kubectl(&["label", "namespace", &scene.namespace, "istio-injection=enabled"]).await?;
    scene.available(set).await?;
    let expected = [
        ("K3-no-readiness-probe", "warn"),
        ("K14-mesh", "warn"),
        ("K14-node-local-dns", "warn"),
        ("K14-identity-cloud", "warn"),
        ("K14-identity-token", "note"),
        ("K14-topology-spread", "note"),
    ];
    let accepted = scene.accepted_with(&[], &expected).await;
    east.kubectl(&["-n", "kube-system", "delete", "daemonset", "node-local-dns", "--wait=false"]).await?;
    accepted?;
    scene.strike().await
}
