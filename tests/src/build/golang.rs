//! The Go command: building a program of a group, and asking where a module's files lie.
//!
//! `-mod=readonly` makes a build fail rather than change a `go.mod` or `go.sum`; `-trimpath` and no cgo make
//! the same program on every machine. Compilation is shared through Go's own build cache.
//!
//! A group's programs are keyed by its module files, the flags and the compiler: see `cache`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    cache,
    catalog::{Group, KubernetesRelease, Program, required_version},
    command::run,
    limits,
};

/// The version line of the installed compiler, part of each key of the cache.
pub(super) fn compiler() -> Result<String> {
    let mut command = Command::new("go");
    command.arg("version");
    run(command, limits::GO_QUERY).context(
        "the Go compiler does not answer: install Go 1.26 or newer and put it on PATH, \
         the test clusters are built with it",
    )
}

/// A group with its files read: what its programs are keyed by.
pub(super) struct Source {
    group: Group,
    go_mod: String,
    linker_flags: String,
    folder: PathBuf,
}

impl Source {
    /// Reads the group's module files and finds its folder in the cache.
    pub(super) fn read(group: Group, cache: &Path, compiler: &str) -> Result<Self> {
        let read = |name: &str| {
            let path = group.source().join(name);
            fs::read_to_string(&path).with_context(|| {
                format!("cannot read {}: is there a group {} under tests/go?", path.display(), group.folder)
            })
        };
        let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
        let linker_flags = group.linker_flags(&go_mod)?;
        let mut parts =
            vec![go_mod.as_bytes(), go_sum.as_bytes(), linker_flags.as_bytes(), compiler.as_bytes()];
        if !group.tags.is_empty() {
            parts.push(group.tags.as_bytes());
        }
        let key = cache::key(&parts);
        let folder = cache.join("bin").join(format!("{}-{key}", group.folder));
        Ok(Self { group, go_mod, linker_flags, folder })
    }

    /// The group's name: its folder under `tests/go/`.
    pub(super) fn name(&self) -> &str {
        &self.group.folder
    }

    /// The release, if the group is Kubernetes'.
    pub(super) fn release(&self) -> Option<&KubernetesRelease> {
        self.group.release.as_ref()
    }

    /// Where the group's programs lie once built.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The group's programs.
    pub(super) fn programs(&self) -> &'static [Program] {
        self.group.programs
    }

    /// Builds `program` into the cache.
    pub(super) fn build(&self, program: &Program) -> Result<()> {
        cache::atomically(&self.folder.join(program.name), |temporary| {
            let mut command = self.go();
            command
                .args(["build", "-buildvcs=false", "-trimpath", "-tags", self.group.tags])
                .args(["-ldflags", &self.linker_flags, "-o"])
                .arg(temporary)
                .arg(program.package);
            run(command, limits::GO_BUILD).with_context(|| format!("cannot build {}", program.package))?;
            Ok(())
        })
    }

    /// The folder that holds the files of `module`, at the version that the group requires.
    pub(super) fn module_files(&self, module: &str) -> Result<PathBuf> {
        let version = required_version(&self.go_mod, module)
            .with_context(|| format!("{}/go.mod requires no {module}", self.group.source().display()))?;
        let mut fetch = self.go();
        fetch.args(["mod", "download", &format!("{module}@{version}")]);
        run(fetch, limits::GO_QUERY).with_context(|| format!("cannot fetch {module}"))?;
        let mut command = self.go();
        command.args(["list", "-m", "-f", "{{.Dir}}", module]);
        let text =
            run(command, limits::GO_QUERY).with_context(|| format!("cannot find the files of {module}"))?;
        Ok(PathBuf::from(text.trim()))
    }

    fn go(&self) -> Command {
        let mut command = Command::new("go");
        command.current_dir(self.group.source()).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly");
        command
    }
}
