//! Bounds of a world: how many clusters and nodes its address plan holds, how long each wait may last.
//!
//! The times are for a loaded machine of two cores, several times what is usual, so that a test fails by them
//! only when something is broken. None is a measure of speed: a wait ends as soon as its condition holds.
//! The numbers follow from `address`.

use std::time::Duration;

/// Clusters of one world; the second byte of pod and service ranges counts them.
pub const MAX_CLUSTERS: usize = 6;

/// Nodes of one cluster with a kubelet; the fourth byte of their addresses counts them.
pub const MAX_NODES: usize = 20;

/// Simulated nodes of one cluster.
pub const MAX_SIMULATED_NODES: usize = 1000;

/// From the start of a control plane to its API server's `/readyz`; 4 s on an idle machine.
pub(super) const CONTROL_PLANE_READY: Duration = Duration::from_secs(120);

/// From the start of a node to its condition Ready, its DNS server and its driver answering.
pub(super) const NODE_READY: Duration = Duration::from_secs(120);

/// From the start of a node's runtime to its first answer; the import of the images.
pub(super) const RUNTIME_READY: Duration = Duration::from_secs(60);

/// From SIGTERM to SIGKILL when a process is asked to stop. An API server with open watches never makes it.
pub(super) const PROCESS_STOP: Duration = Duration::from_secs(10);

/// From SIGKILL to the end of a process.
pub(super) const PROCESS_KILLED: Duration = Duration::from_secs(10);

/// One call of kubectl.
pub(super) const KUBECTL: Duration = Duration::from_secs(60);

/// One command that changes a link, a mount or a device.
pub(super) const SYSTEM_COMMAND: Duration = Duration::from_secs(20);

/// From a first signal to the outermost process to SIGKILL for all within.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(20);

/// For the kernel to let go of a dead world's cgroups and loop devices.
pub(super) const RESIDUE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
pub(super) const POLL: Duration = Duration::from_millis(25);

/// Lines of a process's log that an error shows.
pub(super) const LOG_TAIL: usize = 25;

/// Bytes of a process's log that are read for those lines.
pub(super) const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// Bytes that a world asks of the disk it lies on: its stores, logs and container files come to less than half.
pub(super) const FREE_DISK: u64 = 1 << 30;

/// Run directories of failed runs that keep their logs.
pub(super) const KEPT_RUNS: usize = 5;
