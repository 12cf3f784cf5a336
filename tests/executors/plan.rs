//! The plan's checks on real API servers: a workload that may move, and each way in which it may not.
//!
//! What a pure test cannot know is asked here: whether a real API server's objects read as the checks expect, what its
//! dry runs answer, and that a plan changes nothing. The faults are made one by one and together, because a plan has
//! to name all of them at once.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use ferry_agent::{
    context::{Context, Facts},
    executor::watches::Watches,
    inspect,
    outcome::Evidence,
    progress::Queue,
};
use ferry_proto::agent::v1::{
    Description, Finding, InspectSource, InspectTarget, Severity, SourceReport, TargetReport,
};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    clusters::Clusters,
    workload::{self, NAME, Shape},
};

/// Time for one inspection.
const INSPECTION: Duration = Duration::from_secs(30);
const SHAPE: Shape = Shape { replicas: 2, parallel: true };

/// A healthy workload and an empty target: nothing refuses, and what will change is named.
pub(crate) async fn clean(clusters: &Clusters) -> Result<()> {
    let namespace = "plan-clean";
    workload::deploy(&clusters.client("east"), namespace, SHAPE).await?;
    let report = source(clusters, namespace).await?;
    expect(&report.findings, &[])?;
    for note in ["K10-retention-policy", "K10-reclaim-policy", "K3-no-readiness-probe"] {
        ensure!(report.findings.iter().any(|finding| finding.code == note), "no {note}");
    }
    let description = report.description.context("no description")?;
    ensure!(description.budget == 1, "50 % of two: {}", description.budget);
    let volumes: usize = description.ordinals.iter().map(|ordinal| ordinal.volumes.len()).sum();
    ensure!(volumes == 4, "{volumes} volumes");
    let dependencies: Vec<_> = description.dependencies.iter().map(|one| one.kind.as_str()).collect();
    ensure!(
        dependencies == ["ConfigMap", "Service", "ServiceAccount", "PodDisruptionBudget"],
        "{dependencies:?}"
    );
    let west = clusters.client("west");
    let absent = target(clusters, namespace, &description, vec![]).await?;
    expect(&absent.findings, &[])?;
    ensure!(
        absent.findings.iter().any(|finding| finding.code == "K9-namespace-new"),
        "{:?}",
        absent.findings
    );
    ensure!(absent.planned_writes.iter().any(|line| line.starts_with("create Namespace/")), "no namespace");
    workload::create(
        &west,
        namespace,
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
    )
    .await?;
    settled(clusters, namespace, &description, &[]).await?;
    let asked = target(clusters, namespace, &description, vec![]).await?;
    ensure!(asked.findings.iter().any(|finding| finding.code == "K9-pod-dry-run"), "{:?}", asked.findings);
    Ok(())
}

/// Several faults of a source are named by one plan.
pub(crate) async fn faults(clusters: &Clusters) -> Result<()> {
    let namespace = "plan-faults";
    let east = clusters.client("east");
    workload::deploy(&east, namespace, SHAPE).await?;
    let labels = json!({"app": NAME});
    for fault in [
        json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "second"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        }),
        json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": NAME},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME},
                "minReplicas": 1, "maxReplicas": 2,
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "backup"},
            "spec": {
                "containers": [{"name": "backup", "image": "ferry.test/pause:1"}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{NAME}-3")}}],
            },
        }),
    ] {
        workload::create(&east, namespace, &fault).await?;
    }
    let report = source(clusters, namespace).await?;
    expect(&report.findings, &["K11-several-budgets", "K12-claim-shared", "K13-autoscaler"])?;
    for finding in &report.findings {
        let words = [&finding.subject, &finding.found, &finding.expected, &finding.remedy];
        ensure!(words.iter().all(|text| !text.is_empty()), "{finding:?}");
    }
    Ok(())
}

/// Whatever has the workload's names or disks in the target is named.
pub(crate) async fn taken(clusters: &Clusters) -> Result<()> {
    let namespace = "plan-taken";
    let (east, west) = (clusters.client("east"), clusters.client("west"));
    workload::deploy(&east, namespace, SHAPE).await?;
    let description = source(clusters, namespace).await?.description.context("no description")?;
    workload::deploy(&west, namespace, SHAPE).await?;
    let volume = description.ordinals[0].volumes[0].volume.as_ref().context("no volume")?;
    let mut volume: Value = serde_json::from_str(&volume.json)?;
    volume["metadata"] = json!({"name": "left-over-of-plan-taken"});
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain".into();
    volume["spec"]["claimRef"] = json!({"namespace": namespace, "name": "of-nobody"});
    workload::create(&west, namespace, &volume).await?;
    let expected = [
        "K4-claim",
        "K4-claim",
        "K4-claim",
        "K4-claim",
        "K4-pod",
        "K4-pod",
        "K4-stateful-set",
        "K4-volume-handle",
    ];
    settled(clusters, namespace, &description, &expected).await?;
    let report = target(clusters, namespace, &description, vec![]).await?;
    ensure!(report.stateful_set_uid.is_empty(), "a foreign set was taken for ours");
    Ok(())
}

/// A StatefulSet that does not exist is a finding, not an error.
pub(crate) async fn missing(clusters: &Clusters) -> Result<()> {
    let report = source(clusters, "plan-missing").await?;
    expect(&report.findings, &["K3-no-stateful-set"])?;
    ensure!(report.description.is_none(), "a description of nothing");
    Ok(())
}

/// Waits until the target's refusals are `codes`: a new namespace has no ServiceAccount for a moment.
async fn settled(
    clusters: &Clusters,
    namespace: &str,
    description: &Description,
    codes: &[&str],
) -> Result<()> {
    workload::until(&format!("{codes:?} in {namespace}"), async || {
        let report = target(clusters, namespace, description, vec![]).await?;
        expect(&report.findings, codes).map(Some)
    })
    .await
}

fn expect(findings: &[Finding], codes: &[&str]) -> Result<()> {
    let refusals = findings.iter().filter(|finding| finding.severity() == Severity::Refuse);
    let mut found: Vec<_> = refusals.map(|finding| finding.code.as_str()).collect();
    found.sort_unstable();
    ensure!(found == codes, "refused by {found:?}, expected {codes:?}: {findings:#?}");
    Ok(())
}

async fn source(clusters: &Clusters, namespace: &str) -> Result<SourceReport> {
    let ctx = context(clusters.client("east"), "east", namespace);
    match inspect::source(&ctx, InspectSource::default()).await {
        Ok(Evidence::SourceReport(report)) => Ok(report),
        other => bail!("no report: {other:?}"),
    }
}

async fn target(
    clusters: &Clusters,
    namespace: &str,
    description: &Description,
    known_uids: Vec<String>,
) -> Result<TargetReport> {
    let ctx = context(clusters.client("west"), "west", namespace);
    // Nothing listens in a simulated pod.
    let description = Some(Description { listeners: Vec::new(), ..description.clone() });
    let (source_pod_cidrs, pod_cidrs) = (vec!["10.61.0.0/16".to_owned()], vec!["10.62.0.0/16".to_owned()]);
    let command =
        InspectTarget { description, known_uids, source_pod_cidrs, pod_cidrs, ..InspectTarget::default() };
    match inspect::target(&ctx, command).await {
        Ok(Evidence::TargetReport(report)) => Ok(report),
        other => bail!("no report: {other:?}"),
    }
}

fn context(client: Client, cluster: &str, namespace: &str) -> Context {
    let id = format!("-/-/inspect/{namespace}");
    let command = Facts {
        id: id.clone(),
        epoch: 0,
        generation: 1,
        namespace: namespace.to_owned(),
        workload: NAME.to_owned(),
        migration: String::new(),
    };
    let (cluster, deadline) = (cluster.to_owned(), Instant::now() + INSPECTION);
    let (progress, watches) = (Queue::default().reporter(&id), Watches::default());
    Context { client, cluster, command, deadline, progress, watches }
}
