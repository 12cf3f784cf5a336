//! What a person attests because no cluster can prove it (handoff.md, section 1, step 6; H11).
//!
//! A node that is gone, was booted anew or was declared dead says nothing any more of what it last wrote. A release, or
//! the fence of an adoption, that needs its word stays unknown and pauses; nothing here ever assumes it. A person who
//! knows that the machine is off says so by name, with a reason, for the handoffs that wait for exactly that node. Their
//! epochs rise, so that what was commanded before the attestation ends nowhere; everything else is proven as ever.

use crate::entry::Entry;
use crate::ids::MigrationId;
use crate::limits;
use crate::migration::Work;
use crate::rejection::Rejection;
use crate::reply::Reply;

use super::Step;

impl Step<'_> {
    pub(super) fn attest(&mut self, node: &str, reason: &str) -> Reply {
        if let Err(rejection) = self.may_attest(node, reason) {
            return Reply::Rejected(rejection);
        }
        let waiting: Vec<MigrationId> = self.waiting_for(node);
        for id in &waiting {
            self.record(Entry::Attested { migration: id.clone(), node: node.to_owned() });
            self.raise_epoch(id);
            self.drive(id);
        }
        self.say_all();
        let now = waiting.iter().filter_map(|id| self.state.migrations.get(id));
        Reply::Migrations(now.cloned().collect())
    }

    fn waiting_for(&self, node: &str) -> Vec<MigrationId> {
        let waits = |work: &Work| unproven(work).any(|unproven| unproven == node);
        self.state.work.iter().filter(|(_, work)| waits(work)).map(|(id, _)| id.clone()).collect()
    }

    fn may_attest(&self, node: &str, reason: &str) -> Result<(), Rejection> {
        if reason.trim().is_empty() || reason.len() > limits::REASON_BYTES {
            return Err(Rejection::Invalid(format!(
                "the reason has {} bytes, expected 1 to {}: say how it is known that nothing on {node} writes any more",
                reason.trim().len(),
                limits::REASON_BYTES
            )));
        }
        if !self.waiting_for(node).is_empty() {
            return Ok(());
        }
        let known: Vec<&str> = self.state.work.values().flat_map(unproven).collect();
        let waited_for = match known.as_slice() {
            [] => "no migration waits for the proof of any node".to_owned(),
            known => format!("migrations wait for the proof of {}", known.join(", ")),
        };
        let is_cluster = self.state.clusters.keys().any(|cluster| cluster.as_str() == node);
        let what = if is_cluster {
            format!(
                "{node} is a cluster: what is attested is a node, as the message of a paused migration names it. A \
                 cluster whose API server is gone proves nothing about its disks: bring it back, or end the migration \
                 by hand (docs/by-hand.md)"
            )
        } else {
            format!("no migration waits for the proof of node {node}, so there is nothing to attest")
        };
        Err(Rejection::NothingToAttest(format!("{what}; {waited_for}: see `ferry get migrations`")))
    }
}

/// Nodes whose proof the handoff lacks, as its clusters named them.
fn unproven(work: &Work) -> impl Iterator<Item = &str> {
    let slots = work.slots.values().filter_map(|slot| slot.setback.as_ref());
    slots.flat_map(|setback| setback.unproven.iter().map(String::as_str))
}
