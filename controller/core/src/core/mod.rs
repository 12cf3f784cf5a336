//! One input at a time: from what happened to what is decided.
//!
//! Each step is: take the input in, drive every running migration as far as it goes, say what they wait for, and
//! name the next timer. An entry is applied to the state at the moment it is decided, so that whatever is decided
//! next already stands on it; that is also what replay does.

mod attest;
mod audit;
mod control;
mod drive;
mod finish;
mod inspecting;
mod mirrors;
mod outcomes;
mod probing;
mod requests;
mod sessions;
mod storage;
mod timers;

pub(crate) use audit::Action;

use std::collections::BTreeSet;

use crate::effect::{Decision, Effect};
use crate::entry::Entry;
use crate::ids::{MigrationId, RequestId};
use crate::input::Input;
use crate::observed::Observed;
use crate::reply::Reply;
use crate::state::State;
use crate::time::Millis;

/// The core: durable state and what is observed now.
#[derive(Clone, Debug, Default)]
pub struct Core {
    state: State,
    observed: Observed,
}

impl Core {
    /// A core that goes on from that state; nobody is attached.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state, observed: Observed::default() }
    }

    /// The durable state, decisions of the last step included.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is observed now.
    #[must_use]
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Takes one input at that time, applies the entries it decides to its own state, and returns them with the
    /// effects to release once they are durable.
    ///
    /// # Panics
    /// When an invariant is broken: a bug, never a matter of input. The caller crashes and replays.
    pub fn step(&mut self, input: Input, now: Millis) -> Decision {
        let mut step = Step {
            state: &mut self.state,
            observed: &mut self.observed,
            now,
            entries: Vec::new(),
            effects: Vec::new(),
            changed: BTreeSet::new(),
        };
        step.take(input);
        step.time_out();
        step.pass_deadlines();
        step.drive_all();
        step.say_all();
        let wake_at = step.next_timer();
        let Step { entries, mut effects, changed, .. } = step;
        effects.extend(changed.iter().cloned().map(Effect::MigrationChanged));
        for id in &changed {
            let sound = self.state.check_migration(id);
            assert_eq!(sound, Ok(()), "the ledger contradicts itself");
        }
        debug_assert_eq!(self.state.check(), Ok(()), "the ledger contradicts itself");
        Decision { entries, effects, wake_at }
    }
}

/// One step under way.
struct Step<'a> {
    state: &'a mut State,
    observed: &'a mut Observed,
    now: Millis,
    entries: Vec<Entry>,
    effects: Vec<Effect>,
    changed: BTreeSet<MigrationId>,
}

impl Step<'_> {
    fn record(&mut self, entry: Entry) {
        let changes_owner = self.owner_change(&entry);
        self.apply(entry);
        if let Some(record) = changes_owner {
            self.apply(Entry::Audited(Box::new(record)));
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.state.apply(&entry);
        if let Some(id) = entry.migration() {
            self.changed.insert(id.clone());
        }
        self.entries.push(entry);
    }

    fn release(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        if let Some(action) = self.observed.actions.remove(&request) {
            self.audit(action, &reply);
        }
        self.release(Effect::Reply { request, reply: Box::new(reply) });
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Attached { cluster, session, resync } => self.attached(cluster, session, *resync),
            Input::Detached { cluster, session } => self.detached(&cluster, session),
            Input::Heartbeat { cluster, session, health } => {
                let now = self.now;
                if let Some(observed) = self.observed.present(&cluster, session) {
                    observed.health = health;
                    observed.last_seen = now;
                }
            }
            Input::Inventory { cluster, session, inventory } => {
                if self.observed.present(&cluster, session).is_some() {
                    self.take_inventory(&cluster, *inventory);
                }
            }
            Input::Progress { cluster, session, progress } => {
                if self.observed.present(&cluster, session).is_some() {
                    self.progressed(&cluster, &progress);
                }
            }
            Input::Outcome { cluster, session, outcome } => {
                if self.observed.present(&cluster, session).is_some() {
                    self.answered(&cluster, session, *outcome);
                }
            }
            Input::Endpoints { cluster, session, report } => {
                if self.observed.present(&cluster, session).is_some() {
                    self.endpoints_reported(&cluster, *report);
                }
            }
            Input::MirrorApplied { cluster, session, applied } => {
                if self.observed.present(&cluster, session).is_some() {
                    self.mirror_applied(&cluster, applied);
                }
            }
            Input::Timer => {}
            Input::Request { request, body } => self.asked(request, body),
        }
    }
}
