//! The command line.
//!
//! Flags are those that users of kubectl expect: `-n`, `-o`, `TYPE/NAME`. There is no kubeconfig behind this command
//! and so no current namespace: what moves is looked for in `default` unless `-n` says otherwise, and lists show all
//! namespaces unless `-n` narrows them. `$ferry` in a text stands for the name the program was called by.

mod control;
mod local;
mod storage;

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};

pub(crate) use control::{AttestVerb, Audit, Choice, Describe, Finish, Pause, Resume, Rollback, Runbook};
pub(crate) use local::{Completion, Man, Shell};
pub(crate) use storage::{Between, DomainVerb, MapVerb, ProbeArgs, StorageVerb};

use crate::{limits::CALL_TIMEOUT_TEXT, shape::Order};

/// Moves running StatefulSets between Kubernetes clusters, replica by replica, disks with them.
#[derive(Debug, Parser)]
#[command(name = "ferry", version, after_help = ROOT_HELP, max_term_width = 110, disable_help_subcommand = true,
          arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const ROOT_HELP: &str = "\
Examples:
  # Become somebody, with a token that an admin made
  $ferry login --server ferry.example.org:7443 ferry1.…

  # See what a move would do, then do exactly that
  $ferry plan statefulset/etcd -n db --to west
  $ferry migrate statefulset/etcd -n db --to west --plan HASH

Exit codes:
    0  done
    1  the call failed: controller unreachable, no answer in time, file trouble; or `check` found a fault
    2  usage: the command line is wrong
    3  refused: by the plan, by the controller, or by your answer
    4  identity: not logged in, expired, bad token, not trusted, not permitted
    5  the migration ended other than Completed (migrate, watch)
  130  interrupted while watching; the migration goes on

Colours are used on a terminal only, and not if NO_COLOR is set.";

const CHECK_HELP: &str = "\
Everything is checked, also after a fault. Exits with 1 if something does not work; a warning is no fault.

Examples:
  $ferry check
  $ferry check -o json";

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Flags of every command")]
pub(crate) struct Global {
    /// Namespace; without it `plan` and `migrate` look in default, lists show all
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: Output,
    /// The controller, instead of the one logged in to
    #[arg(long, global = true, value_name = "HOST:PORT", env = "FERRY_SERVER")]
    pub(crate) server: Option<String>,
    /// Directory of the credential [default: $XDG_CONFIG_HOME/ferry or ~/.config/ferry]
    #[arg(long, global = true, value_name = "DIR", env = "FERRY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// How long one call may take, as in 30s or 2m
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_time, default_value = CALL_TIMEOUT_TEXT)]
    pub(crate) timeout: Timeout,
}

/// A time that is not zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout(pub(crate) Duration);

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For scripts: stable, documented shapes
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Trade a join token for a credential on this machine
    Login(Login),
    /// Make join tokens for clusters and people
    #[command(subcommand)]
    Token(TokenVerb),
    /// Show the clusters whose agents were ever attached
    Clusters,
    /// Check a move and say what it would do; changes nothing
    Plan(Plan),
    /// Move a StatefulSet to another cluster and follow it
    Migrate(Migrate),
    /// Show migrations
    Get(Get),
    /// Show everything about a migration: each step, how long it took, on what evidence
    Describe(Describe),
    /// Follow a running migration
    Watch(Watch),
    /// Stop a migration at the next safe point
    Pause(Pause),
    /// Let a paused migration go on
    Resume(Resume),
    /// Give the replica in flight back to the source, or everything
    Rollback(Rollback),
    /// Say for the record what no cluster can prove
    #[command(subcommand)]
    Attest(AttestVerb),
    /// End a completed migration in its source, and certify what is left there
    Finish(Finish),
    /// Show the ledger: every volume of every StatefulSet
    Volumes(Volumes),
    /// Say which storage clusters share, and which StorageClass stands for which
    #[command(subcommand)]
    Storage(StorageVerb),
    /// Show who did what
    Audit(Audit),
    /// Check this machine, the controller and the clusters
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Write a script that ends a migration with kubectl alone
    Runbook(Runbook),
    /// Print a script that completes this command's line in a shell
    Completion(Completion),
    /// Print or write manual pages
    Man(Man),
    /// Show versions, and who you are
    Version(VersionArgs),
}

/// `ferry login`.
#[derive(Debug, Args)]
#[command(after_help = "\
A new P-256 key is made here and never leaves this machine. The token names the controller's CA, so nothing else has \
to be trusted beforehand. The certificate renews itself whenever a command runs in the last third of its life.

Examples:
  # The first credential: the controller prints this command once, on its very first start
  $ferry login --server 127.0.0.1:7443 ferry1.…

  # Without the token in the shell's history
  $ferry login --server ferry.example.org:7443 - < token")]
pub(crate) struct Login {
    /// The token, or - to read it from standard input
    pub(crate) token: String,
}

/// `ferry token`.
#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum TokenVerb {
    /// Make a token; it works once and is shown once
    Create(TokenCreate),
}

/// `ferry token create`.
#[derive(Debug, Args)]
#[command(after_help = "\
The token alone goes to standard output.

Examples:
  # For the agent of cluster east
  $ferry token create cluster east > token

  # For a colleague who moves workloads; the token lives ten minutes
  $ferry token create role operator alice --ttl 10m")]
pub(crate) struct TokenCreate {
    #[command(subcommand)]
    pub(crate) holder: TokenHolder,
    /// How long it may be redeemed: 1m to 7d
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_ttl, default_value = "1h")]
    pub(crate) ttl: Timeout,
}

/// Who a token is for.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenHolder {
    /// For the agent of a cluster
    Cluster {
        /// Name of the cluster: a DNS label
        name: String,
    },
    /// For a person or script
    Role {
        /// What they may do: look, move workloads, make credentials
        role: Role,
        /// Name: a DNS label
        name: String,
    },
}

/// Roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Looks
    Viewer,
    /// Moves workloads
    Operator,
    /// Makes credentials
    Admin,
}

impl Role {
    /// As the controller spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `ferry plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every check is made, and all that speaks against the move is named at once: what was found, what was expected, what to \
do. The hash at the end stands for all of it; `migrate --plan HASH` runs exactly what was shown, or nothing.

Examples:
  $ferry plan statefulset/etcd -n db --to west
  $ferry plan sts/etcd -n db --to east --order lowest-first -o json
  $ferry plan sts/etcd -n db --to west --ordinals 1-2 --deadline start=10m

Exits with 3 if the plan is refused.")]
pub(crate) struct Plan {
    /// statefulset/NAME, sts/NAME or NAME
    #[arg(value_name = "STATEFULSET", value_parser = parse_workload)]
    pub(crate) workload: String,
    /// The cluster to move it to
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) to: String,
    /// The cluster that runs it [default: the one that does]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) from: Option<String>,
    /// Which ordinal moves first
    #[arg(long, default_value = "highest-first")]
    pub(crate) order: Order,
    #[command(flatten)]
    pub(crate) choice: Choice,
}

/// `ferry migrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --plan the move is planned, shown and, on a terminal, asked about. Ctrl-C stops the watching, not the \
migration; neither does a lost controller or agent stop it: it goes on when they are back.

Examples:
  # Plan, ask, move, follow
  $ferry migrate statefulset/etcd -n db --to west

  # Run a plan that was approved before, in a script
  $ferry migrate --plan HASH -o json

  # Start and return at once
  $ferry migrate statefulset/etcd -n db --to west --yes --detach

With -o json each change is one line: the whole migration, as in `get -o json`. Exits with 3 if refused and with 5 if \
the migration ends other than Completed.")]
pub(crate) struct Migrate {
    /// statefulset/NAME, sts/NAME or NAME; may be left out with --plan
    #[arg(value_name = "STATEFULSET", value_parser = parse_workload)]
    pub(crate) workload: Option<String>,
    /// The cluster to move it to
    #[arg(long, value_name = "CLUSTER", required_unless_present = "plan")]
    pub(crate) to: Option<String>,
    /// The cluster that runs it [default: the one that does]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) from: Option<String>,
    /// Which ordinal moves first
    #[arg(long, default_value = "highest-first")]
    pub(crate) order: Order,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Run the plan with this hash, as `plan` printed it; it has its own ordinals, classes, deadlines and policy
    #[arg(long, value_name = "HASH", value_parser = parse_hash,
          conflicts_with_all = ["ordinals", "storage_classes", "deadlines", "on_failure"])]
    pub(crate) plan: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Start it and return
    #[arg(long, alias = "no-wait")]
    pub(crate) detach: bool,
}

/// `ferry get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  $ferry get
  $ferry get etcd-1
  $ferry get -n db -o json")]
pub(crate) struct Get {
    /// A migration, and each of its ordinals
    pub(crate) id: Option<String>,
}

/// `ferry watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without an ID every migration is followed, without end.

Examples:
  $ferry watch etcd-1
  $ferry watch -o json")]
pub(crate) struct Watch {
    /// The migration; all of them without it
    pub(crate) id: Option<String>,
}

/// `ferry volumes`.
#[derive(Debug, Args)]
#[command(after_help = "\
A volume is known by storage domain, driver and handle. One that is usable in two clusters is a conflict: it is shown \
in red with both, and nothing that owns it may move.

Examples:
  $ferry volumes
  $ferry volumes statefulset/etcd -n db --cluster west")]
pub(crate) struct Volumes {
    /// Only those of this StatefulSet
    #[arg(value_name = "STATEFULSET", value_parser = parse_workload)]
    pub(crate) workload: Option<String>,
    /// Only those in this cluster
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) cluster: Option<String>,
}

/// `ferry version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Only this command's version; asks nobody
    #[arg(long)]
    pub(crate) client: bool,
}

fn parse_workload(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some((kind, name)) => match kind.to_ascii_lowercase().as_str() {
            "statefulset" | "statefulsets" | "sts" | "statefulset.apps" | "statefulsets.apps" => name,
            _ => return Err(format!("Ferry moves StatefulSets, not `{kind}`; expected statefulset/NAME")),
        },
    };
    if name.is_empty() || name.contains('/') {
        return Err("expected statefulset/NAME, sts/NAME or NAME".to_owned());
    }
    Ok(name.to_owned())
}

fn parse_hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|c| c.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{} characters; expected the 64 hexadecimal digits that `plan` prints", text.len()))
    }
}

fn parse_time(text: &str) -> Result<Timeout, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("expected more than nothing".to_owned()),
        Ok(time) => Ok(Timeout(time)),
        Err(error) => Err(format!("{error}; expected a time as in 30s or 2m")),
    }
}

fn parse_ttl(text: &str) -> Result<Timeout, String> {
    let ttl = parse_time(text)?;
    let seconds = ttl.0.as_secs();
    if (60..=604_800).contains(&seconds) { Ok(ttl) } else { Err("expected 1m to 7d".to_owned()) }
}

/// The command line of a program of this name.
pub(crate) fn command(program: &str) -> Command {
    named(Cli::command(), program).bin_name(program)
}

fn named(command: Command, program: &str) -> Command {
    let help = command.get_after_help().map(|help| help.to_string().replace("$ferry", program));
    let command = match help {
        Some(help) => command.after_help(help),
        None => command,
    };
    // One form of help, the compact one, under both flags.
    let flag = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print help");
    command.disable_help_flag(true).arg(flag).mut_subcommands(|sub| named(sub, program))
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
