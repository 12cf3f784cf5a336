//! The scripted migrations: every executor twice in a row, there and back.
//!
//! The second process finds the work done: it says the same and writes nothing. What happens when one of them dies or
//! meets another fault is in [`crate::steps`]. Each case has a workload of its own, and says what it is about; the words
//! they have in common (plan a workload, carry one command out, expect a refusal) are here too.

use anyhow::{Result, anyhow, ensure};
use ferry_agent::outcome::{Evidence, Stop};

use crate::{
    clusters::Clusters,
    journey::{Journey, Verb, ordinals},
    proxy::Proxy,
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
    let counted = Proxy::clear();
    let again = journey.carry_out(clusters.through(journey.cluster(verb), &counted), verb).await;
    let again = again.map_err(|stop| anyhow!("{verb:?} again: {stop:?}"))?;
    let (expected, found) = (witness::essence(&first), witness::essence(&again));
    ensure!(expected == found, "{verb:?} says something else the second time:\n{expected}\n{found}");
    ensure!(counted.writes().is_empty(), "{verb:?} wrote the second time: {:?}", counted.writes());
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
