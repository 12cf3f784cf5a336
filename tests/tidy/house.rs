//! The repository as the rules see it: every text file, with its path from the root.
//!
//!
//! What builds and package managers leave behind is not read, nor is what tools generate and nobody edits. A file
//! that is not UTF-8 is no text. Rust files are parsed once, when they are read.

use std::{fs, io, path::Path};

use super::rust::Rust;

/// Directories that are not the house's.
const SKIPPED_DIRS: [&str; 4] = [".git", "target", "node_modules", ".ferry"];
/// Files that tools write.
const GENERATED: [&str; 2] = ["Cargo.lock", "go.sum"];

/// Every text file.
pub(crate) struct House {
    /// Sorted by path.
    pub(crate) files: Vec<File>,
}

/// One file.
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
    /// Its structure, if it is Rust; what the parser said if it could not be parsed.
    pub(crate) rust: Option<Result<Rust, (usize, String)>>,
    /// Whether it is only compiled for tests.
    pub(crate) is_test: bool,
}

impl House {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let declared: Vec<String> = files.iter().flat_map(File::test_modules).collect();
        for file in &mut files {
            file.is_test |= declared.iter().any(|module| {
                file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/"))
            });
        }
        Ok(Self { files })
    }

    /// The Rust files that parse, with their structure.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Rust)> {
        self.files.iter().filter_map(|file| Some((file, file.rust.as_ref()?.as_ref().ok()?)))
    }
}

impl File {
    /// A file at `path` with `text`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let stem = path.rsplit('/').next().unwrap_or(path);
        let is_test = stem.ends_with("_tests.rs") || stem == "tests.rs" || path.contains("/tests/");
        let rust = path.ends_with(".rs").then(|| Rust::parse(text));
        Self { path: path.to_owned(), text: text.to_owned(), rust, is_test }
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Whether `line` is compiled for tests only.
    pub(crate) fn is_test_line(&self, rust: &Rust, line: usize) -> bool {
        self.is_test || rust.tests.iter().any(|range| range.contains(&line))
    }

    /// A violation at `line`.
    pub(crate) fn violation(&self, line: usize, says: impl std::fmt::Display) -> String {
        format!("{}:{line}: {says}", self.path)
    }

    /// Paths, without `.rs`, of the modules that this file declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let Some(Ok(rust)) = &self.rust else {
            return Vec::new();
        };
        let (directory, name) = self.path.rsplit_once('/').unwrap_or_default();
        let children = match name {
            "mod.rs" | "lib.rs" | "main.rs" => directory.to_owned(),
            _ => format!("{directory}/{}", name.trim_end_matches(".rs")),
        };
        rust.test_modules.iter().map(|module| format!("{children}/{module}")).collect()
    }
}

fn walk(directory: &Path, path: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_DIRS.contains(&name.as_str()) {
            walk(&entry.path(), &below, files)?;
        } else if kind.is_file() && !GENERATED.contains(&name.as_str()) {
            match fs::read_to_string(entry.path()) {
                Ok(text) => files.push(File::new(&below, &text)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
