//! Bounds of the builds: how long each may take before it counts as hung.
//!
//! They are generous, since a cold build on a busy machine is slow and a cancelled one is wasted. They exist so
//! that a hang ends by itself with an error that names the command, and not when somebody's patience does.
//! None of them is a measure of speed.

use std::time::Duration;

/// One Go program, its dependencies not yet compiled: six minutes on two cores for the API server.
pub(super) const GO_BUILD: Duration = Duration::from_secs(40 * 60);

/// A question to the Go command that reads only its module cache, or fetches one module.
pub(super) const GO_QUERY: Duration = Duration::from_secs(5 * 60);

/// `apt-get update` and the installation of the few packages.
pub(super) const PACKAGES: Duration = Duration::from_secs(10 * 60);

/// Compiling the pause program.
pub(super) const PAUSE_BUILD: Duration = Duration::from_secs(60);

/// Waiting for another build on the same cache: as long as a whole cold build on a slow machine.
pub(super) const LOCK: Duration = Duration::from_secs(80 * 60);

/// Lines of a failed command's output that an error shows.
pub(super) const ERROR_LINES: usize = 30;
