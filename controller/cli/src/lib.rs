//! The operator's command, `ferry`, also `kubectl ferry`.
//!
//! It asks the controller over gRPC and shows the answers; it decides nothing itself and talks to no Kubernetes API.
//! Generated types stop in [`wire`], [`admin`] and [`session`]; commands and displays see [`shape`] only, which is
//! also what `-o json` prints. What is rendered is made by pure functions ([`table`], [`explain_plan`], [`progress`], [`plain`])
//! and written by [`terminal`]: data to standard output, everything else to standard error.
//!
//! Exit codes, a promise to scripts:
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done |
//! | 1 | the call failed: controller unreachable, no answer in time, a file that cannot be read or written; or `check` found a fault |
//! | 2 | usage: the command line is wrong |
//! | 3 | refused: the plan has refusals, the controller said no, or the question was answered with no |
//! | 4 | identity: not logged in, expired, token not taken, controller not trusted, permission denied |
//! | 5 | the migration ended other than Completed (`migrate`, `watch`) |
//! | 130 | interrupted while watching; the migration goes on |

mod admin;
mod args;
mod certificate;
mod checks;
mod command;
mod config;
mod describe;
mod duration;
mod error;
mod explain;
mod explain_plan;
mod follow;
mod limits;
mod live;
mod pin;
mod plain;
mod progress;
mod run;
mod runbook;
#[cfg(test)]
mod samples;
mod session;
mod shape;
mod steps;
mod table;
mod terminal;
mod token;
mod view;
mod wire;

pub use run::main;
