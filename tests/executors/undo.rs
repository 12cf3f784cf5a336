//! Taking a handoff back: what was begun ends, what was changed returns, and nothing of it lands later.
//!
//! A handoff is abandoned anywhere (before or after any write of Release or Adopt) and taken back by Fence and Reclaim,
//! each of which is killed at each of its writes as well; then preparation is taken back. The clusters must be as they
//! were: compared object by object, see `snapshot.rs`. In the late tests the abandoned process was only paused: it goes
//! on after the undo, and whatever it then writes has to fail.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use ferry_agent::outcome::{Evidence, Stop};
use ferry_proto::agent::v1::RefusalCode;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    cases::{self, clear, planned, step, twice},
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    kill::{Kill, Side},
    snapshot::{self, Marks, Snapshot},
    witness,
    workload::Shape,
};

/// Commands that are killed and run again.
pub(crate) const KILLED: [Verb; 6] =
    [Verb::Release, Verb::Adopt, Verb::Fence, Verb::Reclaim, Verb::UnprepareSource, Verb::UnprepareTarget];
/// Workloads at once.
const AT_ONCE: usize = 4;
/// Kill points that a command may have.
const POINTS_MOST: usize = 80;

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

/// One workload after another, every command of which is killed at the kill point of that index, until none has one.
pub(crate) async fn killed(clusters: &Clusters) -> Result<BTreeMap<Verb, usize>> {
    let mut covered = BTreeMap::new();
    let mut runs = stream::iter(0..POINTS_MOST).map(|point| killed_at(clusters, point)).buffered(AT_ONCE);
    while let Some(reached) = runs.next().await {
        let reached = reached?;
        if reached.is_empty() {
            return Ok(covered);
        }
        for verb in reached {
            *covered.entry(verb).or_default() += 1;
        }
    }
    Err(anyhow!("a command has more than {POINTS_MOST} kill points"))
}

/// Release is abandoned at that point and reclaimed; then Adopt is, fenced and reclaimed; then preparation is undone.
async fn killed_at(clusters: &Clusters, point: usize) -> Result<Vec<Verb>> {
    let (number, side) = (point / 2 + 1, if point.is_multiple_of(2) { Side::Before } else { Side::After });
    let namespace = format!("undo-{number}-{side:?}").to_lowercase();
    let shape = Shape { replicas: 2, parallel: point / 2 % 2 == 1 };
    let (mut journey, before) = prepared(clusters, &namespace, shape).await?;
    let mut reached = Vec::new();
    let moment = held(clusters, &mut journey).await?;
    let at = || Kill::at(number, side);
    reached.extend(abandoned(clusters, &mut journey, Verb::Release, at()).await?);
    journey.withdraw();
    cases::kill(clusters, &mut journey, Verb::Reclaim, at())
        .await
        .context("Reclaim of an abandoned release")?;
    moment.has_returned(clusters, &namespace, "before the release").await?;
    let moment = held(clusters, &mut journey).await?;
    step(clusters, &mut journey, Verb::Release).await?;
    reached.extend(abandoned(clusters, &mut journey, Verb::Adopt, at()).await?);
    journey.withdraw();
    for verb in [Verb::Fence, Verb::Reclaim] {
        let what = || format!("{verb:?} killed {side:?} write {number}");
        if cases::kill(clusters, &mut journey, verb, at()).await.with_context(what)? {
            reached.push(verb);
        }
    }
    moment.has_returned(clusters, &namespace, "before the second release").await?;
    for verb in [Verb::UnprepareSource, Verb::UnprepareTarget] {
        if cases::kill(clusters, &mut journey, verb, at()).await.with_context(|| format!("{verb:?}"))? {
            reached.push(verb);
        }
    }
    before.has_returned(clusters, &namespace, "before preparation").await?;
    clear(clusters, &namespace).await?;
    Ok(reached)
}

/// Kills `verb` for good; it, if it came that far. Where it did not, its evidence is taken.
async fn abandoned(
    clusters: &Clusters,
    journey: &mut Journey,
    verb: Verb,
    kill: Kill,
) -> Result<Option<Verb>> {
    let victim = clusters.mortal(journey.cluster(verb), &kill);
    let ended = tokio::select! {
        ended = journey.carry_out(victim, verb) => Some(ended),
        () = kill.reached() => None,
    };
    witness::look(clusters, journey, true).await?;
    let Some(ended) = ended else { return Ok(Some(verb)) };
    journey.accept(verb, ended.map_err(|stop| anyhow!("not killed, and yet: {stop:?}"))?)?;
    Ok(None)
}

/// I5: a process that is paused right before any of its writes of `verb`, and goes on after the handoff was taken back,
/// changes nothing any more. Writes at which it was paused.
pub(crate) async fn late(clusters: &Clusters, verb: Verb) -> Result<usize> {
    let mut runs =
        stream::iter(1..POINTS_MOST).map(|number| late_at(clusters, verb, number)).buffered(AT_ONCE);
    let mut covered = 0;
    while let Some(reached) = runs.next().await {
        if !reached? {
            return Ok(covered);
        }
        covered += 1;
    }
    Err(anyhow!("{verb:?} has more than {POINTS_MOST} writes"))
}

async fn late_at(clusters: &Clusters, verb: Verb, number: usize) -> Result<bool> {
    let namespace = format!("late-{verb:?}-{number}").to_lowercase();
    let shape = Shape { replicas: 2, parallel: number.is_multiple_of(2) };
    let (mut journey, _) = prepared(clusters, &namespace, shape).await?;
    let moment = held(clusters, &mut journey).await?;
    if verb == Verb::Adopt {
        step(clusters, &mut journey, Verb::Release).await?;
    }
    let kill = Kill::at(number, Side::Paused);
    let paused = journey.clone();
    let client = clusters.mortal(paused.cluster(verb), &kill);
    let mut task = tokio::spawn(async move { paused.carry_out(client, verb).await });
    let is_paused = tokio::select! {
        ended = &mut task => {
            ended?.map_err(|stop| anyhow!("not paused, and yet: {stop:?}"))?;
            false
        }
        () = kill.reached() => true,
    };
    if is_paused {
        journey.withdraw();
        if verb == Verb::Adopt {
            step(clusters, &mut journey, Verb::Fence).await?;
        }
        step(clusters, &mut journey, Verb::Reclaim).await?;
        moment.has_returned(clusters, &namespace, "before the release").await?;
        kill.go_on();
        stale(task.await?).with_context(|| format!("{verb:?} that goes on at write {number}"))?;
        witness::look(clusters, &journey, true).await?;
        strays_forgotten(clusters, &mut journey).await?;
        moment.has_returned(clusters, &namespace, "before the late write").await?;
    }
    clear(clusters, &namespace).await?;
    Ok(is_paused)
}

fn stale(ended: Result<Evidence, Stop>) -> Result<()> {
    match ended {
        Err(Stop::Refused { code: RefusalCode::StaleEpoch, .. }) => Ok(()),
        other => Err(anyhow!("expected that it is of the past, found {other:?}")),
    }
}

/// A PersistentVolume that was created late is bound to nothing, and the next hold of the target forgets it.
async fn strays_forgotten(clusters: &Clusters, journey: &mut Journey) -> Result<()> {
    let handles: Vec<_> = journey.ids().into_iter().map(|id| id.handle).collect();
    let volumes: Api<PersistentVolume> = Api::all(clusters.client(&journey.target));
    let strays = volumes.list(&ListParams::default()).await?.items.into_iter().filter(|volume| {
        let csi = volume.spec.as_ref().and_then(|spec| spec.csi.as_ref());
        csi.is_some_and(|csi| handles.contains(&csi.volume_handle))
    });
    for stray in strays {
        let phase = stray.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        ensure!(phase != "Bound", "{} is {phase}", stray.name_any());
    }
    journey.begin(journey.ordinal);
    step(clusters, journey, Verb::HoldTarget).await?;
    Ok(())
}
