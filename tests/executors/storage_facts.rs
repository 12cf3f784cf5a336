//! What a disk brings along: its size as it has grown, labels, annotations, zones in the target's words.
//!
//! The workload's last ordinal gets all of it by hand, as a resizer, a provisioner with secrets and a careless person
//! would have written it; then it moves. What stands in the target afterwards is compared field by field with what stood
//! in the source, on real API servers, whose defaults and validation a pure test does not have.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    storage::v1::StorageClass,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cases::{clear, planned, step},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    workload::Shape,
};

/// The size that the disks have grown to; the claim template asks for less.
const GROWN: &str = "48Mi";
const ZONE: &str = "topology.kubernetes.io/zone";
/// Annotations without which a restored policy `Delete` would leak the disk.
const SECRETS: [&str; 2] = [
    "volume.kubernetes.io/provisioner-deletion-secret-name",
    "volume.kubernetes.io/provisioner-deletion-secret-namespace",
];

/// Moves an ordinal whose disks have a history.
pub(crate) async fn travel(clusters: &Clusters) -> Result<()> {
    let namespace = "storage-facts";
    let mut journey = planned(clusters, namespace, Shape { replicas: 2, parallel: true }).await?;
    let last = ordinals(journey.slices["east"]).end - 1;
    let (east, west) = (clusters.client("east"), clusters.client("west"));
    for client in [&east, &west] {
        class(client, json!({"allowVolumeExpansion": true})).await?;
    }
    let zones = format!("{ZONE}=east-a:kubernetes.io/os=linux");
    class(&west, json!({"metadata": {"annotations": {"ferry.dev/topology": zones}}})).await?;
    let claims: Vec<String> = ["data", "wal"].map(|template| format!("{template}-db-{last}")).into();
    for claim in &claims {
        age(&east, namespace, claim).await?;
    }
    let before = look(&east, namespace, &claims).await?;
    carry(clusters, &mut journey, last).await?;
    let after = look(&west, namespace, &claims).await?;
    class(&west, json!({"metadata": {"annotations": {"ferry.dev/topology": null}}})).await?;
    for ((claim, volume), (claim_there, volume_there)) in before.iter().zip(&after) {
        same_claim(claim, claim_there)?;
        same_volume(volume, volume_there)?;
    }
    clear(clusters, namespace).await
}

async fn carry(clusters: &Clusters, journey: &mut Journey, ordinal: u32) -> Result<()> {
    for verb in [Verb::PrepareSource, Verb::PrepareTarget] {
        step(clusters, journey, verb).await?;
    }
    journey.begin(ordinal);
    for verb in [Verb::HoldSource, Verb::HoldTarget, Verb::Release, Verb::Adopt] {
        step(clusters, journey, verb).await?;
    }
    Ok(())
}

async fn class(client: &Client, change: Value) -> Result<()> {
    let classes: Api<StorageClass> = Api::all(client.clone());
    classes.patch("array", &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

/// Makes a claim and its volume as they are after years.
async fn age(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let (merge, grown) = (PatchParams::default(), json!({"storage": GROWN}));
    let changed = json!({
        "metadata": {"labels": {"tier": "gold"}, "annotations": {"owner": "somebody"}},
        "spec": {"resources": {"requests": grown}},
    });
    let claim = claims.patch(name, &merge, &Patch::Merge(changed)).await.context("growing the claim")?;
    let volume = claim.spec.and_then(|spec| spec.volume_name).context("an unbound claim")?;
    let annotations = json!({SECRETS[0]: "array-admin", SECRETS[1]: "kube-system", "owner": "somebody"});
    let changed = json!({
        "metadata": {"labels": {ZONE: "east-a", "tier": "gold"}, "annotations": annotations},
        "spec": {"capacity": grown, "mountOptions": ["noatime"]},
    });
    volumes.patch(&volume, &merge, &Patch::Merge(changed)).await.context("growing the volume")?;
    let status = json!({"status": {"capacity": grown}});
    claims.patch_status(name, &merge, &Patch::Merge(status)).await.context("saying that it has grown")?;
    Ok(())
}

/// Each claim with its volume.
async fn look(client: &Client, namespace: &str, claims: &[String]) -> Result<Vec<(Value, Value)>> {
    let all: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let mut found = Vec::new();
    for name in claims {
        let claim = all.get(name).await?;
        let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref()).context("unbound")?;
        let volume = volumes.get(volume).await?;
        ensure!(claim.name_any() == *name, "another claim");
        found.push((serde_json::to_value(&claim)?, serde_json::to_value(&volume)?));
    }
    Ok(found)
}

fn same_claim(before: &Value, after: &Value) -> Result<()> {
    ensure!(before["spec"] == after["spec"], "{} became {}", before["spec"], after["spec"]);
    ensure!(after["spec"]["resources"]["requests"]["storage"] == GROWN, "it shrank: {after}");
    ensure!(after["status"]["capacity"]["storage"] == GROWN, "it says that it shrank: {after}");
    ensure!(after["metadata"]["labels"] == before["metadata"]["labels"], "labels: {after}");
    ensure!(after["metadata"]["annotations"]["owner"] == "somebody", "annotations: {after}");
    Ok(())
}

fn same_volume(before: &Value, after: &Value) -> Result<()> {
    let identity = ["claimRef", "persistentVolumeReclaimPolicy"];
    let spec = |volume: &Value| {
        let mut spec = volume["spec"].clone();
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|name, _| !identity.contains(&name.as_str()));
        }
        spec
    };
    ensure!(spec(before) == spec(after), "{} became {}", spec(before), spec(after));
    ensure!(after["spec"]["capacity"]["storage"] == GROWN, "it shrank: {after}");
    let labels = json!({"tier": "gold", "kubernetes.io/os": "linux"});
    ensure!(after["metadata"]["labels"] == labels, "its zone was not rewritten: {after}");
    let annotations = |volume: &Value, key: &str| volume["metadata"]["annotations"][key].clone();
    for key in [SECRETS[0], SECRETS[1], "owner", "pv.kubernetes.io/provisioned-by"] {
        ensure!(annotations(before, key) == annotations(after, key), "annotation {key}: {after}");
        ensure!(!annotations(after, key).is_null(), "no annotation {key}: {after}");
    }
    Ok(())
}
