//! Names of the steps of one handoff, for people.
//!
//! Numbers are those of the table in handoff.md section 5. The controller sends a name with the step that runs now;
//! the names here head the columns of the closing summary and stand in where the controller sent none. Several
//! numbers are one command to a cluster (5 to 8, 9 and 10); they are still shown apart, because it matters to a
//! person whether a replica is being stopped or its disk is being detached.

/// Steps of one handoff.
pub(crate) const LAST: u32 = 13;
/// What the controller sends as the step of an ordinal that has arrived.
pub(crate) const DONE: u32 = 14;

/// The name of a step; empty for a number that is none.
pub(crate) fn name(step: u32) -> &'static str {
    match step {
        0 => "waiting",
        1 => "reserve",
        2 => "hold",
        3 => "check",
        4 => "hook",
        5 => "stop",
        6 => "detach",
        7 => "unclaim",
        8 => "grant",
        9 => "claim",
        10 => "start",
        11 => "converge",
        12 => "retire",
        13 => "settle",
        DONE => "done",
        _ => "",
    }
}
