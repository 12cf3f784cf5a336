//! The subcommands, one file each: call, show, say what to do next.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod clusters;
pub(crate) mod control;
pub(crate) mod describe;
pub(crate) mod get;
pub(crate) mod local;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod runbook;
pub(crate) mod storage;
pub(crate) mod token;
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod watch;
