//! Logs: structured, to standard error, as text for people or JSON for collectors.
//!
//! `RUST_LOG` chooses what is logged (default: `info`). Standard output is for what was asked for: the first
//! credential and the address. A join token or a key is never logged. Metrics have a seam in the event loop's
//! counters and no exporter yet.

use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line a record, for people.
    #[default]
    Text,
    /// One JSON object a record.
    Json,
}

/// Starts logging; a second call changes nothing.
pub fn init(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error says that logging was started before.
    let _already = match format {
        Format::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        Format::Json => builder.json().try_init(),
    };
}
