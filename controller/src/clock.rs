//! The shell's clock: the one place that turns the system's time into what the core and certificates understand.
//!
//! The core gets Unix milliseconds with each input; certificates are compared in seconds. A system clock before 1970
//! reads as 1970: everything then is in the future, tokens live on and timers wait, and nothing moves by mistake.
//! Durations of the shell's own (time-outs, heartbeats) run on tokio's monotonic clock and are not here.

use std::time::{Duration, SystemTime};

use ferry_core::Millis;

/// Unix time now, in milliseconds.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A time of a certificate, in Unix seconds.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Time from now until `at`; zero if it has passed.
#[must_use]
pub fn until(at: Millis) -> Duration {
    Duration::from_millis(at.since(now()))
}

/// A time in words that people and machines read alike (RFC 3339, UTC).
#[must_use]
pub fn written(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "an unknown time".to_owned(), |at| format!("{at:.0}"))
}

/// The same for a time of the core.
#[must_use]
pub fn of(at: Millis) -> String {
    written(SystemTime::UNIX_EPOCH + Duration::from_millis(at.0))
}

/// A duration of ours in milliseconds, as the wire has it.
#[must_use]
pub fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
