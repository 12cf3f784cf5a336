//! A migration: the ordinals of one workload on their way from one cluster to another.
//!
//! [`Migration`] is what people see of it, and stays after its end. What its machine needs besides (evidence,
//! manifests, pending commands) exists only while it runs.

mod display;

pub use display::{Migration, OrdinalProgress, Phase, StepTime, step_name};
