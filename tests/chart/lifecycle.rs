//! The life of an installation: installed, at work, upgraded, uninstalled.
//!
//! Controller and agents run as pods in a namespace that lets only restricted pods in. A database crosses under the
//! observer; an upgrade replaces every pod, after which the ledger and every identity are the ones from before, without
//! a new token; the uninstallation leaves the ledger's claim and nothing else.

use anyhow::{Context as _, Result, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::ferry::helm::NAMESPACE;
use ferry_tests::ferry::pods::{AGENT, CONTROLLER, Pods, pods};
use ferry_tests::world::{Cluster, Wait, World};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// Where the controller runs.
const HOST: &str = "east";
/// Time for the pods of an uninstalled release to end.
const GONE: Duration = Duration::from_secs(60);
/// Kinds that a chart may have made, of a namespace and of the cluster.
const KINDS: &str = "statefulsets,deployments,pods,services,serviceaccounts,networkpolicies,roles,rolebindings,\
                     secrets,configmaps,clusterroles,clusterrolebindings";

/// All of it.
pub(crate) async fn run(world: &World) -> Result<()> {
    let ferry = Pods::install(world, HOST).await?;
    for cluster in world.clusters() {
        restricted(&pods(cluster).await?)?;
    }
    moved(world, &ferry).await?;
    upgraded(world, &ferry).await?;
    uninstalled(world, &ferry).await
}

/// The pods run as the charts say, also where the image would allow more.
fn restricted(pods: &[Pod]) -> Result<()> {
    ensure!(!pods.is_empty(), "no pod was installed");
    for pod in pods {
        let spec = pod.spec.as_ref().context("a pod without spec")?;
        let of_pod = spec.security_context.as_ref().context("no security context")?;
        ensure!(
            of_pod.run_as_non_root == Some(true) && of_pod.run_as_user == Some(65532),
            "{}",
            pod.name_any()
        );
        for container in &spec.containers {
            let context = container.security_context.as_ref().context("no security context")?;
            ensure!(
                context.read_only_root_filesystem == Some(true)
                    && context.allow_privilege_escalation == Some(false),
                "{} is not restricted: {context:?}",
                pod.name_any()
            );
        }
    }
    Ok(())
}

async fn moved(world: &World, ferry: &Pods) -> Result<()> {
    let etcd = Etcd::default();
    let crossing = Crossing::begin(world, HOST, &etcd).await?;
    let set = format!("statefulset/{}", etcd.name);
    let migrate = ["migrate", "-n", &etcd.namespace, &set, "--to", "west", "--yes", "-o", "json"];
    let migrated = ferry.cli().run(&migrate).await?.success();
    let outcome = crossing.end().await?;
    migrated?;
    ensure!(outcome.is_clean(), "the crossing was not clean: {outcome:#?}");
    ensure!(outcome.handoffs == etcd.replicas as usize, "{} handoffs", outcome.handoffs);
    Ok(())
}

async fn upgraded(world: &World, ferry: &Pods) -> Result<()> {
    let before = ferry.cli().run(&["get", "-o", "json"]).await?.success()?.json()?;
    let mut old = BTreeSet::new();
    for cluster in world.clusters() {
        old.extend(pods(cluster).await?.iter().filter_map(ResourceExt::uid));
    }
    let text = ["logFormat=text"];
    let host = ferry.host(world)?;
    ferry.helm().on(host, &ferry.controller("upgrade", &text).each()).await?;
    ferry.rolled_out(host, CONTROLLER).await?;
    for cluster in world.clusters() {
        // Without the token: it has served.
        ferry.helm().on(cluster, &ferry.agent("upgrade", &text).each()).await?;
        ferry.rolled_out(cluster, AGENT).await?;
    }
    for cluster in world.clusters() {
        ferry.attached(cluster).await?;
        for pod in pods(cluster).await?.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            let uid = pod.uid().unwrap_or_default();
            ensure!(!old.contains(&uid), "{} was not replaced by the upgrade", pod.name_any());
        }
    }
    let after = ferry.cli().run(&["get", "-o", "json"]).await?.success()?.json()?;
    ensure!(before == after, "the ledger before the upgrade: {before:#}\nand after: {after:#}");
    Ok(())
}

async fn uninstalled(world: &World, ferry: &Pods) -> Result<()> {
    for cluster in world.clusters() {
        let wait = ["--wait", "--timeout=60s"];
        ferry.helm().on(cluster, &[&["uninstall", AGENT][..], &wait].concat()).await?;
        if cluster.name() == HOST {
            ferry.helm().on(cluster, &[&["uninstall", CONTROLLER][..], &wait].concat()).await?;
        }
        // Helm waits for what it has made itself; the pods of a set end after the set.
        Wait::new(format!("nothing of the charts to be left in {}", cluster.name()), GONE)
            .until(async || {
                let left = left(cluster).await?;
                ensure!(left.is_empty(), "left: {left}");
                Ok(Some(()))
            })
            .await?;
    }
    let claim = ["-n", NAMESPACE, "get", "persistentvolumeclaim", "-o", "name"];
    let claims = world.cluster(HOST)?.kubectl(&claim).await?;
    ensure!(claims.trim() == "persistentvolumeclaim/data-ferry-controller-0", "claims after it: {claims:?}");
    Ok(())
}

/// Objects of the charts that are still there.
async fn left(cluster: &Cluster) -> Result<String> {
    let list = ["get", KINDS, "-A", "-l", "app.kubernetes.io/part-of=ferry", "-o", "name"];
    Ok(cluster.kubectl(&list).await?.trim().to_owned())
}
