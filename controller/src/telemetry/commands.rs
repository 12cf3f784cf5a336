//! Commands that are under way, from the entry that issues one to the entry that ends it.
//!
//! The entry that ends a command does not say how it ended: the outcome that came in just before does. One that ends
//! without an outcome was withdrawn. What was under way when the controller started counts from then.
//! Commands of inspections belong to no migration, are not journalled, and are not here.

use std::collections::BTreeMap;

use ferry_core::{ClusterName, CommandId, Epoch, Input, Millis, State, facts::OutcomeResult};

/// What a command's id says: `<migration>/<ordinal or ->/<verb>/<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) ordinal: Option<u32>,
    pub(super) verb: &'a str,
}

/// The parts of a command's id; a stranger's has no verb that is known.
pub(super) fn name(id: &CommandId) -> Name<'_> {
    let mut parts = id.as_str().rsplit('/').skip(1);
    let verb = parts.next().unwrap_or_default();
    Name { ordinal: parts.next().and_then(|ordinal| ordinal.parse().ok()), verb }
}

/// A command under way.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub(super) cluster: ClusterName,
    pub(super) epoch: Epoch,
    pub(super) since: Millis,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// `evidence`, `refusal`, `unknown` or `withdrawn`.
    pub(super) outcome: &'static str,
    /// Why it has no evidence; empty if it has.
    pub(super) message: String,
}

/// Commands under way, and outcomes whose entries are not committed yet.
#[derive(Debug, Default)]
pub(super) struct Commands {
    under_way: BTreeMap<CommandId, UnderWay>,
    heard: BTreeMap<CommandId, Ending>,
}

impl Commands {
    pub(super) fn recovered(state: &State, now: Millis) -> Self {
        let mut commands = Self::default();
        for work in state.work.values() {
            for (cluster, slot) in &work.slots {
                if let Some(command) = &slot.pending {
                    commands.issued(command.id.clone(), cluster.clone(), command.epoch, now);
                }
            }
        }
        commands
    }

    pub(super) fn issued(&mut self, id: CommandId, cluster: ClusterName, epoch: Epoch, now: Millis) {
        self.under_way.insert(id, UnderWay { cluster, epoch, since: now });
    }

    /// Takes note of an outcome that is about to be decided on; of no other command than those under way.
    pub(super) fn hear(&mut self, input: &Input) {
        let Input::Outcome { outcome, .. } = input else { return };
        if !self.under_way.contains_key(&outcome.command_id) {
            return;
        }
        let ending = match &outcome.result {
            OutcomeResult::Refusal(refusal) => {
                Ending { outcome: "refusal", message: refusal.message.clone() }
            }
            OutcomeResult::Unknown(unknown) => {
                Ending { outcome: "unknown", message: unknown.message.clone() }
            }
            _ => Ending { outcome: "evidence", message: String::new() },
        };
        self.heard.insert(outcome.command_id.clone(), ending);
    }

    /// The command that ended, and how; none if it was not known.
    pub(super) fn ended(&mut self, id: &CommandId) -> Option<(UnderWay, Ending)> {
        let ending = self.heard.remove(id);
        let withdrawn = || Ending { outcome: "withdrawn", message: String::new() };
        self.under_way.remove(id).map(|under_way| (under_way, ending.unwrap_or_else(withdrawn)))
    }

    /// Outcomes that were heard and led to nothing are forgotten with their batch.
    pub(super) fn batch_over(&mut self) {
        self.heard.clear();
    }
}
