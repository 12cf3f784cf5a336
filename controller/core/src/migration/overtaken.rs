//! What is not believed any more when a ledger was overtaken (handoff.md, H18).
//!
//! A ledger from a backup does not know what was asked, proven and taken back since. One that meets a higher epoch than
//! its own is in the same position. Then neither cluster may take anything on what the other proved before: the source
//! proves its release anew, or the target that it holds nothing, each under an epoch that nobody was ever given.
//! Both are repetitions where the world is still as the ledger has it, and a refusal that a person reads where it is not.

use crate::ids::Epoch;
use crate::migration::apply::Scene;
use crate::migration::stage::Stage;
use crate::migration::work::{Handoff, Work};
use crate::volume::{Custody, OrdinalRecord};

impl Scene<'_> {
    pub(super) fn overtaken(&mut self, epoch: Epoch) {
        self.raise_epoch(epoch);
        let ordinal = self.handoff().ordinal;
        let workload = self.migration.workload.clone();
        let records = self.ledger.workloads.get_mut(&workload).map(|record| &mut record.ordinals);
        if let Some(record) = records.and_then(|records| records.get_mut(&ordinal)) {
            disbelieve(self.work, record);
        }
    }
}

/// A handoff of a restored ledger: everything may have been asked for, and nothing that was proven need still be so.
pub(crate) fn restored(work: &mut Work, record: &mut OrdinalRecord) {
    work.stage = match work.stage {
        Stage::Adopting | Stage::Gating | Stage::Resolving | Stage::Retiring => Stage::Releasing,
        Stage::Reclaiming => Stage::Fencing,
        stage => stage,
    };
    if let Some(handoff) = &mut work.handoff {
        handoff.epoch = record.epoch;
        if work.stage == Stage::Holding {
            (handoff.source_held, handoff.target_held, handoff.recheck) = (None, None, None);
        }
    }
    disbelieve(work, record);
}

/// The handoff as of the stage that it was put back to.
fn disbelieve(work: &mut Work, record: &mut OrdinalRecord) {
    let Some(handoff) = &mut work.handoff else {
        return;
    };
    (handoff.release_sent, handoff.adopt_sent) = (true, true);
    match (work.stage, &record.custody) {
        (Stage::Releasing, Custody::Granted { from, to }) => {
            record.custody = Custody::Releasing { from: from.clone(), to: to.clone() };
            (work.source_slice, work.target_slice) = (handoff.source_from, handoff.target_from);
            forget_proofs(handoff);
        }
        (Stage::Fencing, Custody::Reclaiming { from, to }) => {
            let (from, to) = (from.clone(), to.clone());
            record.custody = match handoff.released {
                Some(_) => Custody::Granted { from, to },
                None => Custody::Releasing { from, to },
            };
        }
        _ => {}
    }
}

fn forget_proofs(handoff: &mut Handoff) {
    handoff.began = true;
    handoff.released = None;
    handoff.resolvers_until = None;
    handoff.pod_uid.clear();
    handoff.pod_address.clear();
    handoff.adopted.clear();
}
