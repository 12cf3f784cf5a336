//! Slice arithmetic: which ordinals a cluster runs before and after a handoff.
//!
//! A slice is one contiguous run, so a replica leaves and joins at an edge only (KEP-3335, handoff.md section 3).
//! Both orders live here, and nothing else does: who may run which ordinal is the ledger's business.
//! Errors name the slice and the ordinal; who asks for an impossible slice is broken, so callers treat them as bugs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Ordinal;

/// A contiguous run of ordinals, `start .. start + replicas`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// `spec.ordinals.start`.
    pub start: Ordinal,
    /// `spec.replicas`.
    pub replicas: u32,
}

/// Why an ordinal cannot leave or join a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    /// Only the first and the last ordinal of a slice can leave it.
    #[error("ordinal {ordinal} is not at an edge of {slice}: only the first or the last one can leave")]
    NotAtEdge {
        /// The slice.
        slice: Slice,
        /// The ordinal.
        ordinal: Ordinal,
    },
    /// Only the ordinals right before and right after a slice can join it.
    #[error("ordinal {ordinal} does not touch {slice}: only a neighbour can join")]
    NotAdjacent {
        /// The slice.
        slice: Slice,
        /// The ordinal.
        ordinal: Ordinal,
    },
}

impl Slice {
    /// `start .. start + replicas`.
    #[must_use]
    pub fn new(start: Ordinal, replicas: u32) -> Self {
        Self { start, replicas }
    }

    /// One past the last ordinal.
    #[must_use]
    pub fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.replicas)
    }

    /// Whether it runs nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.replicas == 0
    }

    /// Whether that ordinal is in it.
    #[must_use]
    pub fn contains(self, ordinal: Ordinal) -> bool {
        ordinal >= self.start && u64::from(ordinal) < self.end()
    }

    /// Its ordinals, ascending.
    pub fn ordinals(self) -> impl DoubleEndedIterator<Item = Ordinal> {
        (0..self.replicas).map(move |offset| self.start.saturating_add(offset))
    }

    /// Whether the two have no ordinal in common (I3).
    #[must_use]
    pub fn is_disjoint(self, other: Self) -> bool {
        self.is_empty()
            || other.is_empty()
            || self.end() <= u64::from(other.start)
            || other.end() <= u64::from(self.start)
    }

    /// The slice without `ordinal`: the last one lowers `replicas`, the first one raises `start` too. When it is
    /// both, the slice ends up empty where highest-first would leave it.
    ///
    /// # Errors
    /// [`SliceError::NotAtEdge`] when it is in the middle or not in the slice at all.
    pub fn without(self, ordinal: Ordinal) -> Result<Self, SliceError> {
        if self.is_empty() || !self.contains(ordinal) {
            return Err(SliceError::NotAtEdge { slice: self, ordinal });
        }
        if u64::from(ordinal) + 1 == self.end() {
            return Ok(Self::new(self.start, self.replicas - 1));
        }
        if ordinal == self.start {
            return Ok(Self::new(self.start + 1, self.replicas - 1));
        }
        Err(SliceError::NotAtEdge { slice: self, ordinal })
    }

    /// The slice with `ordinal`: into an empty one it goes wherever that one starts.
    ///
    /// # Errors
    /// [`SliceError::NotAdjacent`] when it would leave a gap or is in the slice already.
    pub fn with(self, ordinal: Ordinal) -> Result<Self, SliceError> {
        if self.is_empty() {
            return Ok(Self::new(ordinal, 1));
        }
        if u64::from(ordinal) == self.end() {
            return Ok(Self::new(self.start, self.replicas + 1));
        }
        if u64::from(ordinal) + 1 == u64::from(self.start) {
            return Ok(Self::new(ordinal, self.replicas + 1));
        }
        Err(SliceError::NotAdjacent { slice: self, ordinal })
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replicas {
            0 => write!(f, "the empty slice at {}", self.start),
            1 => write!(f, "the slice of ordinal {}", self.start),
            _ => write!(f, "the slice {} to {}", self.start, self.end() - 1),
        }
    }
}

#[cfg(test)]
#[path = "slice_tests.rs"]
mod tests;
