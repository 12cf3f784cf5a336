//! The tests: every executor twice, every executor killed at every write, and what they must refuse.

use anyhow::{Context, Result, anyhow, ensure};
use ferry_agent::outcome::{Evidence, Stop};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    kill::{Kill, Side},
    witness,
    workload::{self, Shape},
};

/// Commands of a migration of one ordinal, in order.
pub(crate) const SCRIPT: [Verb; 11] = [
    Verb::PrepareSource,
    Verb::PrepareTarget,
    Verb::HoldSource,
    Verb::HoldTarget,
    Verb::Release,
    Verb::Adopt,
    Verb::Retire,
    Verb::SettleSource,
    Verb::SettleTarget,
    Verb::EndSource,
    Verb::EndTarget,
];
/// Kill points tried at once, each with a workload of its own.
const AT_ONCE: usize = 4;

/// Deploys a workload into `east` and plans its move to `west`.
pub(crate) async fn planned(clusters: &Clusters, namespace: &str, shape: Shape) -> Result<Journey> {
    workload::deploy(&clusters.client("east"), namespace, shape).await?;
    Journey::plan(clusters, namespace, "east", "west").await
}

/// Carries `verb` out to its end and takes the evidence.
pub(crate) async fn step(clusters: &Clusters, journey: &mut Journey, verb: Verb) -> Result<Evidence> {
    let client = clusters.client(journey.cluster(verb));
    let ended = journey.carry_out(client, verb).await;
    let evidence = ended.map_err(|stop| anyhow!("{}: {verb:?}: {stop:?}", journey.namespace))?;
    journey.accept(verb, evidence.clone())?;
    Ok(evidence)
}

/// The same, twice in a row by two processes: the second finds nothing to do and says the same.
async fn twice(clusters: &Clusters, journey: &mut Journey, verb: Verb) -> Result<()> {
    let first = journey.carry_out(clusters.client(journey.cluster(verb)), verb).await;
    let first = first.map_err(|stop| anyhow!("{verb:?}: {stop:?}"))?;
    let counted = Kill::never();
    let again = journey.carry_out(clusters.mortal(journey.cluster(verb), &counted)?, verb).await;
    let again = again.map_err(|stop| anyhow!("{verb:?} again: {stop:?}"))?;
    let (expected, found) = (witness::essence(&first), witness::essence(&again));
    ensure!(expected == found, "{verb:?} says something else the second time:\n{expected}\n{found}");
    ensure!(counted.writes() == 0, "{verb:?} wrote {} times the second time", counted.writes());
    journey.accept(verb, first)
}

/// A whole migration there, highest ordinal first, and back, lowest first; every command twice.
pub(crate) async fn there_and_back(clusters: &Clusters, namespace: &str, shape: Shape) -> Result<()> {
    let mut there = planned(clusters, namespace, shape).await?;
    let all: Vec<u32> = ordinals(there.slices["east"]).collect();
    migrate(clusters, &mut there, all.iter().rev().copied()).await?;
    ensure!(ordinals(there.slices["west"]).collect::<Vec<_>>() == all, "not all arrived");
    let mut back = there.reversed(clusters).await?;
    migrate(clusters, &mut back, all.iter().copied()).await?;
    ensure!(ordinals(back.slices["east"]).collect::<Vec<_>>() == all, "not all came back");
    Ok(())
}

async fn migrate(clusters: &Clusters, journey: &mut Journey, order: impl Iterator<Item = u32>) -> Result<()> {
    for verb in [Verb::PrepareSource, Verb::PrepareTarget] {
        twice(clusters, journey, verb).await?;
    }
    for ordinal in order {
        journey.begin(ordinal);
        for verb in &SCRIPT[2..9] {
            twice(clusters, journey, *verb).await?;
            witness::look(clusters, journey, true).await?;
        }
    }
    for verb in [Verb::EndSource, Verb::EndTarget] {
        twice(clusters, journey, verb).await?;
    }
    witness::restored(clusters, journey).await
}

/// Kills `verb` at each of its writes, before and after it, each time on a workload of its own, and runs it again.
/// The number of kill points.
pub(crate) async fn killed(clusters: &Clusters, verb: Verb) -> Result<usize> {
    let name = format!("{verb:?}").to_lowercase();
    let mut journey = brought_to(clusters, &format!("count-{name}"), verb).await?;
    let counted = Kill::never();
    let ended = journey.carry_out(clusters.mortal(journey.cluster(verb), &counted)?, verb).await;
    journey.accept(verb, ended.map_err(|stop| anyhow!("{verb:?}: {stop:?}"))?)?;
    let points = (1..=counted.writes()).flat_map(|number| [(number, Side::Before), (number, Side::After)]);
    let points: Vec<_> = points.collect();
    ensure!(!points.is_empty(), "{verb:?} writes nothing");
    let covered = points.len();
    let runs = points.into_iter().map(|(number, side)| {
        let namespace = format!("kill-{name}-{number}-{side:?}").to_lowercase();
        async move {
            let run = killed_at(clusters, &namespace, verb, number, side).await;
            run.with_context(|| format!("{verb:?} killed {side:?} write {number}"))
        }
    });
    stream::iter(runs).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(covered)
}

/// A workload of which everything before `verb` is done.
async fn brought_to(clusters: &Clusters, namespace: &str, verb: Verb) -> Result<Journey> {
    let shape = Shape { replicas: 2, parallel: false };
    let mut journey = planned(clusters, namespace, shape).await?;
    let last = ordinals(journey.slices["east"]).end - 1;
    for before in SCRIPT.into_iter().take_while(|before| *before != verb) {
        if before == Verb::HoldSource {
            journey.begin(last);
        }
        step(clusters, &mut journey, before).await?;
    }
    if verb == Verb::HoldSource {
        journey.begin(last);
    }
    Ok(journey)
}

async fn killed_at(
    clusters: &Clusters,
    namespace: &str,
    verb: Verb,
    number: usize,
    side: Side,
) -> Result<()> {
    let mut journey = brought_to(clusters, namespace, verb).await?;
    let kill = Kill::at(number, side);
    tokio::select! {
        ended = journey.carry_out(clusters.mortal(journey.cluster(verb), &kill)?, verb) => {
            return Err(anyhow!("it ended before that write: {ended:?}"));
        }
        () = kill.reached() => {}
    }
    let is_protected = verb > Verb::PrepareSource && verb < Verb::EndSource;
    witness::look(clusters, &journey, is_protected).await?;
    twice(clusters, &mut journey, verb).await?;
    witness::look(clusters, &journey, is_protected).await?;
    let place = SCRIPT.iter().position(|step| *step == verb).context("not in the script")?;
    for after in &SCRIPT[place + 1..] {
        if *after == Verb::HoldSource {
            let last = ordinals(journey.slices["east"]).end - 1;
            journey.begin(last);
        }
        step(clusters, &mut journey, *after).await?;
    }
    witness::restored(clusters, &journey).await
}

/// A refusal of that code, whose message holds `words`.
pub(crate) fn refused(
    ended: Result<Evidence, Stop>,
    code: ferry_proto::agent::v1::RefusalCode,
    words: &str,
) -> Result<()> {
    match ended {
        Err(Stop::Refused { code: found, message, .. }) if found == code && message.contains(words) => Ok(()),
        other => Err(anyhow!("expected a refusal {code:?} that says {words:?}, found {other:?}")),
    }
}

/// Unknown, with a message that holds `words`.
pub(crate) fn unknown(ended: Result<Evidence, Stop>, words: &str) -> Result<()> {
    match ended {
        Err(Stop::Unknown { message, .. }) if message.contains(words) => Ok(()),
        other => Err(anyhow!("expected an unknown that says {words:?}, found {other:?}")),
    }
}
