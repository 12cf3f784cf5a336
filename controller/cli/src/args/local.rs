//! Arguments of what asks nobody: completions and manual pages.
//!
//! Both are made from the definition of the command line itself, so that they cannot differ from it.
//! Neither needs a credential, a controller, or a home directory: packages are built where there are none.
//! Shells that are not named here have completions of their own making, or none.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `ferry completion`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  # In this shell
  source <($ferry completion bash)

  # For every shell to come
  $ferry completion bash > /etc/bash_completion.d/ferry
  $ferry completion zsh > \"${fpath[1]}/_ferry\"
  $ferry completion fish > ~/.config/fish/completions/ferry.fish")]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Shell,
}

/// Shells that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

/// `ferry man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  $ferry man | man -l -
  $ferry man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for each command there, instead of the first to standard output
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
