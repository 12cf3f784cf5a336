//! Translation between the wire's generated types and the core's, with every check a message from outside needs.
//!
//! What is not understood (an absent oneof, an enum value of another version, a number out of range) is refused with
//! the field and a reason; nothing is guessed or clipped. Names are checked here once, so that behind this module a
//! namespace is a DNS label. Whether evidence is believed is the core's business.

mod admin;
mod check;
mod command;
mod control;
mod evidence;
mod inventory;
mod objects;

pub use admin::{
    cluster_view, migration, migration_filter, order, plan, plan_request, rejection, volume_filter,
    volume_view,
};
pub use check::Error;
pub use command::{command, governed, mirror};
pub use control::{audit_page, audit_query, domain, domain_request, map, map_request, probe_request};
pub use evidence::{outcome, progress};
pub use inventory::{endpoints, health, inventory, mirror_applied, resync};

#[cfg(test)]
#[path = "wire/fuzz_tests.rs"]
mod fuzz;
