//! The scripted migrations: every executor twice in a row, and every executor killed at every write.
//!
//! A kill point is a write of one command, before it is sent or after it was answered. Commands are independent, so one
//! migration takes the same kill point of all of them: each command is killed there, the clusters are looked at, and it
//! is run again by a new process (twice: it must say the same and write nothing more). Migrations go on until no
//! command has that many writes: the number is found, not assumed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};
use ferry_agent::outcome::{Evidence, Stop};
use futures::{StreamExt, stream};

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
/// Migrations at once in the kill test, each with a workload of its own.
const AT_ONCE: usize = 4;
/// Kill points that a command may have.
const POINTS_MOST: usize = 80;

/// Deploys a workload into `east` and plans its move to `west`.
pub(crate) async fn planned(clusters: &Clusters, namespace: &str, shape: Shape) -> Result<Journey> {
    workload::deploy(&clusters.client("east"), namespace, shape).await?;
    Journey::plan(clusters, namespace, "east", "west").await
}

/// Carries `verb` out to its end and takes the evidence.
pub(crate) async fn step(clusters: &Clusters, journey: &mut Journey, verb: Verb) -> Result<Evidence> {
    let client = clusters.agent(journey.cluster(verb));
    let ended = journey.carry_out(client, verb).await;
    let evidence = ended.map_err(|stop| anyhow!("{}: {verb:?}: {stop:?}", journey.namespace))?;
    journey.accept(verb, evidence.clone())?;
    Ok(evidence)
}

/// The same, twice in a row by two processes: the second finds nothing to do and says the same.
pub(crate) async fn twice(clusters: &Clusters, journey: &mut Journey, verb: Verb) -> Result<()> {
    let first = journey.carry_out(clusters.agent(journey.cluster(verb)), verb).await;
    let first = first.map_err(|stop| anyhow!("{verb:?}: {stop:?}"))?;
    let counted = Kill::never();
    let again = journey.carry_out(clusters.mortal(journey.cluster(verb), &counted), verb).await;
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
    clear(clusters, namespace).await
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

/// Moves one ordinal in one migration after another; in the `i`th each command is killed at the `i`th of its kill points
/// and run again, until no command has as many. Kill points covered, by command.
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

/// A migration in which each command is killed at the kill point of that index; the commands that have one.
async fn killed_at(clusters: &Clusters, point: usize) -> Result<Vec<Verb>> {
    let (number, side) = (point / 2 + 1, if point.is_multiple_of(2) { Side::Before } else { Side::After });
    let namespace = format!("kill-{number}-{side:?}").to_lowercase();
    let shape = Shape { replicas: 2, parallel: point / 2 % 2 == 1 };
    let mut journey = planned(clusters, &namespace, shape).await?;
    let last = ordinals(journey.slices["east"]).end - 1;
    let mut reached = Vec::new();
    for verb in SCRIPT {
        if verb == Verb::HoldSource {
            journey.begin(last);
        }
        let what = || format!("{verb:?} killed {side:?} write {number}");
        if kill(clusters, &mut journey, verb, Kill::at(number, side)).await.with_context(what)? {
            reached.push(verb);
        }
    }
    witness::restored(clusters, &journey).await?;
    clear(clusters, &namespace).await?;
    Ok(reached)
}

/// Kills one command and runs it again, twice; whether it came to the write at which it was to be killed.
pub(crate) async fn kill(clusters: &Clusters, journey: &mut Journey, verb: Verb, kill: Kill) -> Result<bool> {
    let victim = clusters.mortal(journey.cluster(verb), &kill);
    let ended = tokio::select! {
        ended = journey.carry_out(victim, verb) => Some(ended),
        () = kill.reached() => None,
    };
    let is_protected = verb > Verb::PrepareSource && verb < Verb::UnprepareSource;
    witness::look(clusters, journey, is_protected).await?;
    if let Some(ended) = ended {
        journey.accept(verb, ended.map_err(|stop| anyhow!("not killed, and yet: {stop:?}"))?)?;
        return Ok(false);
    }
    twice(clusters, journey, verb).await?;
    witness::look(clusters, journey, is_protected).await?;
    Ok(true)
}

/// Clears a workload in both clusters.
pub(crate) async fn clear(clusters: &Clusters, namespace: &str) -> Result<()> {
    for cluster in clusters.names() {
        workload::clear(&clusters.client(cluster), namespace).await?;
    }
    Ok(())
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
