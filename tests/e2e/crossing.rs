//! Whole migrations: there and back, both orders, and workloads that are not the simplest.
//!
//! The first case is the demo's path. The second is everything that a chart may do to make a disk go away: a first
//! ordinal that is not 0, two claim templates, retention `Delete` on a class whose reclaim policy is `Delete`, and
//! `OrderedReady`. A writer is at work all the while, and every disk is looked at after each handoff.
//!
//! What is judged is what the application and the referee see; how Ferry got there is the kill matrix's business.

use anyhow::Result;
use ferry_tests::app::crossing::Crossing;
use ferry_tests::app::etcd::Etcd;
use futures::FutureExt as _;

use crate::Case;
use crate::stage::{Stage, assert_clean};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("crossing::three_members_there_highest_first_and_back_lowest_first", |stage| {
        there_and_back(
            stage,
            Etcd { namespace: "plain".into(), ..Etcd::default() },
            ["highest-first", "lowest-first"],
        )
        .boxed_local()
    }),
    ("crossing::start_5_ordered_two_templates_retention_delete_and_back", |stage| {
        let etcd = Etcd {
            namespace: "odd".into(),
            name: "store".into(),
            start: 5,
            pod_management_policy: "OrderedReady",
            templates: vec!["data", "extra"],
            retention: "Delete",
            ..Etcd::default()
        };
        there_and_back(stage, etcd, ["lowest-first", "highest-first"]).boxed_local()
    }),
];

async fn there_and_back(stage: &Stage, etcd: Etcd, orders: [&str; 2]) -> Result<()> {
    let crossing = Crossing::begin(&stage.world, "east", &etcd).await?;
    let moved = async {
        stage.migrate(&etcd, "west", orders[0]).await?;
        stage.migrate(&etcd, "east", orders[1]).await
    };
    let moved = moved.await;
    let outcome = crossing.end().await?;
    moved?;
    assert_clean(&outcome, 2 * etcd.replicas as usize)
}
