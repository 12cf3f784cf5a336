//! Time as the core knows it: a number that comes in with each input.
//!
//! Unix milliseconds, from the shell's clock. The core compares and adds; it never reads a clock. A clock that is
//! set back never breaks an invariant: order comes from the journal, not from these numbers.
//! The same goes for one that jumps ahead: timers come early, and what they ask for is checked as always.

use serde::{Deserialize, Serialize};

/// Unix time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// This time and `ms` milliseconds more; stays at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Whether this time has come, `now`. One that lies further off than the `longest` it can ever have been set for is
    /// from before the clock was set back, and has come too: nobody waits for hours to be made up.
    #[must_use]
    pub fn has_come(self, now: Self, longest: u64) -> bool {
        self <= now || self > now.plus(longest)
    }

    /// Milliseconds from `earlier` to this time; 0 if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
