//! One refused plan for each check of handoff.md section 4 that is made today, in real clusters.
//!
//! Each case brings about the real fault (a rollout that stands still, an admission policy that says no, a node with
//! the out-of-service taint) and asks for a plan. The plan must end with 3, name exactly the faults there are, say of
//! each what was found, what was expected and what to do, and change nothing; see [`scene`]. The faults lie in the
//! workload ([`workload`]), in the target ([`target`]), in what the target has to offer ([`place`]), between the clusters
//! ([`network`]), and in a cluster as such ([`cluster`]).
//!
//! No released API server that these clusters can run drops `spec.ordinals` any more; for K1 an admission policy does
//! what an old server did. Versions are compared in the check's own tests.

mod cluster;
mod network;
mod place;
pub(crate) mod scene;
mod target;
mod workload;

use anyhow::{Result, ensure};
use futures::FutureExt as _;
use serde_json::json;

use crate::Case;
use crate::stage::Stage;
use scene::{NAME, Scene, budget};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("refusal::none_without_a_fault", |stage| none(stage).boxed_local()),
    ("refusal::k1_ordinals_dropped", |stage| cluster::k1(stage).boxed_local()),
    ("refusal::k2_rollout", |stage| workload::k2(stage).boxed_local()),
    ("refusal::k3_replica_missing_or_not_available", |stage| workload::k3(stage).boxed_local()),
    ("refusal::k4_names_and_disks_taken_in_the_target", |stage| target::k4(stage).boxed_local()),
    ("refusal::k5_driver", |stage| cluster::k5(stage).boxed_local()),
    ("refusal::k6_storage_domain", |stage| place::k6(stage).boxed_local()),
    ("refusal::k7_classes_and_topology", |stage| place::k7(stage).boxed_local()),
    ("refusal::k8_room_quota_and_limits", |stage| place::k8(stage).boxed_local()),
    ("refusal::k9_admission_of_the_target", |stage| target::k9(stage).boxed_local()),
    ("refusal::k10_claim_about_to_go", |stage| workload::k10(stage).boxed_local()),
    ("refusal::k11_disruption_budgets", |stage| workload::k11(stage).boxed_local()),
    ("refusal::k12_volumes_that_cannot_move", |stage| workload::k12(stage).boxed_local()),
    ("refusal::k13_other_writers", |stage| workload::k13(stage).boxed_local()),
    ("refusal::k14_policies_and_leaders", |stage| network::k14(stage).boxed_local()),
    ("refusal::k14_no_way_between_the_clusters", |stage| network::k14_route(stage).boxed_local()),
    ("refusal::k14_warnings_and_notes", |stage| network::warnings(stage).boxed_local()),
    ("refusal::k15_node", |stage| cluster::k15(stage).boxed_local()),
    ("refusal::three_faults_are_named_at_once", |stage| three(stage).boxed_local()),
];

/// What makes every refusal below one of the fault and not of the scene.
async fn none(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "none").await?;
    scene.available(scene::workload_with_disks(&["data"])).await?;
    scene.accepted().await?;
    let node = scene.get(&format!("pod/{NAME}-0")).await?["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    scene.kubectl(&["cordon", &node]).await?;
    let cordoned = scene.accepted().await;
    scene.kubectl(&["uncordon", &node]).await?;
    cordoned?;
    scene.strike().await
}

async fn three(stage: &Stage) -> Result<()> {
    let scene = Scene::set(stage, "three").await?;
    let mut set = scene::workload();
    set["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
    set["spec"]["template"]["spec"]["volumes"] = json!([{"name": "cache", "emptyDir": {}}]);
    scene.create(scene.east()?, &[budget("first", 1), budget("second", 1)]).await?;
    scene.available(set).await?;
    let codes = ["K11-several-budgets", "K12-empty-dir", "K13-helm"];
    scene.refused(&codes).await?;
    let told = scene.plan("table").await?;
    ensure!(told.code == 3, "{told}");
    for code in codes {
        ensure!(told.stdout.contains(code), "the explanation does not name {code}: {told}");
    }
    ensure!(told.stdout.contains("3 refusals") && told.stderr.contains("3 of the checks refuse"), "{told}");
    scene.strike().await
}
