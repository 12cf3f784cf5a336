//! A migration: the ordinals of one workload on their way from one cluster to another.
//!
//! It is a reconciler: `desired` says which command each cluster should be carrying out, from the ledger alone;
//! `judge` turns an answer into an event or a setback, after `evidence` held it against the ledger; `stage` says
//! whether the event can happen now; `apply` makes it durable state. `gate` looks at endpoints, `describe` says what
//! is waited for. `undo` is `apply` of what is taken back; `progress` is for people alone. Who calls these, and sends, is the core's `drive`.
//!
//! [`Migration`] is what people see, and stays after the end; [`Work`] is the machine's part, and does not.

mod apply;
mod control;
mod describe;
mod desired;
mod display;
mod event;
mod evidence;
mod gate;
mod judge;
mod overtaken;
mod progress;
mod stage;
#[cfg(test)]
mod stage_tests;
mod undo;
mod work;

pub use control::Ask;
pub use display::{
    AskedBy, Certificate, Control, Migration, OrdinalProgress, Phase, StepTime, UnknownOutcome, step_name,
};
pub use event::Event;
pub use stage::{Illegal, Stage};
pub use work::{Handoff, HeldAt, Setback, Slot, Work, backoff_ms};

pub(crate) use apply::{Started, apply_event, start};
pub(crate) use control::{apply_ask, asked_by};
pub(crate) use describe::{describe, disk_in_the_way};
pub(crate) use desired::{desired, timeout_ms};
pub(crate) use evidence::holds_fit;
pub(crate) use gate::{converged, old_addresses, ordinal_converged};
pub(crate) use judge::{Asked, judge};
pub(crate) use overtaken::restored;
pub(crate) use progress::apply_step_report;
pub(crate) use work::holds_are_stale;
