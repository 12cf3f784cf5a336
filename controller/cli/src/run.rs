//! From the process to a command and back to an exit code.
//!
//! Arguments, streams and the credential's place are taken from the process here and handed down; commands see a
//! [`Context`]. Every failure is written to standard error in one form, and its exit code returned. The name that
//! the program was called by is kept, so that advice given under `kubectl ferry` can be pasted.

use std::{ffi::OsStr, path::Path, process::ExitCode};

use clap::FromArgMatches;

use crate::{
    admin::Admin,
    args::{self, Cli, Global, Output, Verb},
    command,
    config::Store,
    error::{Exit, Failure},
    explain::explain,
    session::{Renewal, Session},
    terminal::{self, BAD, Terminal, WARN},
};

/// What every command needs.
pub(crate) struct Context {
    /// `ferry` or `kubectl ferry`.
    pub(crate) program: &'static str,
    /// The standard streams.
    pub(crate) terminal: Terminal,
    /// Flags of every command.
    pub(crate) global: Global,
    /// The credential.
    pub(crate) store: Store,
}

impl Context {
    /// Connects; a certificate that could not be renewed is mentioned.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        let (session, renewal) = Session::open(&self.store, self.global.server.as_deref()).await?;
        if let Renewal::Failed(failure) = renewal {
            self.warn(&format!(
                "the certificate is due for renewal, which failed: {}",
                crate::error::chain(&failure)
            ));
        }
        Ok(session)
    }

    /// Connects, to make calls.
    pub(crate) async fn admin(&self) -> Result<Admin, Failure> {
        Ok(Admin::new(self.connect().await?, self.global.timeout.0))
    }

    /// Whether scripts read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// A line to the person.
    pub(crate) fn note(&self, text: &str) {
        terminal::say(&format!("{text}\n"));
    }

    /// A line to the person about something that is not as it should be.
    pub(crate) fn warn(&self, text: &str) {
        let label = self.terminal.paint_err().text(WARN, "warning:");
        terminal::say(&format!("{label} {text}\n"));
    }
}

/// Runs the command that the process was started for.
pub fn main() -> ExitCode {
    let program = program(std::env::args_os().next().as_deref());
    let cli = args::command(program).try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return code(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    let terminal = Terminal::of_process();
    match run(program, terminal, cli) {
        Ok(()) => code(Exit::Done),
        Err(failure) => {
            complain(&failure, program, terminal);
            code(failure.exit())
        }
    }
}

fn run(program: &'static str, terminal: Terminal, cli: Cli) -> Result<(), Failure> {
    let store = match (&cli.verb, Store::locate(cli.global.config.clone())) {
        // These ask nobody, so that they work where nobody has a home.
        (Verb::Completion(args), _) => return command::local::completion(args),
        (Verb::Man(args), _) => return command::local::man(args),
        (_, located) => located?,
    };
    let context = Context { program, terminal, global: cli.global, store };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::Runtime { source })?
        .block_on(dispatch(&context, cli.verb))
}

async fn dispatch(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Login(args) => command::login::run(context, &args).await,
        Verb::Token(args) => command::token::run(context, args).await,
        Verb::Clusters => command::clusters::run(context).await,
        Verb::Plan(args) => command::plan::run(context, args).await,
        Verb::Migrate(args) => command::migrate::run(context, args).await,
        Verb::Get(args) => command::get::run(context, args).await,
        Verb::Describe(args) => command::describe::run(context, args).await,
        Verb::Pause(args) => command::control::pause(context, args).await,
        Verb::Resume(args) => command::control::resume(context, args).await,
        Verb::Attest(verb) => command::control::attest(context, verb).await,
        Verb::Rollback(args) => command::control::rollback(context, args).await,
        Verb::Finish(args) => command::control::finish(context, args).await,
        Verb::Storage(verb) => command::storage::run(context, verb).await,
        Verb::Audit(args) => command::audit::run(context, args).await,
        Verb::Check => command::check::run(context).await,
        Verb::Runbook(args) => command::runbook::run(context, args).await,
        Verb::Completion(args) => command::local::completion(&args),
        Verb::Man(args) => command::local::man(&args),
        Verb::Watch(args) => command::watch::run(context, args).await,
        Verb::Volumes(args) => command::volumes::run(context, args).await,
        Verb::Version(args) => command::version::run(context, &args).await,
    }
}

fn program(argv0: Option<&OsStr>) -> &'static str {
    let name = argv0.and_then(|path| Path::new(path).file_name()).and_then(OsStr::to_str).unwrap_or_default();
    if name.starts_with("kubectl-ferry") || name.starts_with("kubectl_ferry") {
        "kubectl ferry"
    } else {
        "ferry"
    }
}

fn complain(failure: &Failure, program: &str, terminal: Terminal) {
    match failure {
        Failure::BrokenPipe => {}
        Failure::Interrupted { migration } => {
            let again = match migration {
                Some(id) => format!("{program} watch {id}"),
                None => format!("{program} watch"),
            };
            terminal::say(&format!("interrupted; the migration goes on. Watch it again: {again}\n"));
        }
        _ => {
            let label = terminal.paint_err().text(BAD, "error:");
            terminal::say(&format!("{label} {}", explain(failure, program).text(&failure.to_string())));
        }
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_finds_it_by_name() {
        assert_eq!(program(Some(OsStr::new("/usr/local/bin/kubectl-ferry"))), "kubectl ferry");
        assert_eq!(program(Some(OsStr::new("kubectl_ferry"))), "kubectl ferry");
        assert_eq!(program(Some(OsStr::new("./ferry"))), "ferry");
        assert_eq!(program(None), "ferry");
    }
}
