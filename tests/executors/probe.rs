//! Probes of the storage on simulated nodes: the command, and the part of the kubelet that its pod needs.
//!
//! A simulated node runs no container, so the pod of a probe is told to have ended, and to have said its nonce, when the
//! scheduler has placed it and the disk is attached. What the pod really writes and reads is for the end-to-end tests;
//! here the objects count. The class is one of its own: a probe refuses a class of which a volume waits for a claim, and
//! the other tests' volumes do.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_proto::agent::v1::{Manifest, Probe, ProbePart};
use k8s_openapi::api::{core::v1::Pod, storage::v1::StorageClass};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{journey::Verb, workload};

/// The class of the scratch disks.
const CLASS: &str = "array-scratch";
/// What is written.
const NONCE: &str = "a-nonce";
/// Time for the pod and for the provisioner, in milliseconds.
const PATIENCE_MS: u64 = 60_000;
/// How often pods are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// Name of the probe in `namespace`: of its pod and its claim, and by its label of its volume. No two have the same.
pub(crate) fn name(namespace: &str) -> String {
    format!("{namespace}-disk")
}

/// The part of a probe that `verb` stands for; `volume` is what the making told.
pub(crate) fn command(verb: Verb, volume: Option<Manifest>) -> Probe {
    let part = match verb {
        Verb::ProbeMake => ProbePart::Make,
        Verb::ProbeRead => ProbePart::Read,
        _ => ProbePart::Remove,
    };
    Probe {
        part: part.into(),
        storage_class: CLASS.to_owned(),
        image: workload::IMAGE.to_owned(),
        nonce: NONCE.to_owned(),
        volume,
        patience_ms: PATIENCE_MS,
    }
}

/// Makes the class of the scratch disks, like that of all others.
pub(crate) async fn class(client: &Client) -> Result<()> {
    let classes: Api<StorageClass> = Api::all(client.clone());
    let mut class = classes.get("array").await.context("the class of the array")?;
    class.metadata = kube::api::ObjectMeta { name: Some(CLASS.to_owned()), ..Default::default() };
    classes.create(&PostParams::default(), &class).await?;
    Ok(())
}

/// Ends the pods of probes that were placed, for as long as the tests run.
pub(crate) async fn carry_out(client: Client) {
    let pods: Api<Pod> = Api::all(client.clone());
    loop {
        // A lost race is made up for by the next look.
        if let Ok(found) = pods.list(&ListParams::default().labels("ferry.dev/probe")).await {
            for pod in found {
                let _ = end(&client, &pod).await;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn end(client: &Client, pod: &Pod) -> Result<()> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    let is_placed = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    if !is_placed || phase != "Running" {
        return Ok(());
    }
    let said = json!({"exitCode": 0, "reason": "Completed", "message": NONCE});
    let status = json!({"status": {
        "phase": "Succeeded",
        "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted"}],
        "containerStatuses": [{
            "name": "probe", "image": workload::IMAGE, "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": said},
        }],
    }});
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}
