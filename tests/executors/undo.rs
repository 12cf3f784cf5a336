//! Taking a handoff back: what was begun ends, and what was changed returns.
//!
//! A handoff that arrived is taken back by Fence and Reclaim, twice each; then it is handed over again, and in the end
//! preparation is taken back. The clusters must be as they were: compared object by object, see `snapshot.rs`. Handoffs
//! that were abandoned anywhere, and processes that were only stopped and go on after the undo, are in [`crate::steps`].

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::{
    cases::{clear, planned, step, twice},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    snapshot::{self, Marks, Snapshot},
    witness,
    workload::Shape,
};

/// The clusters at one moment.
struct Moment {
    marks: Marks,
    snapshots: BTreeMap<String, Snapshot>,
}

impl Moment {
    async fn take(clusters: &Clusters, namespace: &str, marks: Marks) -> Result<Self> {
        let mut snapshots = BTreeMap::new();
        for cluster in clusters.names() {
            let snapshot = snapshot::take(&clusters.client(cluster), namespace, marks).await?;
            snapshots.insert(cluster.clone(), snapshot);
        }
        Ok(Self { marks, snapshots })
    }

    async fn has_returned(&self, clusters: &Clusters, namespace: &str, when: &str) -> Result<()> {
        for (cluster, expected) in &self.snapshots {
            let compared =
                snapshot::same(&clusters.client(cluster), namespace, self.marks, expected, when).await;
            compared.with_context(|| format!("cluster {cluster}"))?;
        }
        Ok(())
    }
}

/// A prepared workload, and the clusters before preparation.
async fn prepared(clusters: &Clusters, namespace: &str, shape: Shape) -> Result<(Journey, Moment)> {
    let mut journey = planned(clusters, namespace, shape).await?;
    let before = Moment::take(clusters, namespace, Marks::Counted).await?;
    for verb in [Verb::PrepareSource, Verb::PrepareTarget] {
        step(clusters, &mut journey, verb).await?;
    }
    Ok((journey, before))
}

/// Begins the handoff of the last ordinal and holds both sides.
async fn held(clusters: &Clusters, journey: &mut Journey) -> Result<Moment> {
    let last = ordinals(journey.slices["east"]).end - 1;
    journey.begin(last);
    for verb in [Verb::HoldSource, Verb::HoldTarget] {
        step(clusters, journey, verb).await?;
    }
    Moment::take(clusters, &journey.namespace, Marks::Ignored).await
}

/// A handoff that arrived is taken back, every command twice; then preparation.
pub(crate) async fn there_and_withdrawn(clusters: &Clusters, namespace: &str, shape: Shape) -> Result<()> {
    let (mut journey, before) = prepared(clusters, namespace, shape).await?;
    let moment = held(clusters, &mut journey).await?;
    for verb in [Verb::Release, Verb::Adopt] {
        step(clusters, &mut journey, verb).await?;
    }
    journey.withdraw();
    for verb in [Verb::Fence, Verb::Reclaim] {
        twice(clusters, &mut journey, verb).await?;
        witness::look(clusters, &journey, true).await?;
    }
    moment.has_returned(clusters, namespace, "before the release").await?;
    // It can be handed over again, and further.
    held(clusters, &mut journey).await?;
    for verb in [Verb::Release, Verb::Adopt] {
        step(clusters, &mut journey, verb).await?;
    }
    journey.withdraw();
    for verb in [Verb::Fence, Verb::Reclaim] {
        step(clusters, &mut journey, verb).await?;
    }
    for verb in [Verb::UnprepareSource, Verb::UnprepareTarget] {
        twice(clusters, &mut journey, verb).await?;
    }
    before.has_returned(clusters, namespace, "before preparation").await?;
    clear(clusters, namespace).await
}
