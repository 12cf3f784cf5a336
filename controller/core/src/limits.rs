//! Every bound of the core, in one place.
//!
//! Times are in milliseconds. A bound that is reached is refused or drops the oldest, as its line says; none is
//! ever grown at run time.
//! What bounds the wire (message sizes, rates, heartbeats) is the shell's, in a file of the same name.

/// A plan may be started for this long.
pub const PLAN_TTL_MS: u64 = 10 * 60 * 1000;
/// Plans kept; then the oldest is dropped.
pub const PLANS: usize = 64;
/// Migrations kept after their end; then the oldest is dropped.
pub const ENDED_MIGRATIONS: usize = 200;
/// Migrations that run at once; more are refused as busy.
pub const RUNNING_MIGRATIONS: usize = 256;
/// Ordinals of one migration; a larger workload is refused.
pub const ORDINALS: usize = 1_000;
/// Plans and starts that wait for agents at once; more are refused as busy.
pub const INSPECTIONS: usize = 64;
/// A plan or start that is not answered by agents within this time is rejected as silent.
pub const INSPECTION_DEADLINE_MS: u64 = 60_000;
/// Join tokens kept; more are refused as busy.
pub const TOKENS: usize = 1_000;
/// Volumes of one inventory that are looked at.
pub const INVENTORY_VOLUMES: usize = 20_000;
/// Volumes kept that no cluster shows any more; then the oldest is dropped.
pub const MISSING_VOLUMES: usize = 1_000;
/// Endpoints of one report; a longer one is ignored.
pub const ENDPOINTS: usize = 1_000;
/// Characters of a message kept for people.
pub const MESSAGE_CHARS: usize = 1_000;
/// Step times kept for one ordinal.
pub const STEP_TIMES: usize = 64;

/// First pause before a refused command is sent again; doubles.
pub const RETRY_FIRST_MS: u64 = 1_000;
/// Longest pause before a refused command is sent again; also the pause when only a person can help.
pub const RETRY_LONGEST_MS: u64 = 30_000;
/// Evidence of a hold is relied on for this long.
pub const HELD_FRESH_MS: u64 = 30_000;
/// A mirror that could not be written is sent again after this.
pub const MIRROR_RETRY_MS: u64 = 5_000;

/// Time an agent has for an inspection.
pub const INSPECT_TIMEOUT_MS: u64 = 25_000;
/// Time an agent has for a preparation.
pub const PREPARE_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// Time an agent has for a hold.
pub const HOLD_TIMEOUT_MS: u64 = 60_000;
/// Time an agent has for a release.
pub const RELEASE_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// Time an agent has for an adoption.
pub const ADOPT_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// Time an agent has for a retirement.
pub const RETIRE_TIMEOUT_MS: u64 = 2 * 60 * 1000;
/// Time an agent has for settling.
pub const SETTLE_TIMEOUT_MS: u64 = 60_000;

/// The text, cut to [`MESSAGE_CHARS`].
#[must_use]
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS) {
        Some((at, _)) => text[..at].to_owned(),
        None => text.to_owned(),
    }
}
