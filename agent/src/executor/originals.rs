//! What a workload's protection was before Ferry changed it, kept where it can be found again: on its StatefulSet.
//!
//! Written in the same patch that makes the first change, completed (never overwritten) by a repetition, read from
//! the source's manifest when the migration ends and its target gets it all back. `Delete` is never given back to a
//! source (handoff.md, "Ending").

use std::collections::BTreeMap;

use ferry_proto::agent::v1::VolumeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{object, stateful_set::ORIGINALS, volumes::RECLAIM};
use crate::outcome::Stop;

/// The originals of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Originals {
    /// `spec.persistentVolumeClaimRetentionPolicy`; null if absent.
    #[serde(default)]
    pub retention: Value,
    /// `spec.ordinals`; null if absent.
    #[serde(default)]
    pub ordinals: Value,
    /// Reclaim policy of each disk, by `<driver>^<handle>`.
    #[serde(default)]
    pub reclaim: BTreeMap<String, String>,
    /// `minAvailable` or `maxUnavailable` of the PodDisruptionBudget; null if there is none.
    #[serde(default)]
    pub budget: Value,
}

impl Originals {
    /// What `set` carries, if it carries any.
    ///
    /// # Errors
    /// A conflict if somebody damaged the annotation.
    pub(crate) fn of(set: &Value) -> Result<Option<Self>, Stop> {
        let Some(text) = object::annotation(set, ORIGINALS) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| {
            Stop::conflict(format!(
                "The annotation {ORIGINALS} of StatefulSet {} is damaged ({error}): what its policies were before is \
                 not known. Repair or remove it",
                object::name(set)
            ))
        })
    }

    /// What `set` carries, completed by what is there now.
    ///
    /// # Errors
    /// A conflict if somebody damaged the annotation.
    pub(crate) fn complete<'a>(
        set: &Value,
        volumes: impl Iterator<Item = &'a Value>,
        budget: Value,
    ) -> Result<Self, Stop> {
        let mut originals = match Self::of(set)? {
            Some(kept) => kept,
            None => Self {
                retention: set
                    .pointer("/spec/persistentVolumeClaimRetentionPolicy")
                    .cloned()
                    .unwrap_or_default(),
                ordinals: set.pointer("/spec/ordinals").cloned().unwrap_or_default(),
                budget,
                ..Self::default()
            },
        };
        for volume in volumes {
            let policy = object::text(volume, RECLAIM).to_owned();
            originals.reclaim.entry(disk(&object::volume_id(volume))).or_insert(policy);
        }
        Ok(originals)
    }
}

/// How a disk is named in [`Originals::reclaim`].
pub(crate) fn disk(id: &VolumeId) -> String {
    format!("{}^{}", id.driver, id.handle)
}
