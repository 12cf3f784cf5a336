//! Every bound of the agent, in one place: queues, retries, timeouts, sizes.
//!
//! A bound that is reached is never silent: what exceeds it is refused, or reported with a message that names the
//! bound. Durations end in their unit or are `Duration`s; sizes are in bytes unless the name says otherwise.

use std::time::Duration;

/// Progress messages kept while the controller does not take them; the oldest go first.
pub const PROGRESS_QUEUE: usize = 256;
/// Longest text of a message that travels in a progress, a refusal or an unknown, in bytes.
pub const MESSAGE_BYTES: usize = 2_048;
/// Commands carried out at once; one more is refused as not ready.
pub const COMMANDS_AT_ONCE: usize = 64;
/// Outcomes kept until the controller acknowledges them.
pub const OUTCOMES_KEPT: usize = 256;
/// Longest id of a command, in bytes.
pub const COMMAND_ID_BYTES: usize = 512;
/// Longest time that one command may take, whatever it says.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// First pause before a read of the API server is tried again.
pub const READ_RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between two tries of a read.
pub const READ_RETRY_MOST: Duration = Duration::from_secs(5);
/// How often a hold point looks whether it is let go.
#[cfg(feature = "hold-points")]
pub const HOLD_POLL: Duration = Duration::from_millis(10);
