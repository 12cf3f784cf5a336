//! The file under the journal: in use, without room, damaged.
//!
//! The promise is the same for all three: the controller says in its own words which file and what to do, it ends with
//! the documented exit code, and everything that was acknowledged is there once the cause is gone. Join tokens stand for
//! what was acknowledged: each is one commit, and can be redeemed only if that commit is there.
//! Which bytes of a file matter, and what replay does with them, is tested at the journal itself.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use ferry_tests::ferry::Cli;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::expect;
use super::spare::{Spare, folder, run, text};
use crate::stage::Stage;

/// Ports of the spare controllers of this file.
const FULL: u16 = 7453;
const DAMAGED: u16 = 7454;
/// The file system that becomes full.
const ROOM: &str = "size=16m";
/// Tokens that are made while there is room.
const BEFORE: usize = 5;
/// Tokens after which the journal must have asked for more room than there is.
const ENOUGH: usize = 400;
/// The controller's exit code when its journal fails while it runs.
const EXIT_JOURNAL: i32 = 74;

/// The world's own controller runs; a second one on its data is told so, and the first one goes on.
pub(super) async fn second(stage: &Stage) -> Result<()> {
    let data = text(&stage.world.dir().join("ferry/controller"));
    let arguments = ["serve", "--data", &data, "--listen", "127.0.0.1:7459"];
    let second = run(&stage.world, "ferry-controller", &arguments).await?;
    expect(&second, 1, &["in use by another controller", "journal.redb", "stop that one first"])?;
    let second = run(&stage.world, "ferry-controller", &["admin-token", "--data", &data]).await?;
    expect(&second, 1, &["in use by another controller"])?;
    ensure!(stage.ferry.controller().is_alive(), "the first controller has ended");
    stage.ferry.cli().run(&["clusters"]).await?.success().map(drop)
}

/// No room: the controller ends by itself with its own message, and with room again everything it said yes to is there.
pub(super) async fn full_disk(stage: &Stage) -> Result<()> {
    let folder = folder(&stage.world, "full-disk");
    std::fs::create_dir_all(folder.join("data"))?;
    mount(Some("ferry-full-disk"), &folder.join("data"), Some("tmpfs"), MsFlags::empty(), Some(ROOM))?;
    let kept = kept_over_a_full_disk(&folder).await;
    umount2(&folder.join("data"), MntFlags::MNT_DETACH)?;
    kept
}

async fn kept_over_a_full_disk(folder: &Path) -> Result<()> {
    let mut spare = Spare::begin(folder.to_owned(), FULL, &[]).await?;
    let admin = spare.admin().await?;
    let mut acknowledged = Vec::new();
    for _ in 0..BEFORE {
        acknowledged.push(viewer(&admin).await?);
    }
    let filler = spare.data().join("filler");
    fill(&filler)?;
    let refused = loop {
        let made = acknowledged.len();
        ensure!(made < ENOUGH, "{made} tokens were made on a full disk");
        let output = admin.run(&["token", "create", "role", "viewer", "v"]).await?;
        if output.code != 0 {
            break output;
        }
        acknowledged.push(output.stdout.trim().to_owned());
    };
    ensure!(refused.code == 1, "a call that the controller could not keep ends with 1: {refused}");
    let ended = spare.ended().await.with_context(|| refused.to_string())?;
    let log = spare.log()?;
    ensure!(ended.code() == Some(EXIT_JOURNAL), "ended with {ended}: {log}");
    for word in
        ["no space for the journal", "journal.redb", "Free space", "nothing that was acknowledged is lost"]
    {
        ensure!(log.contains(word), "the controller does not say {word:?}: {log}");
    }

    std::fs::remove_file(&filler)?;
    spare.start().await?;
    admin.run(&["clusters"]).await?.success()?;
    for (number, token) in acknowledged.iter().enumerate() {
        let person = spare.person(&format!("viewer-{number}"))?;
        let login = person.run(&["login", "--server", &spare.address, token]).await?;
        login.success().with_context(|| format!("token {number} of {} was lost", acknowledged.len()))?;
    }
    Ok(())
}

async fn viewer(admin: &Cli) -> Result<String> {
    let made = admin.run(&["token", "create", "role", "viewer", "v"]).await?.success()?;
    Ok(made.stdout.trim().to_owned())
}

/// Takes all the room that is left.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let block = vec![0_u8; 64 * 1024];
    for size in [block.len(), 4096] {
        loop {
            match file.write(&block[..size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => bail!("cannot fill {}: {error}", path.display()),
            }
        }
    }
    Ok(())
}

/// A file whose bytes were changed is refused by name and left as it is; the right one then works again.
pub(super) async fn damaged(stage: &Stage) -> Result<()> {
    let mut spare = Spare::begin(folder(&stage.world, "damaged"), DAMAGED, &[]).await?;
    let admin = spare.admin().await?;
    for _ in 0..20 {
        viewer(&admin).await?;
    }
    spare.stop().await?;
    let path = spare.data().join("journal.redb");
    let sound = std::fs::read(&path)?;
    for (what, bytes) in [("flipped", flipped(&sound)), ("cut off", sound[..sound.len() / 3].to_vec())] {
        std::fs::write(&path, &bytes)?;
        let ended = spare.fails_to_start().await?;
        let log = spare.log()?;
        ensure!(ended.code() == Some(1), "{what}: ended with {ended}: {log}");
        for word in ["journal.redb", "is damaged", "it was not changed", "restore the file from a backup"] {
            ensure!(log.contains(word), "{what}: the controller does not say {word:?}: {log}");
        }
        ensure!(!log.contains("panicked"), "{what}: a panic is no message: {log}");
        ensure!(std::fs::read(&path)? == bytes, "{what}: the file was changed");
    }
    std::fs::write(&path, &sound)?;
    spare.start().await?;
    admin.run(&["clusters"]).await?.success().map(drop)
}

/// A byte in each run of 64 changed that is not zero: what is in use, wherever it lies.
fn flipped(sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for chunk in bytes.chunks_mut(64).skip(64) {
        if let Some(byte) = chunk.iter_mut().find(|byte| **byte != 0) {
            *byte ^= 0x55;
        }
    }
    bytes
}
