//! What a running migration keeps besides what people see: evidence, manifests, commands.
//!
//! It exists from the start to the end and not after. Source and target are roles: a rollback of everything lets the two
//! clusters change places, and what moved comes back by the same handoff.
//! Each cluster has one slot, so at most one command of a migration is under way in it (I6); a slot holds either the
//! command that is out, or when and why the next attempt is made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::facts::{ClaimedVolume, Description, Held, Manifest, Released};
use crate::ids::{ClusterName, Epoch, Ordinal, ServiceName};
use crate::limits;
use crate::migration::display::{Control, Migration, Phase, UnknownOutcome};
use crate::migration::stage::Stage;
use crate::slice::Slice;
use crate::time::Millis;

/// The machine's part of a running migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Where it stands.
    pub stage: Stage,
    /// The workload as the source described it, until the target is prepared.
    pub description: Option<Box<Description>>,
    /// Governing Service; none: no mirror and no gate.
    pub service: Option<ServiceName>,
    /// Budget *d*.
    pub budget: u32,
    /// How long resolvers may remember, in milliseconds.
    pub resolvers_wait_ms: u64,
    /// UID of the StatefulSet in the source.
    pub source_uid: String,
    /// UID of the StatefulSet in the target; empty until it is prepared.
    pub target_uid: String,
    /// The source's slice, as the ledger has it.
    pub source_slice: Slice,
    /// The target's slice, as the ledger has it.
    pub target_slice: Slice,
    /// Claims and volumes of every ordinal, as the cluster that owns it last proved them.
    pub volumes: BTreeMap<Ordinal, Vec<ClaimedVolume>>,
    /// The source's StatefulSet with its originals, once prepared.
    pub originals: Option<Manifest>,
    /// Ordinals that the migration's target owns.
    pub moved: usize,
    /// The ordinal in between.
    pub handoff: Option<Handoff>,
    /// Sides that have settled, in the stages that settle.
    pub settled: BTreeSet<ClusterName>,
    /// By cluster.
    pub slots: BTreeMap<ClusterName, Slot>,
    /// Commands issued so far: numbers the next one.
    pub commands: u64,
    /// What an agent last said that preparation waits for.
    pub waits_for: String,
    /// Source and target have changed places: what moved comes back.
    #[serde(default)]
    pub reversed: bool,
    /// Every ordinal of the workload in both clusters, those that stay included; empty in a journal from before subsets.
    #[serde(default)]
    pub span: Slice,
    /// The target had the StatefulSet before this migration.
    #[serde(default)]
    pub target_existed: bool,
    /// Clusters that were asked to prepare: what is to be undone.
    #[serde(default)]
    pub prepared: BTreeSet<ClusterName>,
    /// What undoing the preparation left, and why.
    #[serde(default)]
    pub left: Vec<String>,
    /// An ordinal was taken back: endpoints must converge before the next one begins.
    #[serde(default)]
    pub reconverge: bool,
    /// The step of the ordinal in between, and since when.
    #[serde(default)]
    pub step_since: Option<(u32, Millis)>,
    /// That step takes longer than its deadline.
    #[serde(default)]
    pub overdue: bool,
}

/// One cluster's place for one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The command that is out; its outcome is not known.
    pub pending: Option<Command>,
    /// Why the last attempt led to nothing.
    pub setback: Option<Setback>,
}

/// Why an attempt led to nothing, and when the next one is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setback {
    /// Attempts so far that led to nothing, in a row.
    pub attempts: u32,
    /// When the next one is made; none: never.
    pub retry_at: Option<Millis>,
    /// What was found, what was expected, what to do.
    pub message: String,
    /// Whether only a person can help.
    pub paused: bool,
    /// The cluster keeps a higher epoch.
    #[serde(default)]
    pub stale: bool,
    /// Nobody can tell whether it was carried out (I8).
    #[serde(default)]
    pub unknown: bool,
    /// Nodes whose proof of detach will not come: a person may attest them.
    #[serde(default)]
    pub unproven: Vec<String>,
}

impl Setback {
    /// Whether it is too early for the next attempt, or there will be none.
    pub(crate) fn is_early(&self, now: Millis) -> bool {
        self.retry_at.is_none_or(|at| !at.has_come(now, limits::RETRY_LONGEST_MS))
    }
}

/// Evidence of one side's hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAt {
    /// What it said.
    pub held: Held,
    /// When.
    pub at: Millis,
}

/// The ordinal in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// The ordinal.
    pub ordinal: Ordinal,
    /// Its epoch: the one that the target is granted.
    pub epoch: Epoch,
    /// The source's slice without it.
    pub source_to: Slice,
    /// The target's slice with it.
    pub target_to: Slice,
    /// The source's evidence of its hold.
    pub source_held: Option<HeldAt>,
    /// The target's.
    pub target_held: Option<HeldAt>,
    /// What the source held when a release was declined: it is being looked at again.
    pub recheck: Option<HeldAt>,
    /// The source's slice is without the ordinal: the holds have done their part, however old they are.
    #[serde(default)]
    pub began: bool,
    /// How often the holds did not fit.
    pub lapses: u32,
    /// How often the source would not begin to release.
    pub declines: u32,
    /// Addresses under which the source showed the ordinal.
    pub old_addresses: Vec<String>,
    /// The source's proof that it let go.
    pub released: Option<Box<Released>>,
    /// UID of the new pod.
    pub pod_uid: String,
    /// Its address.
    pub pod_address: String,
    /// When resolvers have forgotten the old one.
    pub resolvers_until: Option<Millis>,
    /// The source's slice before: with it.
    #[serde(default)]
    pub source_from: Slice,
    /// The target's slice before: without it.
    #[serde(default)]
    pub target_from: Slice,
    /// A release was ever sent: the source may act on it at any time, until a higher epoch is kept there.
    #[serde(default = "perhaps")]
    pub release_sent: bool,
    /// An adoption was ever sent: only the target can say that it will not happen (handoff.md section 5).
    #[serde(default = "perhaps")]
    pub adopt_sent: bool,
    /// The target's claims and volumes of it, Bound.
    #[serde(default)]
    pub adopted: Vec<ClaimedVolume>,
    /// Nodes, each with its cluster, of which a person attested that nothing on them writes any more (H11).
    #[serde(default)]
    pub attested: BTreeSet<(ClusterName, String)>,
}

/// What a journal does not say may have been.
fn perhaps() -> bool {
    true
}

impl Handoff {
    /// The nodes of that cluster that a person attested: another cluster's node of the same name is another machine.
    #[must_use]
    pub fn attested_in(&self, cluster: &ClusterName) -> Vec<String> {
        let there = self.attested.iter().filter(|(of, _)| of == cluster);
        there.map(|(_, node)| node.clone()).collect()
    }
}

impl Work {
    /// Commands of which nobody can tell whether they were carried out.
    #[must_use]
    pub fn unknown(&self) -> Vec<UnknownOutcome> {
        let told = |(cluster, slot): (&ClusterName, &Slot)| {
            let setback = slot.setback.as_ref().filter(|setback| setback.unknown)?;
            let (message, unproven) = (setback.message.clone(), setback.unproven.clone());
            Some(UnknownOutcome { cluster: cluster.clone(), message, unproven })
        };
        self.slots.iter().filter_map(told).collect()
    }

    /// The disks that the target was, or may have been, granted: as the source released them, else as preparation
    /// found them. None without a handoff.
    #[must_use]
    pub fn granted(&self) -> &[ClaimedVolume] {
        let Some(handoff) = &self.handoff else {
            return &[];
        };
        match &handoff.released {
            Some(released) => &released.volumes,
            None => self.volumes.get(&handoff.ordinal).map_or(&[], Vec::as_slice),
        }
    }

    /// Where the migration stands, for people.
    #[must_use]
    pub fn phase(&self, control: &Control) -> Phase {
        let stopped = control.paused.is_some() && self.stage.is_at_rest();
        match self.stage {
            Stage::Completed => Phase::Completed,
            Stage::Refused => Phase::Refused,
            Stage::RolledBack => Phase::RolledBack,
            _ if stopped || self.overdue || self.is_paused() => Phase::Paused,
            stage if stage.is_preparing() => Phase::Preparing,
            _ => Phase::Running,
        }
    }

    /// Every ordinal of the workload, in whichever cluster, ascending.
    #[must_use]
    pub fn all(&self) -> BTreeSet<Ordinal> {
        let mut all: BTreeSet<Ordinal> = self.source_slice.ordinals().collect();
        all.extend(self.target_slice.ordinals());
        all.extend(self.handoff.as_ref().map(|handoff| handoff.ordinal));
        all
    }

    /// The cluster that hands over.
    #[must_use]
    pub fn source<'a>(&self, migration: &'a Migration) -> &'a ClusterName {
        if self.reversed { &migration.to } else { &migration.from }
    }

    /// The cluster that takes.
    #[must_use]
    pub fn target<'a>(&self, migration: &'a Migration) -> &'a ClusterName {
        if self.reversed { &migration.from } else { &migration.to }
    }

    /// Index of the ordinal that is in between, or is the next one to be.
    #[must_use]
    pub fn current(&self) -> Option<usize> {
        if self.reversed { self.moved.checked_sub(1) } else { Some(self.moved) }
    }

    /// Whether only a person can help in one of the clusters.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.slots.values().any(|slot| slot.setback.as_ref().is_some_and(|setback| setback.paused))
    }

    /// `maxUnavailable` of source and target between ordinals: together never above the budget, all of it to the
    /// larger slice (handoff.md section 7).
    #[must_use]
    pub fn budgets(&self) -> (u32, u32) {
        if self.target_slice.replicas > self.source_slice.replicas {
            (0, self.budget)
        } else {
            (self.budget, 0)
        }
    }
}

/// Whether what both sides held is too old to begin a release on (I4): one of them may have lost a replica since. Once
/// the release has begun, as a second look at the source or its agent's own word says, their age does not matter.
pub(crate) fn holds_are_stale(migration: &Migration, work: &Work, now: Millis) -> bool {
    let old =
        |held: &Option<HeldAt>| held.as_ref().is_none_or(|held| now.since(held.at) > limits::HELD_FRESH_MS);
    let current = work.current().and_then(|index| migration.ordinals.get(index));
    let said = current.is_some_and(|progress| progress.step > 5);
    let handoff = work.handoff.as_ref().filter(|handoff| !handoff.began && !said);
    handoff.is_some_and(|handoff| old(&handoff.source_held) || old(&handoff.target_held))
}

/// How long after the `attempts`-th failed attempt in a row (from 1) the next one is made.
#[must_use]
pub fn backoff_ms(attempts: u32) -> u64 {
    let doubled = 1_u64.checked_shl(attempts.saturating_sub(1).min(32)).unwrap_or(u64::MAX);
    limits::RETRY_FIRST_MS.saturating_mul(doubled).min(limits::RETRY_LONGEST_MS)
}
