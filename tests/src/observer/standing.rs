//! Who was ready when a replica was taken down: what tells a migration's fault from a replica's own.
//!
//! I4 forbids to take a replica down while others are down beyond the budget. It cannot forbid that one fails by
//! itself while another is on its way: a probe that a starved machine does not answer in time, an election. So a pod
//! that was ready when the last ordinal was taken down, or since, and that nobody asked to leave, does not count when
//! it is not ready later. One that was down when another was taken counts, and so does one that is taken down.
//!
//! What this cannot see: replicas that a migration breaks without asking them to leave. The writer's count can.

use std::collections::BTreeSet;

use super::Subject;
use super::view::{PodView, View};

/// Who was ready when an ordinal was last taken down, or since.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    taken: BTreeSet<u32>,
    ready: BTreeSet<String>,
}

impl Standing {
    /// Takes one more look into account; ordinals that fell by themselves.
    pub(super) fn advance(&mut self, subject: &Subject, views: &[View]) -> BTreeSet<u32> {
        let pods = || views.iter().flat_map(|view| &view.pods);
        let ready: BTreeSet<u32> = pods().filter(|(_, pod)| pod.ready).map(|(ordinal, _)| *ordinal).collect();
        let fallen: BTreeSet<u32> = pods()
            .filter(|(ordinal, pod)| !ready.contains(ordinal) && self.fell(pod))
            .map(|(ordinal, _)| *ordinal)
            .collect();
        let taken: BTreeSet<u32> = subject
            .ordinals()
            .filter(|ordinal| !ready.contains(ordinal) && !fallen.contains(ordinal))
            .collect();
        let now = pods().filter(|(_, pod)| pod.ready).map(|(_, pod)| pod.uid.clone());
        if taken.is_subset(&self.taken) {
            self.ready.extend(now);
        } else {
            self.ready = now.collect();
        }
        self.taken = taken;
        fallen
    }

    /// Whether it is down by itself, since another replica was taken down.
    pub(super) fn fell(&self, pod: &PodView) -> bool {
        !pod.ready && !pod.leaving && self.ready.contains(&pod.uid)
    }
}
