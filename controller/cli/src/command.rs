//! The subcommands, one file each: call, show, say what to do next.

pub(crate) mod clusters;
pub(crate) mod get;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod token;
pub(crate) mod version;
pub(crate) mod volumes;
pub(crate) mod watch;
