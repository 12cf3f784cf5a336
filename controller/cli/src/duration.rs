//! Spans of time as people read them.
//!
//! [`age`] is what kubectl's AGE column prints (`HumanDuration` of apimachinery): two units while they matter, one
//! when they do not. [`elapsed`] is for a step that is watched: tenths of a second first, then minutes and seconds.
//! Both are functions of two instants, so that a display can be tested with a fixed time; a negative span is a clock
//! that differs between machines and is shown as zero.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// From `then` to `now`, in milliseconds, at least zero.
pub(crate) fn between_ms(then: Timestamp, now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(then.as_millisecond()).max(0)
}

/// As in kubectl's AGE column.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = between_ms(then, now) / 1_000;
    match seconds {
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(s / MINUTE, "m", s % MINUTE, "s"),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(s / DAY, "d", s % DAY / HOUR, "h"),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two(s / YEAR, "y", s % YEAR / DAY, "d"),
        s => format!("{}y", s / YEAR),
    }
}

/// A span that is being watched.
pub(crate) fn elapsed(ms: i64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        s if s < MINUTE => format!("{s}.{}s", ms % 1_000 / 100),
        s if s < HOUR => format!("{}m{:02}s", s / MINUTE, s % MINUTE),
        s => format!("{}h{:02}m", s / HOUR, s % HOUR / MINUTE),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

#[cfg(test)]
#[path = "duration_tests.rs"]
mod tests;
