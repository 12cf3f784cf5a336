//! How Ferry's programs are watched: logs, metrics and health over plain HTTP, spans over OTLP.
//!
//! What controller and agent share and nothing besides: each says what it counts and when it is ready, this crate
//! says it to whoever listens. Everything is bounded and nothing here can hold up what is watched: a scraper that
//! hangs loses its connection, a collector that is away loses spans.
//!
//! What the numbers, fields and attributes mean is in docs/metrics.md and docs/observability.md; a test in each
//! program holds its metrics against the list there.

pub mod exposition;
pub mod limits;
pub mod listen;
pub mod logs;
pub mod process;
pub mod trace;
