//! Faults that only the target shows: what is there already (K4), and what its admission says (K9).
//!
//! West is given what it has before the plan: another application under the workload's names, PersistentVolumes that
//! somebody left, rules of its own. None of it may be taken over, overwritten or deleted by a plan, so it is part of
//! what is compared. Where a scene has no namespace in west, there must be none afterwards either.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::cluster::policy;
use super::scene::{NAME, NOWHERE, Scene, create, workload, workload_with_disks};
use crate::stage::Stage;

/// Another application in west has the names, and two PersistentVolumes there have a name and a disk of the workload.
pub(super) async fn k4(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k4").await?;
    let settings = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"KEY": value}});
    let mut set = workload_with_disks(&["a", "b"]);
    set["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "settings"}}]);
    scene.create(scene.east()?, &[settings("east")]).await?;
    scene.available(set).await?;

    let (a, b) = (volume_of(&scene, "a").await?, volume_of(&scene, "b").await?);
    let other_name = format!("{}-other", scene.namespace);
    let same_disk = leftover(&other_name, &a);
    let mut same_name = leftover(b["metadata"]["name"].as_str().context("no name")?, &b);
    same_name["spec"]["csi"]["volumeHandle"] = "another-disk".into();
    let mut stranger = workload_with_disks(&["a", "b"]);
    stranger["spec"]["template"]["spec"]["nodeSelector"] = json!({NOWHERE: "true"});
    scene.in_west(json!({})).await?;
    scene.create(scene.west()?, &[settings("west"), stranger, same_disk.clone(), same_name.clone()]).await?;
    scene
        .until("the other application's pod in west", async |scene| {
            let pod = format!("pod/{NAME}-0");
            Ok(scene.west()?.kubectl(&["-n", &scene.namespace, "get", &pod, "-o", "name"]).await.is_ok())
        })
        .await?;

    let taken =
        ["K4-claim", "K4-dependency", "K4-pod", "K4-stateful-set", "K4-volume-handle", "K4-volume-name"];
    let refused = scene.refused(&taken).await;
    for volume in [same_disk, same_name] {
        let name = volume["metadata"]["name"].as_str().unwrap_or_default();
        scene.west()?.kubectl(&["delete", "pv", name, "--wait=false"]).await?;
    }
    refused?;
    scene.strike().await
}

/// The PersistentVolume of a claim template in east.
async fn volume_of(scene: &Scene<'_>, template: &str) -> Result<Value> {
    let claim = scene.get(&format!("pvc/{template}-{NAME}-0")).await?;
    let name = claim["spec"]["volumeName"].as_str().context("an unbound claim")?.to_owned();
    scene.get(&format!("pv/{name}")).await
}

/// What somebody who moved the disk by hand would have left in west.
fn leftover(name: &str, volume: &Value) -> Value {
    let spec = &volume["spec"];
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": spec["capacity"],
            "csi": {"driver": spec["csi"]["driver"], "volumeHandle": spec["csi"]["volumeHandle"]},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "left-over",
        },
    })
}

/// What west's own rules say of the pod, of the StatefulSet, and of what the template names.
pub(super) async fn k9(stage: &Stage) -> Result<()> {
    tokio::try_join!(k9_pod(stage), k9_template(stage), k9_missing(stage)).map(drop)
}

async fn k9_pod(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k9-pod").await?;
    scene.available(workload()).await?;
    scene.in_west(json!({"pod-security.kubernetes.io/enforce": "restricted"})).await?;
    scene.refused(&["K9-pod-refused"]).await?;
    scene.strike().await
}

/// Admission in west that changes the template: the two slices would not be of one workload.
async fn k9_template(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k9-template").await?;
    scene.available(workload()).await?;
    scene.in_west(json!({})).await?;
    let patch =
        r#"[JSONPatch{op: "replace", path: "/spec/template/spec/terminationGracePeriodSeconds", value: 7}]"#;
    let policy = policy(&scene.namespace, "true", patch);
    create(scene.west()?, None, &policy).await?;
    scene
        .until("the policy to be enforced", async |scene| {
            let path = "-o=jsonpath={.spec.template.spec.terminationGracePeriodSeconds}";
            let dry_run = ["-n", &scene.namespace, "create", "--dry-run=server", "-f", "-", path];
            let found = scene.west()?.kubectl_with_input(&dry_run, &workload().to_string()).await?;
            Ok(found == "7")
        })
        .await?;
    let refused = scene.refused(&["K9-template-differs"]).await;
    super::cluster::lift(scene.west()?, &scene.namespace).await?;
    refused?;
    scene.strike().await
}

/// Secrets and classes do not travel.
async fn k9_missing(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "k9-missing").await?;
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": scene.namespace},
        "value": 10,
    });
    scene.create(scene.east()?, &[class]).await?;
    scene.kubectl(&["create", "secret", "generic", "password", "--from-literal=word=open"]).await?;
    let mut set = workload();
    set["spec"]["template"]["spec"]["priorityClassName"] = scene.namespace.as_str().into();
    set["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"secretRef": {"name": "password"}}]);
    scene.available(set).await?;
    scene.refused(&["K9-priority-class-missing", "K9-secret-missing"]).await?;
    scene.kubectl(&["delete", "priorityclass", &scene.namespace]).await?;
    scene.strike().await
}
