//! Logs: structured, to standard error, as text for people or JSON for collectors.
//!
//! `RUST_LOG` chooses what is logged. In both forms a line carries its own fields and those of the spans it stands in;
//! in JSON they are all at the top, so that `migration`, `workload`, `ordinal`, `step`, `command` and `cluster` have
//! one name wherever a line comes from: docs/observability.md. Standard output is for what was asked for. A join
//! token or a key is never logged.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line a record, for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging with `filter` where `RUST_LOG` says nothing; a second call changes nothing.
pub fn init(format: Format, filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    // An error says that logging was started before.
    let _already = match format {
        Format::Text => tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .try_init(),
        Format::Json => {
            let mut json = json_subscriber::JsonLayer::new(io::stderr);
            json.with_timer("timestamp", tracing_subscriber::fmt::time::SystemTime)
                .with_level("level")
                .with_target("target")
                .with_top_level_flattened_span_list()
                .with_flattened_event();
            tracing_subscriber::registry().with(json).with(filter).try_init().map_err(Into::into)
        }
    };
}
