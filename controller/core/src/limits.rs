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
/// A finish that is not answered by the source's agent within this time is rejected as silent; it goes on there.
pub const FINISH_DEADLINE_MS: u64 = 60_000;
/// A probe of storage, all its parts, is given up after this long.
pub const PROBE_DEADLINE_MS: u64 = 16 * 60 * 1000;
/// Probes of storage at once.
pub const PROBES: usize = 8;
/// How long the source is watched after its StatefulSet went, to see that nothing makes it anew.
pub const FINISH_WATCH_MS: u32 = 10_000;
/// Storage domains and mappings that can be set; more are refused as busy.
pub const STORAGE_SETTINGS: usize = 1_000;
/// How long each step may take before a person is told, unless the plan says otherwise: (step of handoff.md section 5,
/// milliseconds). Those that are not here take no time of their own.
pub const STEP_DEADLINES_MS: [(u32, u64); 9] = [
    (2, 5 * 60_000),
    (3, 10 * 60_000),
    (5, 10 * 60_000),
    (6, 10 * 60_000),
    (7, 5 * 60_000),
    (9, 5 * 60_000),
    (10, 10 * 60_000),
    (11, 10 * 60_000),
    (12, 5 * 60_000),
];
/// Shortest deadline of a step.
pub const STEP_DEADLINE_LEAST_MS: u64 = 1_000;
/// Longest deadline of a step.
pub const STEP_DEADLINE_MOST_MS: u64 = 7 * 24 * 60 * 60 * 1000;
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
/// Lines kept of what undoing a preparation left in one cluster.
pub const LEFT_LINES: usize = 100;
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
/// Time an agent has for a fence.
pub const FENCE_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// Time an agent has for a reclamation.
pub const RECLAIM_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// Time an agent has to undo a preparation.
pub const UNPREPARE_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// Time an agent has for a finish.
pub const FINISH_TIMEOUT_MS: u64 = 50_000;
/// Time an agent has for one part of a probe.
pub const PROBE_TIMEOUT_MS: u64 = 5 * 60 * 1000;
/// Of that, what a pod or a provisioner may take; the rest is for taking away what was made.
pub const PROBE_PATIENCE_MS: u64 = 2 * 60 * 1000;
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

/// Epochs, commands and inspections that may have been given out between a backup and its restoration.
pub(crate) const RESTORED_NUMBERS: u64 = 1_000_000;

/// Migrations that may have been started between a backup and its restoration.
pub(crate) const RESTORED_MIGRATIONS: u64 = 10_000;

/// Bytes of the reason that a person gives for what no cluster can prove.
pub const REASON_BYTES: usize = 1024;
