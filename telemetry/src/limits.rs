//! Every bound of what is watched: connections, times, queues.
//!
//! Scrapers, probes and collectors are other people's programs: they may hang, flood or be away. What they can occupy
//! is named here, and reaching a bound costs them, never the program that they look at. Units come last in a name
//! unless the type says them.

use std::time::Duration;

/// Connections to the metrics listener that are served at once; further ones wait to be accepted.
pub const CONNECTIONS: usize = 32;
/// Time from accept to the end of the answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
pub const REQUEST_HEAD_BYTES: usize = 16 * 1024;
/// Pause after `accept` itself failed (out of file descriptors).
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Spans that wait for the collector; further ones are dropped and counted.
pub const SPAN_QUEUE: usize = 2_048;
/// Spans of one export.
pub const SPANS_AT_ONCE: usize = 256;
/// How long an export waits for more spans.
pub const SPAN_DELAY: Duration = Duration::from_millis(500);
/// Time for one export.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the last spans when the program ends.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
