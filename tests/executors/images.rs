//! Images that the target's nodes lack, pulled while every replica still runs in the source.
//!
//! The nodes are simulated: what a kubelet pulls is not seen here. What is seen is that each node that lacks an image
//! gets one Job, that these end and go by themselves, and that a preparation waits for them no longer than that. All
//! other tests run on nodes that list the workload's image, and so see no Job.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use ferry_tests::world::Wait;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, api::ListParams};

use crate::{
    NODES,
    cases::{clear, planned, step},
    clusters::Clusters,
    journey::Verb,
    proxy::Proxy,
    workload::{IMAGE, Shape},
};

/// What no node has.
const ABSENT: &str = "ferry.test/absent:1";
/// Time for the Jobs and their pods to be removed.
const GONE: Duration = Duration::from_secs(60);

/// A Job for each node that lacks the image, none for those that have it, and nothing left of them.
pub(crate) async fn pulled(clusters: &Clusters) -> Result<()> {
    let namespace = "images";
    let mut journey = planned(clusters, namespace, Shape { replicas: 2, parallel: true }).await?;
    step(clusters, &mut journey, Verb::PrepareSource).await?;
    let set = journey.description.stateful_set.get_or_insert_default();
    ensure!(set.json.contains(IMAGE), "the workload's image is another: {}", set.json);
    set.json = set.json.replace(IMAGE, ABSENT);
    let first = journey.carry_out(clusters.agent("west"), Verb::PrepareTarget).await;
    first.map_err(|stop| anyhow!("{stop:?}"))?;
    // Everything else stands, so what the second run writes are the Jobs.
    let counted = Proxy::clear();
    let again = journey.carry_out(clusters.through("west", &counted), Verb::PrepareTarget).await;
    again.map_err(|stop| anyhow!("{stop:?}"))?;
    ensure!(
        counted.writes().len() == NODES,
        "{} writes, expected a Job for each of {NODES} nodes",
        counted.writes().len()
    );
    let client = clusters.client("west");
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    Wait::new("the Jobs and their pods to be gone", GONE)
        .until(async || {
            let all = ListParams::default();
            let left = jobs.list(&all).await?.items.len() + pods.list(&all).await?.items.len();
            Ok((left == 0).then_some(()))
        })
        .await?;
    clear(clusters, namespace).await
}
