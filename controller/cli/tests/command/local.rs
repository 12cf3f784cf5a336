//! Completions and manual pages: made without a controller, a credential or a home.
//!
//! Bash reads its script here, because a script that is not one breaks every shell of whoever installs it; pages are looked at
//! for being there and for naming the program as people call it.
//! What the words in them say is tested where the command line is defined.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::runner::Person;

#[tokio::test]
async fn each_shell_gets_a_script() -> Result<()> {
    let person = Person::new()?;
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef ferry"), ("fish", "complete -c ferry")] {
        let done = person.run(&["completion", shell]).await?;
        assert_eq!(done.code, 0, "{shell}: {}", done.err);
        assert!(done.out.contains(part) && done.out.contains("rollback"), "{shell}");
    }
    let script = person.run(&["completion", "bash"]).await?.out;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn()?;
    bash.stdin.take().context("no stdin")?.write_all(script.as_bytes()).await?;
    assert!(bash.wait().await?.success(), "bash does not read it");
    Ok(())
}

#[tokio::test]
async fn a_page_for_each_command() -> Result<()> {
    let (person, pages) = (Person::new()?, tempfile::tempdir()?);
    let first = person.run(&["man"]).await?;
    assert!(first.out.contains(".TH ferry 1"), "{}", first.out);
    let dir = pages.path().join("man1");
    let done = person.run(&["man", "--dir", dir.to_str().context("a name")?]).await?;
    assert_eq!(done.code, 0, "{done:?}");
    for page in ["ferry.1", "ferry-migrate.1", "ferry-storage-map-add.1"] {
        let text = std::fs::read_to_string(dir.join(page)).with_context(|| page.to_owned())?;
        assert!(text.contains("ferry") && !text.contains("$ferry"), "{page}");
    }
    let file = pages.path().join("file");
    std::fs::write(&file, "")?;
    person.run(&["man", "--dir", file.to_str().context("a name")?]).await?.failed_with(1, &["cannot write"]);
    Ok(())
}
