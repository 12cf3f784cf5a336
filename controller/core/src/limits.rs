//! Every bound of the core, in one place.
//!
//! Times are in milliseconds. A bound that is reached is refused or drops the oldest, as its line says; none is
//! ever grown at run time.

/// A plan may be started for this long.
pub const PLAN_TTL_MS: u64 = 10 * 60 * 1000;
/// Plans kept; then the oldest is dropped.
pub const PLANS: usize = 64;
/// Migrations kept after their end; then the oldest is dropped.
pub const ENDED_MIGRATIONS: usize = 200;
