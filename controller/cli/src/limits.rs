//! Every bound of the command: time-outs, retries, sizes.
//!
//! The controller's own bounds (message sizes, lifetimes of tokens and plans) are its business; what is here protects
//! the person at the terminal from waiting without end and this process from growing without end. A bound that a
//! flag can change (`--timeout`) has its default here.

use std::time::Duration;

/// One call, where `--timeout` says nothing, as on the command line. Longer than the controller waits for the agents
/// that check a plan, so that its word on who was silent arrives.
pub(crate) const CALL_TIMEOUT_TEXT: &str = "90s";
/// Dialling the controller: name, TCP and TLS handshake together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may take to speak first, as HTTP/2 lets it; then we do.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(2);
/// Most that is read of that at once, in bytes.
pub(crate) const GREETING_BYTES: usize = 4 * 1024;
/// A ping on an idle connection, so that a watch notices a controller that is gone without a word.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long that ping may go unanswered.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// First pause before a lost controller is dialled again; it doubles.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest pause between two attempts.
pub(crate) const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// How long a lost controller is dialled before the command gives up watching.
pub(crate) const RETRY_GIVE_UP: Duration = Duration::from_secs(15 * 60);
/// How often a running watch looks whether its certificate is due for renewal.
pub(crate) const RENEWAL_INTERVAL: Duration = Duration::from_secs(60);
/// Time for a probe of storage; the controller gives up sooner.
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(17 * 60);
/// Attempts to start a migration when the connection breaks before the answer; an exact retry is safe.
pub(crate) const START_ATTEMPTS: u32 = 5;
/// Largest message taken from the controller, in bytes: a plan of a thousand ordinals with every API write.
pub(crate) const MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// Largest token read from standard input, in bytes.
pub(crate) const TOKEN_BYTES: u64 = 4 * 1024;
/// Records of the audit log that `describe` shows.
pub(crate) const DESCRIBED_RECORDS: u32 = 200;
/// An answer of the controller, the connection included, that takes longer is slow.
pub(crate) const SLOW_ANSWER: Duration = Duration::from_secs(2);
/// An agent whose oldest watch was heard of longer ago than this is worth a warning, in milliseconds: API servers send a
/// bookmark about every minute where nothing happens, and agents open a silent watch again after 90 seconds.
pub(crate) const LAG_WARNS_MS: u64 = 120_000;
/// And longer ago than this: what it says is not of now.
pub(crate) const LAG_FAILS_MS: u64 = 240_000;
/// How often the live display is drawn again.
pub(crate) const REDRAW_INTERVAL: Duration = Duration::from_millis(125);
/// Ordinals shown at once by the live display, however high the terminal is.
pub(crate) const LIVE_ORDINALS: usize = 24;
/// In plain output, how long a step must have lasted before a change of what it waits for is a line of its own.
pub(crate) const PLAIN_MESSAGE_AFTER_MS: i64 = 5_000;
/// Migrations that a watch of all of them keeps in memory at once.
pub(crate) const WATCHED_MIGRATIONS: usize = 1_000;
