//! The real binary, over real TLS: identities, sessions, restarts, and what happens when the disk misbehaves.
//!
//! Nothing here is mocked but the agent, which speaks the real wire without a cluster behind it. Controllers listen
//! on ports of the system's choice and keep their data in temporary directories, so that tests run beside each other;
//! each is killed when its test ends. Waiting is for a condition, with a deadline.

mod agent;
mod backups;
mod calls;
mod client;
mod cluster;
mod control;
mod crossing;
mod expiry;
mod hostile;
mod observe;
mod process;
mod restarts;
mod sessions;
mod tokens;
