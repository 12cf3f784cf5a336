//! Which ordinal was ready where, when: the figures of a report and the cue to look at a disk.
//!
//! Fed with the cached views at each event. Times are those of this process when it saw the event, a few
//! milliseconds after it happened; they measure, they never accuse. Accusations are the invariants' business,
//! which read both clusters again first.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::Subject;
use super::view::View;

/// A change of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The ordinal.
    pub ordinal: u32,
    /// Where it is ready now; `None`: nowhere.
    pub ready_in: Option<String>,
    /// UID of the pod that is ready.
    pub pod_uid: Option<String>,
}

/// An ordinal that became ready in another cluster than the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handoff {
    /// The ordinal.
    pub ordinal: u32,
    /// Where it was ready before.
    pub from: String,
    /// Where it is ready now.
    pub to: String,
    /// Time without a ready pod, in milliseconds.
    pub unavailable_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    ordinals: BTreeMap<u32, Track>,
    handoffs: Vec<Handoff>,
}

#[derive(Debug, Default)]
struct Track {
    ready: Option<(String, String)>,
    last_cluster: Option<String>,
    lost_at: Option<Instant>,
    gaps_ms: Vec<u64>,
}

impl Timeline {
    pub(super) fn advance(&mut self, subject: &Subject, views: &[View]) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for ordinal in subject.ordinals() {
            let track = self.ordinals.entry(ordinal).or_default();
            let ready = views.iter().find_map(|view| {
                let pod = view.pods.get(&ordinal).filter(|pod| pod.ready)?;
                Some((view.cluster.clone(), pod.uid.clone()))
            });
            if ready == track.ready {
                continue;
            }
            self.handoffs.extend(track.turn(ordinal, ready.as_ref()));
            sightings.push(Sighting {
                ordinal,
                ready_in: ready.as_ref().map(|(cluster, _)| cluster.clone()),
                pod_uid: ready.as_ref().map(|(_, uid)| uid.clone()),
            });
            track.ready = ready;
        }
        sightings
    }

    pub(super) fn unavailable_ms(&self) -> BTreeMap<u32, Vec<u64>> {
        self.ordinals.iter().map(|(ordinal, track)| (*ordinal, track.gaps_ms.clone())).collect()
    }

    pub(super) fn handoffs(&self) -> Vec<Handoff> {
        self.handoffs.clone()
    }
}

impl Track {
    fn turn(&mut self, ordinal: u32, ready: Option<&(String, String)>) -> Option<Handoff> {
        let Some((cluster, _)) = ready else {
            self.lost_at = self.lost_at.or_else(|| Some(Instant::now()));
            return None;
        };
        let gap = self.lost_at.take().map(|lost_at| lost_at.elapsed().as_millis());
        let unavailable_ms = gap.and_then(|gap| u64::try_from(gap).ok()).unwrap_or(0);
        self.gaps_ms.extend(gap.map(|_| unavailable_ms));
        let from = self.last_cluster.replace(cluster.clone()).filter(|from| from != cluster)?;
        Some(Handoff { ordinal, from, to: cluster.clone(), unavailable_ms })
    }
}
