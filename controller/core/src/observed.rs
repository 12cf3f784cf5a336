//! What attached agents say now: volatile, and said again after each attach.
//!
//! Nothing in here is needed to know who owns what; it says which commands can be sent, whether endpoints have
//! converged, and what people see of clusters.

/// What attached agents say now.
#[derive(Clone, Debug, Default)]
pub struct Observed {}
