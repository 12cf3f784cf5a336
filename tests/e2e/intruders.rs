//! Everybody else, in the middle of a migration: what each tries, and what it is told.
//!
//! The migration is held where a replica is nowhere: its PersistentVolume is Released in the source, tombstones stand
//! in both clusters' gaps. People write as the clusters' administrator, with `kubectl` and in the manner of `helm`; the
//! autoscaler is the cluster's own. Each is refused by the API server with Ferry's message and his own name. Then
//! somebody takes the guard itself away: the migration is paused by name, a stray pod still gets no disk, and who
//! resumes has the guard again.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use ferry_tests::world::{Cluster, Wait};
use futures::FutureExt as _;
use serde_json::{Value, json};

use crate::Case;
use crate::kill::Hold;
use crate::stage::{Stage, assert_clean};

pub(crate) const CASES: &[(&str, Case)] =
    &[("intruders::each_is_refused_by_name_or_pauses_the_migration", |stage| all(stage).boxed_local())];

/// Time for the migration to come to rest, and for controllers that look every quarter of a minute.
const SOON: Duration = Duration::from_secs(120);
/// Time in which a stray pod would have got a disk.
const STRAY: Duration = Duration::from_secs(5);
const NAMESPACE: &str = "intruders";
/// The administrator's name in the test clusters' certificates.
const PERSON: &str = "admin";
const AUTOSCALER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
const GUARD: &str = "ferry-guard.intruders.etcd";

async fn all(stage: &Stage) -> Result<()> {
    let etcd = Etcd { namespace: NAMESPACE.into(), ..Etcd::default() };
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let hold = Hold::set(stage.ferry.hold_dir().join("step-9"))?;
    let start = ["migrate", "-n", NAMESPACE, "statefulset/etcd", "--to", "west", "--yes", "--detach"];
    stage.ferry.cli().run(&start).await?.success()?;
    hold.reached(stage).await?;
    let tried = intrude(stage).await;
    hold.lift()?;
    tried?;
    resumed(stage).await?;
    let outcome = crossing.end().await?;
    assert_clean(&outcome, etcd.replicas as usize)
}

/// An intruder's `kubectl` arguments and what it reads; what it was told, refused by the guard.
async fn refused(cluster: &Cluster, what: &str, arguments: &[&str], input: &str) -> Result<()> {
    let arguments = [&["-n", NAMESPACE], arguments].concat();
    let Err(told) = cluster.kubectl_with_input(&arguments, input).await else {
        bail!("{what} in {} was not refused", cluster.name());
    };
    let told = format!("{told:#}");
    let at = told.find("Ferry guards").with_context(|| format!("{what} was told something else: {told}"))?;
    let line = told[at..].lines().next().unwrap_or_default();
    println!("{what} in {}: {line}", cluster.name());
    let named = format!("Ferry guards StatefulSet {NAMESPACE}/etcd");
    ensure!(line.contains(&named) && line.contains(PERSON), "{what} was told something else: {told}");
    Ok(())
}

async fn intrude(stage: &Stage) -> Result<()> {
    let (east, west) = (stage.world.cluster("east")?, stage.world.cluster("west")?);
    for cluster in [east, west] {
        on_the_set(cluster).await?;
    }
    refused(east, "kubectl delete pvc", &["delete", "pvc", "data-etcd-0", "--wait=false"], "").await?;
    refused(east, "kubectl delete pvc (a tombstone)", &["delete", "pvc", "data-etcd-2", "--wait=false"], "")
        .await?;
    let force = ["delete", "pod", "etcd-0", "--grace-period=0", "--force", "--wait=false"];
    refused(east, "kubectl delete pod by force", &force, "").await?;
    let volume = released(east).await?;
    let name = volume["metadata"]["name"].as_str().context("a volume without a name")?;
    let clear = r#"[{"op":"remove","path":"/spec/claimRef"}]"#;
    refused(
        east,
        "clearing a Released volume's claimRef",
        &["patch", "pv", name, "--type=json", "-p", clear],
        "",
    )
    .await?;
    let mut copy = volume.clone();
    copy["metadata"] = json!({"name": "intruder"});
    copy["spec"]["claimRef"] = Value::Null;
    copy["status"] = Value::Null;
    for cluster in [east, west] {
        refused(cluster, "a volume of the same disk", &["create", "-f", "-"], &copy.to_string()).await?;
        refused(cluster, "a stray pod of a guarded claim", &["create", "-f", "-"], &stray("stray")).await?;
        refused(cluster, "a stray pod of a guarded name", &["create", "-f", "-"], &stray("etcd-2")).await?;
    }
    autoscale(east).await?;
    unguard(stage, east).await
}

async fn on_the_set(cluster: &Cluster) -> Result<()> {
    refused(cluster, "kubectl scale", &["scale", "statefulset/etcd", "--replicas=5"], "").await?;
    let edit = r#"{"spec":{"template":{"metadata":{"annotations":{"edited":"yes"}}}}}"#;
    let edit = ["patch", "statefulset/etcd", "--field-manager=kubectl-edit", "-p", edit];
    refused(cluster, "kubectl edit of the template", &edit, "").await?;
    refused(cluster, "kubectl delete statefulset", &["delete", "statefulset/etcd", "--wait=false"], "")
        .await?;
    let chart = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "etcd", "labels": {"app.kubernetes.io/managed-by": "Helm"}}, "spec": {"replicas": 4},
    });
    let upgrade = ["apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-"];
    refused(cluster, "helm upgrade", &upgrade, &chart.to_string()).await
}

/// The PersistentVolume of the replica that is nowhere.
async fn released(cluster: &Cluster) -> Result<Value> {
    let listed: Value = serde_json::from_str(&cluster.kubectl(&["get", "pv", "-o", "json"]).await?)?;
    let mut volumes = listed["items"].as_array().into_iter().flatten();
    let ours = volumes.find(|volume| {
        volume["spec"]["claimRef"]["namespace"] == NAMESPACE && volume["status"]["phase"] == "Released"
    });
    ours.cloned().context("no PersistentVolume of the workload is Released")
}

/// A pod that uses the claim of the replica that is nowhere.
fn stray(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "containers": [{"name": "stray", "image": "ferry.test/pause:1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-etcd-2"}}],
        },
    })
    .to_string()
}

/// The cluster's own autoscaler, which wants more replicas than there are.
async fn autoscale(cluster: &Cluster) -> Result<()> {
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "etcd", "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "etcd"},
            "minReplicas": 5, "maxReplicas": 6,
        },
    });
    cluster.kubectl_with_input(&["create", "-f", "-"], &autoscaler.to_string()).await?;
    let told = ["-n", NAMESPACE, "get", "hpa", "etcd", "-o", "jsonpath={.status.conditions[*].message}"];
    let wait = Wait::new("the autoscaler to be refused", SOON);
    let told = wait
        .until(async || Ok(Some(cluster.kubectl(&told).await?).filter(|told| told.contains("Ferry guards"))))
        .await?;
    println!("HorizontalPodAutoscaler in {}: {told}", cluster.name());
    ensure!(told.contains(AUTOSCALER), "it is not named: {told}");
    cluster.kubectl(&["-n", NAMESPACE, "delete", "hpa", "etcd"]).await.map(drop)
}

/// The guard itself: who takes it away pauses the migration, and a stray pod waits for a disk in vain all the same.
async fn unguard(stage: &Stage, cluster: &Cluster) -> Result<()> {
    cluster.kubectl(&["delete", "validatingadmissionpolicybinding", GUARD]).await?;
    let said = told(stage, |shown| text(shown).contains("the guard of east")).await?;
    println!("deleting the guard in {}: {}", cluster.name(), text(&said));
    ensure!(text(&said).contains(&format!("Binding {GUARD} was deleted")), "{said}");
    let make = ["-n", NAMESPACE, "create", "-f", "-"];
    Wait::new("the guard to be enforced no more", SOON)
        .until(async || Ok(cluster.kubectl_with_input(&make, &stray("stray")).await.ok()))
        .await?;
    tokio::time::sleep(STRAY).await;
    let phases =
        ["-n", NAMESPACE, "get", "pod/stray", "pvc/data-etcd-2", "-o", "jsonpath={.items[*].status.phase}"];
    let phases = cluster.kubectl(&phases).await?;
    println!("a stray pod and its claim in {}: {phases}", cluster.name());
    ensure!(phases == "Pending Pending", "the stray pod and its claim are {phases}");
    cluster.kubectl(&["-n", NAMESPACE, "delete", "pod/stray"]).await.map(drop)
}

/// The replica that was down is brought up, then it stands still; who resumes has the guard again.
async fn resumed(stage: &Stage) -> Result<()> {
    let shown = told(stage, |shown| shown["phase"] == "paused").await?;
    let message = text(&shown);
    ensure!(message.contains("paused by the guard of east") && message.contains("ferry resume"), "{shown}");
    let id = shown["id"].as_str().context("no id")?;
    stage.ferry.cli().run(&["resume", id]).await?.success()?;
    let guarded = ["get", "validatingadmissionpolicybinding", GUARD, "--ignore-not-found", "-o", "name"];
    let east = stage.world.cluster("east")?;
    Wait::new("the guard to stand again", SOON)
        .until(async || Ok((!east.kubectl(&guarded).await?.is_empty()).then_some(())))
        .await?;
    told(stage, |shown| shown["phase"] == "completed").await.map(drop)
}

fn text(shown: &Value) -> &str {
    shown["message"].as_str().unwrap_or_default()
}

/// The migration, once it is as asked for.
async fn told(stage: &Stage, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let wait = Wait::new("the migration to say so", SOON).on(stage.ferry.controller());
    wait.until(async || {
        let listed =
            stage.ferry.cli().run(&["get", "-n", NAMESPACE, "-o", "json"]).await?.success()?.json()?;
        let newest = listed["items"][0].clone();
        Ok(is_so(&newest).then_some(newest))
    })
    .await
}
