//! The agent of one cluster: the only part of Ferry that talks to a Kubernetes API.
//!
//! It dials the controller, says what its cluster holds ([`inventory`], [`health`], [`endpoints`]), and carries out
//! commands locally ([`dispatch`] to [`executor`] and [`inspect`]). It decides nothing: what to do next follows from
//! the ledger, which the controller keeps. It keeps nothing either, beyond its key and certificate ([`identity`]):
//! a new process finds in the cluster all that it needs to resume.
//!
//! Reports come from watches and may be stale; executors therefore never act on an inventory, they read the API
//! server with quorum reads themselves.

pub mod backoff;
pub mod cluster;
pub mod context;
pub mod dispatch;
pub mod endpoints;
pub mod events;
pub mod executor;
pub(crate) mod guard;
pub mod health;
pub mod identity;
pub mod inspect;
pub mod inventory;
pub mod limits;
pub mod options;
pub mod outcome;
pub mod progress;
pub mod run;
pub mod session;
pub mod telemetry;
pub mod watch;
