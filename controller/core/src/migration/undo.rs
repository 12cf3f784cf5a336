//! Taking back: from events of an undo to durable state.
//!
//! The counterpart of `apply`. An ordinal goes back to its source in one of three ways: nothing was asked that stops it
//! (withdrawn), the target was never asked to adopt it (reclaimed), or the target first proves that it holds nothing and
//! never will (fenced, then reclaimed). Each but the first raises the epoch before anything is asked, so that whatever
//! was sent before fails wherever it still arrives (I5). An epoch that was given out stays given out.
//! Rolling everything back is the handoff itself with the clusters in each other's place.

use crate::facts::Reclaimed;
use crate::ids::{ClusterName, Epoch, Ordinal};
use crate::migration::apply::Scene;
use crate::migration::work::Handoff;
use crate::volume::Custody;

impl Scene<'_> {
    pub(super) fn withdrawn(&mut self) {
        let (source, _) = self.sides();
        let handoff = self.taken();
        assert!(!handoff.release_sent, "{}: a release may be under way", self.migration.id);
        self.given_back(&handoff, &source);
    }

    /// Raises the epoch first: what was sent under the old one cannot happen any more where the new one is kept.
    pub(super) fn undo_began(&mut self, epoch: Epoch, target_is_clear: bool) {
        self.raise_epoch(epoch);
        if target_is_clear {
            let never = !self.handoff().adopt_sent;
            assert!(never, "{}: the target may adopt it yet", self.migration.id);
            self.reclaiming();
        }
    }

    pub(super) fn raise_epoch(&mut self, epoch: Epoch) {
        self.forget_setbacks();
        let id = self.migration.id.clone();
        let handoff = self.handoff();
        handoff.epoch = epoch;
        let ordinal = handoff.ordinal;
        let record = self.custody(ordinal);
        assert!(epoch > record.epoch, "{id}: the epoch of {ordinal} must rise");
        record.epoch = epoch;
    }

    fn reclaiming(&mut self) {
        let (from, to) = self.sides();
        let ordinal = self.handoff().ordinal;
        self.custody(ordinal).custody = Custody::Reclaiming { from, to };
    }

    pub(super) fn fenced(&mut self) {
        self.forget_setbacks();
        let ((_, target), at) = (self.sides(), self.at);
        let handoff = self.handoff();
        handoff.pod_uid.clear();
        handoff.pod_address.clear();
        handoff.adopted.clear();
        let slice = handoff.target_from;
        let volumes = self.work.granted().to_vec();
        self.work.target_slice = slice;
        for volume in &volumes {
            let disk = self.disk(volume);
            self.ledger.forget_sighting(&target, &disk, at);
        }
        self.reclaiming();
    }

    pub(super) fn reclaimed(&mut self, evidence: &Reclaimed) {
        let (source, _) = self.sides();
        let handoff = self.taken();
        self.work.source_slice = handoff.source_from;
        self.work.volumes.insert(handoff.ordinal, evidence.volumes.clone());
        self.bound_in(&source, &evidence.volumes);
        self.work.reconverge = true;
        self.given_back(&handoff, &source);
    }

    fn taken(&mut self) -> Handoff {
        self.forget_setbacks();
        match self.work.handoff.take() {
            Some(handoff) => handoff,
            None => panic!("{}: no ordinal is in between", self.migration.id),
        }
    }

    fn given_back(&mut self, handoff: &Handoff, source: &ClusterName) {
        let record = self.custody(handoff.ordinal);
        record.custody = Custody::Owned { cluster: source.clone() };
        self.migration.control.undo = None;
        let words = format!("back in {source} under epoch {}", handoff.epoch);
        self.progress(|progress, at| {
            progress.step = 0;
            progress.message = words;
            progress.ended_at = Some(at);
        });
    }

    /// The handoff of an ordinal that comes back is done: it is as if it had not moved.
    pub(super) fn came_back(&mut self, words: &str) {
        self.progress(|progress, at| {
            progress.step = 0;
            words.clone_into(&mut progress.message);
            progress.ended_at = Some(at);
        });
        self.work.moved -= 1;
    }

    /// An ordinal that was handed over before begins anew: only the last attempt is told.
    pub(super) fn forget_steps(&mut self) {
        self.progress(|progress, _| {
            progress.step = 0;
            progress.steps.clear();
            progress.message.clear();
            progress.ended_at = None;
        });
    }

    pub(super) fn turned(&mut self) {
        assert!(!self.work.reversed, "{}: it comes back already", self.migration.id);
        self.work.reversed = true;
        let work = &mut *self.work;
        std::mem::swap(&mut work.source_slice, &mut work.target_slice);
        std::mem::swap(&mut work.source_uid, &mut work.target_uid);
    }

    pub(super) fn unprepare_began(&mut self) {
        self.forget_setbacks();
        self.work.settled.clear();
        let to = self.migration.to.clone();
        let there = if self.work.reversed { self.work.source_slice } else { self.work.target_slice };
        if !there.is_empty() {
            // What an earlier migration moved is there, and needs the protection that this one found in place.
            self.work.prepared.clear();
            self.work.left.push(format!("{to} runs {there}, so both clusters stay as they were prepared"));
        }
    }

    /// Raises every epoch: a late repetition of what undid this preparation must not undo the next one.
    pub(super) fn unprepared(&mut self) {
        let ordinals: Vec<Ordinal> = self.work.volumes.keys().copied().collect();
        for ordinal in ordinals {
            let record = self.custody(ordinal);
            record.epoch = record.epoch.next();
        }
        self.work.settled.clear();
    }

    pub(super) fn side_unprepared(&mut self, cluster: &ClusterName, left: &[String]) {
        self.work.settled.insert(cluster.clone());
        self.work.slots.remove(cluster);
        self.work.left.extend(left.iter().map(|line| format!("{cluster}: {line}")));
    }
}
