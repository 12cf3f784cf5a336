//! The one write that decides which pods a cluster runs (handoff.md section 3, H1).
//!
//! `start` and `replicas` change together, in one JSON Patch whose tests hold what the decision was made on: the uid,
//! the epoch annotation, the old start and the old replicas. The generation is tested too: it rises with every change
//! of the spec, so a slice that went away and came back is not taken for the old one by a process that was paused.
//! The API server answers a failed test with 422, the same as a bad patch; which of the two it was is settled by
//! reading again.

use ferry_proto::agent::v1::Slice;
use serde_json::{Value, json};

use super::{
    api::{self, Halt, Halted, Written},
    object::{self, EPOCH},
    stateful_set::{self, HANDOFF},
};
use crate::{context::Context, outcome::Stop};

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
/// A conflict if its slice is neither; not understood if the command lacks one.
pub(crate) fn side(set: &Value, from: Option<&Slice>, to: Option<&Slice>) -> Result<Side, Stop> {
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Stop::not_understood("The command lacks the slice of before or of after"));
    };
    let found = object::slice(set);
    if object::same_slice(&found, to) {
        Ok(Side::After)
    } else if object::same_slice(&found, from) {
        Ok(Side::Before)
    } else {
        Err(Stop::conflict(format!(
            "StatefulSet {} runs {}, expected {} (or {} when the step is done): somebody else scaled it. Put its slice \
             back and keep the other writer away",
            object::name(set),
            object::slice_text(&found),
            object::slice_text(from),
            object::slice_text(to)
        )))
    }
}

/// Patches the set, as it was read, to the slice `to`; `handoff` is recorded in the same write.
pub(crate) async fn apply(ctx: &Context, set: &Value, to: &Slice, handoff: &Value) -> Halted<Value> {
    let key = stateful_set::key(ctx);
    let operations = operations(set, to, ctx.command.epoch, handoff)?;
    match api::patch(ctx, &key, &operations, false).await? {
        Written::Done(now) => Ok(now),
        Written::Unfit(message) => {
            let now = stateful_set::read(ctx, object::uid(set)).await?;
            if generation(&now) == generation(set) && object::epoch(&now) == object::epoch(set) {
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

/// The patch: five tests, then the slice, the epoch and the record.
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
