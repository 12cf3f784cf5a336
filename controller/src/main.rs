//! The command `ferry-controller`: arguments, signals, exit codes; everything else is the library's.
//!
//! Exit codes: 0 stopped as told; 1 cannot start or serve; 2 wrong usage; 74 the journal failed while running (the
//! process ends at once, so that a new one recovers what is really on the disk). What a person or a script asked for
//! goes to standard output (the first credential, the address, the version), everything else to standard error.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use ferry_controller::{
    backup, clock,
    identity::{files, spiffe},
    journal::Embedded,
    limits,
    serve::{self, Options},
    telemetry,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// The journal failed while running (`EX_IOERR`).
const EXIT_JOURNAL: i32 = 74;

/// Ferry's controller: holds the ledger and the schedule of migrations between clusters.
#[derive(Parser)]
#[command(name = "ferry-controller", version, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller.
    Serve(ServeArguments),
    /// Make a join token for an admin while the controller is stopped: for when every certificate has expired.
    AdminToken(AdminTokenArguments),
    /// Write a backup of the ledger, the audit log and the CA; the controller may go on running.
    Backup(BackupArguments),
    /// Make a new data directory from a backup.
    Restore(RestoreArguments),
    /// Print the version.
    Version,
}

#[derive(clap::Args)]
struct BackupArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Where to write it, mode 0600; `-` for standard output. It holds the CA's private key.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(clap::Args)]
struct RestoreArguments {
    /// The backup.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// Directory to make; one that holds a journal is left alone.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Where the ledger and the CA are.
#[derive(clap::Args)]
struct DataArguments {
    /// Directory of the journal and the CA.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Trust domain of all identities; the same for the whole life of the data directory.
    #[arg(long, value_name = "DOMAIN", default_value = "ferry.local", value_parser = trust_domain)]
    trust_domain: String,
    /// Certificate of your own CA, PEM; without it one is made in the data directory.
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca_cert: Option<PathBuf>,
    /// Its private key, PKCS#8 PEM.
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    ca_key: Option<PathBuf>,
}

#[derive(clap::Args)]
struct AdminTokenArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The admin's name: a DNS label.
    #[arg(long, default_value = "admin", value_parser = name)]
    name: String,
}

#[derive(clap::Args)]
struct ServeArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// A name or address that the controller is reached by; may be given several times.
    #[arg(long = "san", value_name = "NAME")]
    names: Vec<String>,
    /// Validity of issued certificates, such as 24h.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = leaf_ttl)]
    cert_ttl: Duration,
    /// How logs are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    log_format: telemetry::Format,
    /// Where /metrics, /healthz and /readyz are served over plain HTTP; nowhere unless given.
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// Collector that spans are sent to, OTLP over gRPC: http://HOST:PORT; none are unless given.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<telemetry::Endpoint>,
}

fn trust_domain(text: &str) -> Result<String, spiffe::Error> {
    spiffe::trust_domain(text).map(str::to_owned)
}

fn name(text: &str) -> Result<String, spiffe::Error> {
    spiffe::label(text).map(str::to_owned)
}

fn leaf_ttl(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 24h or 90m".to_owned())?;
    let ttl = Duration::try_from(span).map_err(|_| "expected a positive duration".to_owned())?;
    if (limits::MIN_LEAF_TTL..=limits::MAX_LEAF_TTL).contains(&ttl) {
        return Ok(ttl);
    }
    let (least, most) = (limits::MIN_LEAF_TTL.as_secs(), limits::MAX_LEAF_TTL.as_secs() / 86_400);
    Err(format!("expected {least} seconds to {most} days"))
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Version => {
            println!("ferry-controller {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Command::AdminToken(arguments) => admin_token(arguments),
        Command::Backup(arguments) => back_up(arguments),
        Command::Restore(arguments) => restore(&arguments),
        Command::Serve(arguments) => run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ferry-controller: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Options with the defaults of what only `serve` needs.
fn options(data: DataArguments) -> Options {
    Options {
        data: data.data,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        names: Vec::new(),
        trust_domain: data.trust_domain,
        ca: data.ca_cert.zip(data.ca_key),
        leaf_ttl: limits::MIN_LEAF_TTL,
        metrics_listen: None,
        otlp_endpoint: None,
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

fn admin_token(arguments: AdminTokenArguments) -> anyhow::Result<()> {
    let options = options(arguments.data);
    if !Embedded::exists(&options.data) {
        anyhow::bail!(
            "{} holds no journal: give the --data of a controller that ran",
            options.data.display()
        );
    }
    let token = runtime()?.block_on(serve::admin_token(options, &arguments.name));
    let token = token.map_err(|error| anyhow::anyhow!("{error}"))?;
    println!("Start the controller, then: ferry login --server <its address> {}", token.reveal());
    Ok(())
}

/// A library error, whose message holds its causes already.
fn said(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

fn back_up(arguments: BackupArguments) -> anyhow::Result<()> {
    let options = options(arguments.data);
    let bytes = backup::take(&options).map_err(said)?;
    if arguments.output.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        return out.write_all(&bytes).and_then(|()| out.flush()).context("cannot write to standard output");
    }
    files::write_private(&arguments.output, &bytes).map_err(said)?;
    eprintln!(
        "Wrote {} bytes to {}: keep it as you keep private keys.",
        bytes.len(),
        arguments.output.display()
    );
    Ok(())
}

fn restore(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let restored = backup::restore(&arguments.backup, &arguments.data).map_err(said)?;
    let head = &restored.backup.head;
    println!(
        "Restored the ledger of {} into {}, as generation {}.",
        clock::of(head.taken_at_ms),
        arguments.data.display(),
        restored.generation
    );
    if !restored.running.is_empty() {
        println!("Running then, and going on when the agents attach: {}.", restored.running.join(", "));
    }
    let ca = if head.ca.is_none() { " --ca-cert FILE --ca-key FILE" } else { "" };
    println!(
        "Make sure that no other controller of this ledger runs, then: ferry-controller serve --data {} \
         --trust-domain {}{ca} ...",
        arguments.data.display(),
        head.trust_domain
    );
    println!("Join tokens of before are void; certificates stay valid.");
    Ok(())
}

/// Raises the soft limit on open files as far as it is useful and allowed: one connection is one file.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = limits::OPEN_FILES.min(hard);
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit on open files; fewer connections will be served");
    }
}

fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    telemetry::init(arguments.log_format);
    raise_open_files();
    let options = Options {
        listen: arguments.listen,
        names: arguments.names,
        leaf_ttl: arguments.cert_ttl,
        metrics_listen: arguments.metrics_listen,
        otlp_endpoint: arguments.otlp_endpoint,
        ..options(arguments.data)
    };
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        match serve::serve(options, stop).await {
            Err(error @ (serve::Error::Commit(_) | serve::Error::Broken)) => {
                eprintln!("ferry-controller: {error}");
                std::process::exit(EXIT_JOURNAL);
            }
            // The message holds its causes already.
            result => result.map_err(|error| anyhow::anyhow!("{error}")),
        }
    })
}
