//! Every executor of the agent on real API servers: twice in a row, struck by every fault at each write and sent again,
//! and refusing what it must refuse.
//!
//! Two control planes with simulated nodes (clusters.rs says what is real and what is not), one world for all tests.
//! Each test has workloads of its own in namespaces of its own. The tests named `steps-` print how many points (step x
//! write x fault) they covered, and write `target/steps/report.json`. `cargo test -p ferry-tests --test executors -- <filter>` runs some of them.

#[path = "executors/cases.rs"]
mod cases;
#[path = "executors/clock.rs"]
mod clock;
#[path = "executors/clusters.rs"]
mod clusters;
#[path = "executors/guard.rs"]
mod guard;
#[path = "executors/hazards.rs"]
mod hazards;
#[path = "executors/images.rs"]
mod images;
#[path = "executors/journey.rs"]
mod journey;
#[path = "executors/memory.rs"]
mod memory;
#[path = "executors/mirror.rs"]
mod mirror;
#[path = "executors/plan.rs"]
mod plan;
#[path = "executors/probe.rs"]
mod probe;
#[path = "executors/proxy.rs"]
mod proxy;
#[path = "executors/refusals.rs"]
mod refusals;
#[path = "executors/snapshot.rs"]
mod snapshot;
#[path = "executors/steps/mod.rs"]
mod steps;
#[path = "executors/storage_facts.rs"]
mod storage_facts;
#[path = "executors/undo.rs"]
mod undo;
#[path = "executors/undo_refusals.rs"]
mod undo_refusals;
#[path = "executors/witness.rs"]
mod witness;
#[path = "executors/workload.rs"]
mod workload;

use std::{process::ExitCode, time::Instant};

use anyhow::{Context, Result, ensure};
use clock::Clock;
use clusters::Clusters;
use ferry_tests::{
    build,
    world::{self, Config, World},
};
use futures::FutureExt;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Handle;
use workload::Shape;

/// Simulated nodes of each cluster; a node of the array holds 64 disks, and what ends early leaves some.
const NODES: usize = 8;
/// Tests at once: they mostly wait for controllers.
const AT_ONCE: usize = 3;

fn main() -> Result<ExitCode> {
    if steps::process::is_one()? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    if arguments.list {
        return Ok(libtest_mimic::run(&arguments, trials(None)).exit_code());
    }
    let begun = Instant::now();
    let tools = build::ensure(&world::kubernetes_release())?;
    let dir = world::enter()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let config = Config::two_simulated_clusters(tools, NODES);
    ensure!(
        config.test_csi.is_some(),
        "the program test-csi is not beside this one: build the package's binaries"
    );
    let clusters = runtime.block_on(async {
        let world = World::up(&dir, &config).await?;
        Clusters::of(&world).await.context("cannot complete the simulated nodes")
    })?;
    let conclusion = libtest_mimic::run(&arguments, trials(Some((clusters, runtime.handle().clone()))));
    clock::print(begun.elapsed());
    steps::told()?;
    Ok(conclusion.exit_code())
}

/// Every test; without clusters only their names are of use.
fn trials(on: Option<(Clusters, Handle)>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for parallel in [false, true] {
        let name = if parallel { "twice-parallel" } else { "twice-ordered" };
        let shape = Shape { replicas: 3, parallel };
        trials.push(trial(&on, name, move |clusters| async move {
            cases::there_and_back(&clusters, name, shape).await
        }));
    }
    trials.push(trial(&on, "steps-killed", |clusters| async move { steps::killed(&clusters).await }));
    trials.push(trial(&on, "steps-answers", |clusters| async move { steps::answers(&clusters).await }));
    trials.push(trial(&on, "steps-stopped", |clusters| async move { steps::stopped(&clusters).await }));
    trials.push(trial(&on, "steps-reads", |clusters| async move { steps::reads(&clusters).await }));
    trials.push(trial(&on, "h18_stale_epoch_is_refused", |clusters| async move {
        refusals::stale_epoch(&clusters).await
    }));
    trials.push(trial(&on, "h09_finalizer_is_named", |clusters| async move {
        refusals::finalizer(&clusters).await
    }));
    trials.push(trial(
        &on,
        "refused-late-end",
        |clusters| async move { refusals::late_end(&clusters).await },
    ));
    trials.push(trial(&on, "h03_retention_put_back_is_refused", |clusters| async move {
        refusals::retention(&clusters).await
    }));
    trials.push(trial(
        &on,
        "tombstone-put-back",
        |clusters| async move { refusals::unburied(&clusters).await },
    ));
    trials.push(trial(&on, "h05_reclaim_policy_put_back_is_refused", |clusters| async move {
        refusals::policy(&clusters).await
    }));
    trials.push(trial(&on, "h17_scaled_by_another_is_refused", |clusters| async move {
        refusals::scaled(&clusters).await
    }));
    trials.push(trial(&on, "h23_name_taken_is_refused", |clusters| async move {
        refusals::name_taken(&clusters).await
    }));
    trials.push(trial(&on, "h12_leftover_volume_is_refused", |clusters| async move {
        refusals::leftover(&clusters).await
    }));
    trials.push(trial(&on, "h11_another_or_dead_node_is_unknown", |clusters| async move {
        refusals::node(&clusters).await
    }));
    trials.push(trial(&on, "h10_attached_false_is_not_detached", |clusters| async move {
        refusals::attachment(&clusters).await
    }));
    trials.push(trial(&on, "h14_pod_that_does_not_come_up_is_unknown", |clusters| async move {
        refusals::pod(&clusters).await
    }));
    trials.push(trial(
        &on,
        "storage-facts",
        |clusters| async move { storage_facts::travel(&clusters).await },
    ));
    trials.push(trial(&on, "images-pulled", |clusters| async move { images::pulled(&clusters).await }));
    undo_trials(&on, &mut trials);
    hazard_trials(&on, &mut trials);
    trials.push(trial(&on, "plan-clean", |clusters| async move { plan::clean(&clusters).await }));
    trials.push(trial(&on, "plan-faults", |clusters| async move { plan::faults(&clusters).await }));
    trials.push(trial(&on, "plan-taken", |clusters| async move { plan::taken(&clusters).await }));
    trials.push(trial(&on, "plan-missing", |clusters| async move { plan::missing(&clusters).await }));
    // The long ones first, so that the last of them does not run alone.
    trials.sort_by_key(|trial| !trial.name().starts_with("steps-"));
    trials
}

/// What holds without Ferry.
fn guard_trials(on: &Option<(Clusters, Handle)>, trials: &mut Vec<Trial>) {
    trials.push(trial(on, "guard-intruders", |on| async move { guard::intruders(&on).await }));
    trials.push(trial(on, "guard-watched", |on| async move { guard::watched(&on).await }));
    trials.push(trial(on, "guard-ended", |on| async move { guard::ended(&on).await }));
}

/// What holds without Ferry, taking a handoff and a preparation back, and the ending.
fn undo_trials(on: &Option<(Clusters, Handle)>, trials: &mut Vec<Trial>) {
    guard_trials(on, trials);
    for parallel in [false, true] {
        let name = if parallel { "undo-twice-parallel" } else { "undo-twice-ordered" };
        let shape = Shape { replicas: 3, parallel };
        trials.push(trial(on, name, move |clusters| async move {
            undo::there_and_withdrawn(&clusters, name, shape).await
        }));
    }
    type Case = fn(Clusters) -> futures::future::LocalBoxFuture<'static, Result<()>>;
    let cases: [(&str, Case); 10] = [
        ("undo-retired", |on| async move { undo_refusals::retired(&on).await }.boxed_local()),
        ("undo-foreign-claim", |on| async move { undo_refusals::foreign(&on).await }.boxed_local()),
        ("undo-attached", |on| async move { undo_refusals::attached(&on).await }.boxed_local()),
        ("undo-stale-epoch", |on| async move { undo_refusals::stale(&on).await }.boxed_local()),
        ("undo-away", |on| async move { undo_refusals::away(&on).await }.boxed_local()),
        ("undo-used-since", |on| async move { undo_refusals::used(&on).await }.boxed_local()),
        ("held-resized", |on| async move { undo_refusals::resized(&on).await }.boxed_local()),
        ("late-settlement", |on| async move { undo_refusals::late_settlement(&on).await }.boxed_local()),
        ("finish-accepted", |on| async move { undo_refusals::finished(&on).await }.boxed_local()),
        ("finish-recreated", |on| async move { undo_refusals::recreated(&on).await }.boxed_local()),
    ];
    trials.extend(cases.into_iter().map(|(name, case)| trial(on, name, case)));
}

/// What only real controllers show of the hazards.
fn hazard_trials(on: &Option<(Clusters, Handle)>, trials: &mut Vec<Trial>) {
    type Case = fn(Clusters) -> futures::future::LocalBoxFuture<'static, Result<()>>;
    let cases: [(&str, Case); 5] = [
        ("h04_claims_lose_their_owners", |on| async move { hazards::owners(&on).await }.boxed_local()),
        ("h13_a_slice_before_its_claims_gets_no_disk", |on| {
            async move { hazards::too_early(&on).await }.boxed_local()
        }),
        ("h25_forgotten_ordinals_are_refused", |on| {
            async move { hazards::forgotten(&on).await }.boxed_local()
        }),
        ("h31_the_pod_that_is_waited_for_is_named", |on| {
            async move { hazards::unwell(&on).await }.boxed_local()
        }),
        ("h32_an_unscheduled_pod_keeps_its_claim", |on| {
            async move { hazards::unscheduled(&on).await }.boxed_local()
        }),
    ];
    trials.extend(cases.into_iter().map(|(name, case)| trial(on, name, case)));
}

fn trial<F>(
    on: &Option<(Clusters, Handle)>,
    name: impl Into<String>,
    test: impl FnOnce(Clusters) -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = Result<()>>,
{
    let (on, name) = (on.clone(), name.into());
    Trial::test(name.clone(), move || {
        let _clock = Clock::case(&name);
        let (clusters, runtime) = on.ok_or_else(|| Failed::from("no clusters"))?;
        runtime.block_on(test(clusters)).map_err(|error| {
            // At once: the summary comes when every other case has ended.
            println!("{name}: {error:#}");
            Failed::from(format!("{error:#}"))
        })
    })
}
