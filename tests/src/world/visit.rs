//! A person's or a script's command in a world: contexts, tools and this workspace's programs at hand.
//!
//! `KUBECONFIG` has a context for each cluster, `PATH` begins with the folder of the running program (where cargo put
//! `ferry` too) and the clusters' tools. Used by `ferry-world run` and `shell`, and by the demo when it is kept.
//!
//! Processes that tests kill and start again are not commands: those are a `Process`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{KUBECTL_CACHE, KUBECTL_CACHE_DIR, World};

impl World {
    /// `program`, ready to be started in this world.
    ///
    /// # Errors
    /// The search path holds a folder that cannot be in one.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env(KUBECTL_CACHE, self.dir().join(KUBECTL_CACHE_DIR))
            .env("PATH", self.search_path()?);
        Ok(command)
    }

    /// The user's shell, or bash.
    ///
    /// # Errors
    /// As [`World::command`].
    pub fn shell(&self) -> Result<Command> {
        self.command(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/bash".into()))
    }

    /// This workspace's programs, the clusters' tools, then what was there.
    fn search_path(&self) -> Result<OsString> {
        let own = std::env::current_exe()?.parent().map(PathBuf::from);
        let before = std::env::var_os("PATH").unwrap_or_default();
        let folders = own.into_iter().chain(self.tools().search_path()).chain(std::env::split_paths(&before));
        Ok(std::env::join_paths(folders)?)
    }
}
