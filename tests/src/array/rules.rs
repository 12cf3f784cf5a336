//! The array's rule as pure transitions: each function takes the state and a request, and either changes the
//! state or refuses.
//!
//! The rule: a volume is attached, staged and published on at most one seat (a node of a cluster), over all
//! clusters together. A seat counts as holder from the decision to attach until the detach, and the detach is
//! refused while the kernel has the image open: what the state says covers what is mounted, never the other way
//! round. Mounting takes time, so staging and publishing have two transitions, `begin_*` before and `confirm_*`
//! after; a process killed in between leaves the first, and a repetition completes it.
//!
//! Time, tokens and the kernel's view (`devices`: loop devices that back onto the image) come in as arguments.
//! The volume side (create, delete, grow) is in `volume.rs`, the controller's in `attach.rs`, the node's in
//! `node.rs`.

mod attach;
mod node;
mod volume;

pub use attach::{Attach, attach, detach, register_node};
pub use node::{
    BeginPublish, BeginStage, abandon_stage, begin_publish, begin_stage, confirm_publish, confirm_stage,
    confirm_unstage, staged_here, unpublish, unstage,
};
pub use volume::{CreateVolume, Created, create, delete, grow, mark_formatted, page, volume_size};

use super::model::{ArrayState, Volume};
use super::refusal::Refusal;

/// A granted request: what comes of it, and whether anything changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted<T> {
    /// What the caller goes on with.
    pub value: T,
    /// False when the state already was as asked.
    pub changed: bool,
    /// What the log should add.
    pub note: Option<String>,
}

impl<T> Granted<T> {
    fn changed(value: T) -> Self {
        Self { value, changed: true, note: None }
    }

    fn repeat(value: T) -> Self {
        Self { value, changed: false, note: None }
    }

    fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// The volume of a handle.
///
/// # Errors
/// There is none.
pub fn volume<'a>(state: &'a ArrayState, handle: &str) -> Result<&'a Volume, Refusal> {
    state.volumes.get(handle).ok_or_else(|| Refusal::UnknownVolume { handle: handle.to_owned() })
}

fn volume_mut<'a>(state: &'a mut ArrayState, handle: &str) -> Result<&'a mut Volume, Refusal> {
    state.volumes.get_mut(handle).ok_or_else(|| Refusal::UnknownVolume { handle: handle.to_owned() })
}

fn still_in_use(handle: &str, devices: &[String], op: &'static str, violation: bool) -> Refusal {
    Refusal::StillInUse { handle: handle.to_owned(), devices: devices.join(", "), op, violation }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
