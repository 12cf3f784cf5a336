//! The one write that decides which pods a cluster runs (handoff.md section 3, H1).
//!
//! `start` and `replicas` change together, in one JSON Patch whose tests hold what the decision was made on: the uid,
//! the epoch annotation, the old start and the old replicas; and the resourceVersion. The epochs are looked at between
//! the reading of the set and the patch, and whoever undoes a step raises them first and then writes to the set
//! ([`fence`]): so the patch of a process that was paused anywhere in between fails, whatever else is equal. The API
//! server answers a failed test with 422, the same as a bad patch; which of the two it was is settled by reading again.

use ferry_proto::agent::v1::Slice;
use serde_json::{Value, json};

use super::{
    api::{self, Halt, Halted, Written},
    epochs,
    object::{self, EPOCH},
    stateful_set::{self, HANDOFF},
};
use crate::{context::Context, guard::blame, outcome::Stop};

/// Fields of the spec that say which ordinals a set runs.
pub(crate) const SLICE: [&str; 2] = ["replicas", "ordinals"];

/// One ordinal into the slice of a set, or out of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The ordinal.
    pub ordinal: u32,
    /// UID of the StatefulSet.
    pub stateful_set_uid: String,
    /// The slice before.
    pub from: Slice,
    /// The slice after.
    pub to: Slice,
}

impl Change {
    /// What the command says.
    ///
    /// # Errors
    /// Not understood, if it lacks a slice.
    pub(crate) fn of(
        ordinal: u32,
        stateful_set_uid: &str,
        from: Option<Slice>,
        to: Option<Slice>,
    ) -> Result<Self, Stop> {
        let (Some(from), Some(to)) = (from, to) else {
            return Err(Stop::not_understood("The command lacks the slice of before or of after"));
        };
        Ok(Self { ordinal, stateful_set_uid: stateful_set_uid.to_owned(), from, to })
    }
}

/// Whether the slice has still to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The set has the slice of before.
    Before,
    /// The set has the slice of after.
    After,
}

/// On which side of the patch `set` stands.
///
/// # Errors
/// A conflict if its slice is neither.
pub(crate) fn side(set: &Value, change: &Change) -> Result<Side, Stop> {
    let Change { from, to, .. } = change;
    let found = object::slice(set);
    if object::same_slice(&found, to) {
        Ok(Side::After)
    } else if object::same_slice(&found, from) {
        Ok(Side::Before)
    } else {
        Err(Stop::conflict(format!(
            "StatefulSet {} runs {}, expected {} (or {} when the step is done): somebody else scaled it{}. Put its \
             slice back and keep the other writer away",
            object::name(set),
            object::slice_text(&found),
            object::slice_text(from),
            object::slice_text(to),
            blame::writer(set, &SLICE)
        )))
    }
}

/// What was recorded when the slice was changed, or fenced, for this ordinal at this command's epoch.
pub(crate) fn recorded(ctx: &Context, set: &Value, ordinal: u32) -> Option<Value> {
    let kept: Value = serde_json::from_str(object::annotation(set, HANDOFF)?).ok()?;
    let is_ours = object::number(&kept, "/ordinal") == u64::from(ordinal)
        && object::number(&kept, "/epoch") == ctx.command.epoch;
    is_ours.then_some(kept)
}

/// Writes the epoch and `handoff` to the set, as it was read, and leaves its slice: a patch that was decided before
/// fails from now on. The epochs are looked at after the set was read, as for [`apply`]: the record of a later command
/// stays.
pub(crate) async fn fence(ctx: &Context, set: &Value, ordinal: u32, handoff: &Value) -> Halted<Value> {
    epochs::latest(ctx, &[(ordinal, ctx.command.epoch)]).await?;
    let epoch = object::epoch(set).max(ctx.command.epoch).to_string();
    let changes = object::annotate(set, &[(EPOCH, &epoch), (HANDOFF, &handoff.to_string())]);
    api::amend(ctx, &stateful_set::key(ctx), set, changes).await
}

/// Patches the set, as it was read, to the slice of after; `handoff` is recorded in the same write.
pub(crate) async fn apply(ctx: &Context, set: &Value, change: &Change, handoff: &Value) -> Halted<Value> {
    let key = stateful_set::key(ctx);
    let operations = operations(set, &change.to, ctx.command.epoch, handoff)?;
    epochs::latest(ctx, &[(change.ordinal, ctx.command.epoch)]).await?;
    match api::patch(ctx, &key, &operations, false).await? {
        Written::Done(now) => Ok(now),
        Written::Unfit(message) => {
            let now = stateful_set::read(ctx, object::uid(set)).await?;
            if object::version(&now) == object::version(set) {
                Err(Stop::conflict(format!("The API server calls the new slice of {key} invalid: {message}"))
                    .into())
            } else {
                Err(Halt::Again(format!("{key} was changed by somebody else meanwhile")))
            }
        }
        Written::Missing | Written::Exists | Written::Changed => {
            Err(Halt::Again(format!("{key} was changed by somebody else meanwhile")))
        }
    }
}

/// The patch: six tests, then the slice, the epoch and the record.
fn operations(set: &Value, to: &Slice, epoch: u64, handoff: &Value) -> Result<Vec<Value>, Stop> {
    let start = set.pointer("/spec/ordinals/start");
    let (Some(kept), Some(start)) = (object::annotation(set, EPOCH), start) else {
        return Err(Stop::conflict(format!(
            "StatefulSet {} has no epoch annotation or no explicit ordinals.start, which preparation writes. Somebody \
             removed them: prepare the migration again",
            object::name(set)
        )));
    };
    let highest = object::epoch(set).max(epoch).to_string();
    Ok(vec![
        json!({"op": "test", "path": "/metadata/uid", "value": object::uid(set)}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": object::version(set)}),
        json!({"op": "test", "path": "/metadata/generation", "value": generation(set)}),
        json!({"op": "test", "path": object::annotation_path(EPOCH), "value": kept}),
        json!({"op": "test", "path": "/spec/ordinals/start", "value": start}),
        json!({"op": "test", "path": "/spec/replicas", "value": object::slice(set).replicas}),
        json!({"op": "replace", "path": "/spec/ordinals/start", "value": to.start}),
        json!({"op": "replace", "path": "/spec/replicas", "value": to.replicas}),
        json!({"op": "replace", "path": object::annotation_path(EPOCH), "value": highest}),
        json!({"op": "add", "path": object::annotation_path(HANDOFF), "value": handoff.to_string()}),
    ])
}

fn generation(set: &Value) -> u64 {
    object::number(set, "/metadata/generation")
}

#[cfg(test)]
#[path = "slice_patch_tests.rs"]
mod tests;
