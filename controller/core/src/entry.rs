//! Journal entries: every change of the durable state, and nothing else.
//!
//! An entry says what was decided, with what it takes to apply it again; [`crate::State::apply`] holds the only code
//! that changes the state. To the shell an entry is opaque: it is written as JSON and read back.

use serde::{Deserialize, Serialize};

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {}
