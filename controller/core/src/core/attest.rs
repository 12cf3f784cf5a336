//! What a person attests because no cluster can prove it (handoff.md, section 1, step 6; H11).
//!
//! A node that is gone, was booted anew or was declared dead says nothing any more of what it last wrote. A release, or
//! the fence of an adoption, that needs its word stays unknown and pauses; nothing here ever assumes it. A person who
//! knows that the machine is off says so by name, with a reason, for the handoffs that wait for exactly that node of that
//! cluster: a node of the same name elsewhere is another machine. Their epochs rise, so that what was commanded before the attestation ends nowhere; everything else is proven as ever.

use crate::entry::Entry;
use crate::ids::{ClusterName, MigrationId};
use crate::limits;
use crate::migration::Work;
use crate::rejection::Rejection;
use crate::reply::Reply;

use super::Step;

impl Step<'_> {
    pub(super) fn attest(&mut self, node: &str, reason: &str) -> Reply {
        let waiting = match self.may_attest(node, reason) {
            Ok(waiting) => waiting,
            Err(rejection) => return Reply::Rejected(rejection),
        };
        for (id, cluster) in &waiting {
            let (migration, cluster) = (id.clone(), cluster.clone());
            self.record(Entry::Attested { migration, cluster, node: node.to_owned() });
            self.raise_epoch(id);
            self.drive(id);
        }
        self.say_all();
        let now = waiting.iter().filter_map(|(id, _)| self.state.migrations.get(id));
        Reply::Migrations(now.cloned().collect())
    }

    /// The migrations that wait for that node, with its cluster.
    fn may_attest(&self, node: &str, reason: &str) -> Result<Vec<(MigrationId, ClusterName)>, Rejection> {
        if reason.trim().is_empty() || reason.len() > limits::REASON_BYTES {
            return Err(Rejection::Invalid(format!(
                "the reason has {} bytes, expected 1 to {}: say how it is known that nothing on {node} writes any more",
                reason.trim().len(),
                limits::REASON_BYTES
            )));
        }
        let unproven: Vec<_> = self.state.work.iter().flat_map(|(id, work)| unproven(id, work)).collect();
        let waiting = unproven.iter().filter(|(_, _, of)| *of == node);
        let waiting: Vec<(MigrationId, ClusterName)> =
            waiting.map(|(id, cluster, _)| ((*id).clone(), (*cluster).clone())).collect();
        match waiting.first() {
            Some((_, cluster)) if waiting.iter().all(|(_, of)| of == cluster) => Ok(waiting),
            Some(_) => Err(Rejection::NothingToAttest(format!(
                "nodes of the name {node} are waited for in several clusters, and one word cannot be for both machines: \
                 attest when only one of them is waited for"
            ))),
            None => {
                let known: Vec<&str> = unproven.iter().map(|(_, _, node)| *node).collect();
                Err(self.nothing_to_attest(node, &known))
            }
        }
    }

    fn nothing_to_attest(&self, node: &str, known: &[&str]) -> Rejection {
        let waited_for = match known {
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
        Rejection::NothingToAttest(format!("{what}; {waited_for}: see `ferry get migrations`"))
    }
}

/// Nodes whose proof the handoff lacks, as its clusters named them.
fn unproven<'a>(
    id: &'a MigrationId,
    work: &'a Work,
) -> impl Iterator<Item = (&'a MigrationId, &'a ClusterName, &'a str)> {
    let setbacks = work.slots.iter().filter_map(|(cluster, slot)| Some((cluster, slot.setback.as_ref()?)));
    setbacks.flat_map(move |(cluster, setback)| {
        setback.unproven.iter().map(move |node| (id, cluster, node.as_str()))
    })
}
