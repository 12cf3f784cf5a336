//! What takes a handoff or a migration back, on the tables, and what ends one.
//!
//! As in [`super`]: every wait is over at once, everything may come twice. Nothing here may leave a pod or a bound volume in two
//! clusters, which the tables check after each command.
//! Real executors have tests on real API servers; these only have to be believable to the core.

use anyhow::{Context, Result};
use ferry_proto::agent::v1::{
    Fence, Fenced, Finish, Finished, Reclaim, Reclaimed, Unprepare, Unprepared, outcome::Result as Evidence,
};

use super::Cluster;

impl Cluster {
    pub(super) fn fence(&mut self, fence: Fence, epoch: u64) -> Result<Evidence> {
        self.keep([(fence.ordinal, epoch)]);
        let pod = self.pods.remove(&fence.ordinal);
        let volume = self.volumes.remove(&fence.ordinal);
        self.resize(fence.to_slice)?;
        let nothing_found = pod.is_none() && volume.is_none();
        let pv_name = volume.and_then(|of| of.volume).map(|pv| pv.name);
        Ok(Evidence::Fenced(Fenced {
            epoch_kept: epoch,
            slice: Some(self.slice()),
            nodes: if nothing_found { vec![] } else { self.node().into_iter().collect() },
            pod_uid: pod.map(|pod| pod.uid).unwrap_or_default(),
            detached: true,
            pv_names: pv_name.into_iter().collect(),
            nothing_found,
        }))
    }

    pub(super) fn reclaim(&mut self, reclaim: Reclaim, epoch: u64) -> Result<Evidence> {
        let ordinal = reclaim.ordinal;
        self.keep([(ordinal, epoch)]);
        if let Some(volume) = self.left.remove(&ordinal) {
            self.volumes.insert(ordinal, volume);
        }
        self.resize(reclaim.to_slice)?;
        if !self.pods.contains_key(&ordinal) {
            self.run(ordinal);
        }
        let pod = self.pods[&ordinal].clone();
        Ok(Evidence::Reclaimed(Reclaimed {
            pod_uid: pod.uid,
            pod_address: pod.address,
            node: self.node(),
            volumes: vec![self.volumes.get(&ordinal).cloned().context("its volume is gone")?],
            epoch_kept: epoch,
        }))
    }

    pub(super) fn unprepare(&mut self, unprepare: &Unprepare) -> Evidence {
        self.keep(unprepare.epochs.iter().map(|of| (of.ordinal, of.epoch)));
        if unprepare.target && self.pods.is_empty() {
            self.set = None;
        }
        Evidence::Unprepared(Unprepared { left: vec![] })
    }

    pub(super) fn finish(&mut self, finish: &Finish) -> Evidence {
        self.set = None;
        let claims = finish.ordinals.iter().flat_map(|of| of.claims.clone());
        Evidence::Finished(Finished {
            stateful_set_gone: true,
            tombstones: if finish.accept { vec![] } else { claims.collect() },
            accepted: finish.accept,
            ..Finished::default()
        })
    }
}
