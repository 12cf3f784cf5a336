//! One input at a time: from what happened to what is decided.

use crate::effect::Decision;
use crate::input::Input;
use crate::observed::Observed;
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
    pub fn step(&mut self, input: Input, now: Millis) -> Decision {
        let _ = (input, now);
        Decision::default()
    }
}
