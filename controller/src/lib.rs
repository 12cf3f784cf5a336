//! The coordinator: one event loop over the pure core, and everything around it that touches the world.
//!
//! The shell owns time, disk and network; `ferry-core` decides. Sessions and the admin API send inputs to the event
//! loop and get effects and replies from it; only the loop writes the journal. Generated types stop in `wire`,
//! `session`, `admin`. Nothing here talks to a Kubernetes API: the controller has no credential for any cluster.

pub mod admin;
pub mod authz;
pub mod backup;
pub mod clock;
pub mod event_loop;
pub mod identity;
pub mod journal;
pub mod limits;
pub mod refusals;
pub mod serve;
pub mod session;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod wire;
