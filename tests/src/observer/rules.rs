//! The invariants as functions of what was seen.
//!
//! [`judge`] takes two rounds of views of all clusters, read in the order A1, B1, A2, B2. It accuses only where the
//! two rounds leave no other explanation: what A holds as the same object in A1 and A2 it held when B1 was read, and
//! what B holds in B1 and B2 it held when A2 was read. Given the same round twice it is a mere suspicion: the watches'
//! caches need not be of one moment.
//!
//! I7 and the array's part of I1 do not need two rounds and live with the deletions and with the array's log.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Subject;
use super::standing::Standing;
use super::view::View;

/// The invariants of handoff.md section 2 that can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Invariant {
    /// A volume usable in two clusters, or on two nodes of the array.
    I1,
    /// Two clusters with a pod of one ordinal that is not Pending.
    I2,
    /// Slices overlap, or leave a gap other than the ordinals on their way.
    I3,
    /// More replicas unavailable than the budget, those left out that failed by themselves since one was taken down.
    I4,
    /// A disk deleted, or a claim or volume deleted that was not `Retain`.
    I7,
}

/// An invariant that was broken, with what proves it.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What it is about: an ordinal, a volume's handle, the workload.
    pub subject: String,
    /// What was seen, where.
    pub evidence: String,
}

impl Violation {
    pub(super) fn new(invariant: Invariant, subject: impl fmt::Display, evidence: String) -> Self {
        Self { invariant, subject: subject.to_string(), evidence }
    }

    /// Whether it is one event seen again: the same invariant of the same thing.
    pub(super) fn same(&self, other: &Self) -> bool {
        (self.invariant, &self.subject) == (other.invariant, &other.subject)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.invariant, self.subject, self.evidence)
    }
}

/// What the two rounds prove. `first` and `second` hold the same clusters in the same order; `standing` says who was
/// ready when an ordinal was last taken down, or since.
pub(super) fn judge(
    subject: &Subject,
    standing: &Standing,
    first: &[View],
    second: &[View],
) -> Vec<Violation> {
    let mut found = Vec::new();
    for a in 0..first.len() {
        for b in a + 1..first.len() {
            // A held throughout and B in between, or B throughout and A in between.
            let (a1, a2, b1, b2) = (&first[a], &second[a], &first[b], &second[b]);
            volumes_overlap(a1, a2, b1, &mut found);
            volumes_overlap(b1, b2, a2, &mut found);
            pods_overlap(a1, a2, b1, &mut found);
            pods_overlap(b1, b2, a2, &mut found);
            slices_overlap(a1, a2, b1, &mut found);
            slices_overlap(b1, b2, a2, &mut found);
        }
    }
    let both = || first.iter().chain(second);
    gap(subject, both(), &mut found);
    unavailable(subject, standing, both(), &mut found);
    found
}

fn volumes_overlap(held1: &View, held2: &View, between: &View, found: &mut Vec<Violation>) {
    for (volume, reasons) in &held1.usable {
        let still = held2.usable.get(volume).map(|again| reasons.intersection(again).collect::<Vec<_>>());
        let there = between.usable.get(volume);
        if let (Some(still), Some(there)) = (still.filter(|still| !still.is_empty()), there) {
            let evidence =
                format!("usable in {} ({still:?}) and in {} ({there:?})", held1.cluster, between.cluster);
            found.push(Violation::new(Invariant::I1, &volume.1, evidence));
        }
    }
}

fn pods_overlap(held1: &View, held2: &View, between: &View, found: &mut Vec<Violation>) {
    for (ordinal, pod) in held1.pods.iter().filter(|(_, pod)| !pod.pending) {
        let still = held2.pods.get(ordinal).is_some_and(|again| again.uid == pod.uid);
        let there = between.pods.get(ordinal).filter(|other| !other.pending);
        if let (true, Some(there)) = (still, there) {
            let evidence = format!(
                "pods {} in {} and {} in {}, neither Pending",
                pod.uid, held1.cluster, there.uid, between.cluster
            );
            found.push(Violation::new(Invariant::I2, format!("ordinal {ordinal}"), evidence));
        }
    }
}

fn slices_overlap(held1: &View, held2: &View, between: &View, found: &mut Vec<Violation>) {
    let (Some(slice), Some(there)) = (&held1.slice, &between.slice) else { return };
    let common: Vec<u32> = slice.ordinals.intersection(&there.ordinals).copied().collect();
    if held2.slice.as_ref() == Some(slice) && !common.is_empty() {
        let evidence = format!("ordinals {common:?} in {} and in {}", held1.cluster, between.cluster);
        found.push(Violation::new(Invariant::I3, "slices", evidence));
    }
}

fn gap<'a>(subject: &Subject, views: impl Iterator<Item = &'a View>, found: &mut Vec<Violation>) {
    let covered: BTreeSet<u32> =
        views.filter_map(|view| view.slice.as_ref()).flat_map(|slice| slice.ordinals.clone()).collect();
    let whole: BTreeSet<u32> = subject.ordinals().collect();
    let missing: Vec<u32> = whole.difference(&covered).copied().collect();
    let stray: Vec<u32> = covered.difference(&whole).copied().collect();
    let contiguous = missing.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    if missing.len() > subject.in_flight as usize || !contiguous {
        let evidence =
            format!("ordinals {missing:?} in no slice, expected one run of at most {}", subject.in_flight);
        found.push(Violation::new(Invariant::I3, "gap", evidence));
    }
    if !stray.is_empty() {
        let evidence = format!("ordinals {stray:?} in a slice, outside the workload's {whole:?}");
        found.push(Violation::new(Invariant::I3, "stray", evidence));
    }
}

fn unavailable<'a>(
    subject: &Subject,
    standing: &Standing,
    views: impl Iterator<Item = &'a View>,
    found: &mut Vec<Violation>,
) {
    let up: BTreeSet<u32> = views
        .flat_map(|view| {
            view.pods.iter().filter(|(_, pod)| pod.ready || standing.fell(pod)).map(|(ordinal, _)| *ordinal)
        })
        .collect();
    let down = subject.ordinals().filter(|ordinal| !up.contains(ordinal)).collect::<Vec<_>>();
    if down.len() > subject.budget as usize {
        let evidence = format!("ordinals {down:?} ready nowhere, the budget is {}", subject.budget);
        found.push(Violation::new(Invariant::I4, "workload", evidence));
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
