//! `ferry completion` and `ferry man`: made from the definition of the command line, without asking anybody.
//!
//! A completion is for the program under the name `ferry`. For `kubectl ferry` kubectl looks for a program
//! `kubectl_complete-ferry` of its own; that is the krew package's business. Pages are written as `ferry.1`,
//! `ferry-plan.1` and so on; one that is there is replaced.

use std::{fs, path::Path};

use crate::{
    args::{self, Completion, Man, Shell},
    error::Failure,
    terminal,
};

/// The name that completions and pages are for.
const PROGRAM: &str = "ferry";

pub(crate) fn completion(args: &Completion) -> Result<(), Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(PROGRAM), PROGRAM, &mut script);
    terminal::out(&String::from_utf8_lossy(&script))
}

pub(crate) fn man(args: &Man) -> Result<(), Failure> {
    let command = args::command(PROGRAM);
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|source| Failure::Output { source })?;
        return terminal::out(&String::from_utf8_lossy(&page));
    };
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map_err(|source| Failure::WriteFile { path: dir.clone(), source })?;
    terminal::say(&format!("Wrote {} pages to {}.\n", pages(dir), dir.display()));
    Ok(())
}

fn pages(dir: &Path) -> usize {
    let ours = |name: &str| name.starts_with(PROGRAM) && name.ends_with(".1");
    fs::read_dir(dir).map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(ours)).count()
    })
}
