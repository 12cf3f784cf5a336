//! Files that are none, damaged, or of another version; directories that a restore leaves alone.

use std::fs;

use ferry_core::State;
use tempfile::TempDir;

use super::*;
use crate::{
    event_loop::LedgerCopy,
    identity::authority::{self, Authority},
    journal::{Embedded, Journal},
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn authority(dir: &std::path::Path) -> Authority {
    Authority::open_or_create(dir, "ferry.local", std::time::Duration::from_secs(60)).expect("CA")
}

/// A backup of a controller whose CA is in `dir`.
fn backup(dir: &std::path::Path) -> Vec<u8> {
    let authority = authority(dir);
    let state = serde_json::to_vec(&State::default()).expect("JSON");
    let copy = LedgerCopy { state, generation: 1, audit: vec![(4, b"{\"by\":\"x\"}".to_vec())] };
    let ca = fs::read_to_string(authority::path(dir)).expect("CA");
    Backup::new(copy, "ferry.local", Some(ca), authority.sha256()).to_bytes().expect("bytes")
}

#[test]
fn every_flipped_bit_and_every_missing_end_is_found() {
    let dir = directory();
    let good = backup(dir.path());
    Backup::from_bytes("b", &good).expect("good");
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(Backup::from_bytes("b", &bytes).is_err(), "byte {at}");
        assert!(Backup::from_bytes("b", &good[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn what_it_is_not_is_said() {
    let said = |bytes: &[u8]| Backup::from_bytes("b", bytes).expect_err("refused").to_string();
    assert!(said(b"").contains("it is empty"));
    assert!(said(b"PNG").contains("is no backup of a Ferry controller"));
    let other = said(b"ferry-backup 2\n{}\n");
    assert!(other.contains("format 2") && other.contains("with the version that wrote it"), "{other}");
    assert!(said(b"ferry-backup 1\n{}\n").contains("is damaged"));
}

fn restored_from(bytes: &[u8], dir: &std::path::Path) -> Result<Restored, Error> {
    let scratch = directory();
    let file = scratch.path().join("backup");
    fs::write(&file, bytes).expect("write");
    restore(&file, dir)
}

#[test]
fn h18_a_restore_raises_the_generation_and_keeps_who_it_is() {
    let (old, new) = (directory(), directory());
    let bytes = backup(old.path());
    let dir = new.path().join("made");
    let restored = restored_from(&bytes, &dir).expect("restored");
    assert_eq!(restored.generation, 2);
    let ca = |dir: &std::path::Path| fs::read(authority::path(dir)).expect("CA");
    assert_eq!(ca(&dir), ca(old.path()));
    let mut journal = Embedded::open(&dir).expect("journal");
    let numbers: Vec<u64> =
        journal.audit(None, 9).expect("read").into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [5, 4], "the restore itself is on record");
    let state: State =
        serde_json::from_slice(&journal.load().expect("load").snapshot.expect("state")).expect("JSON");
    assert_eq!(state.generation(), 2);
    drop(journal);

    let again = restored_from(&bytes, &dir).expect_err("it holds a journal");
    assert!(matches!(again, Error::Occupied { .. }), "{again}");
}

#[test]
fn another_controllers_directory_is_left_alone_and_a_lost_journal_comes_back() {
    let (mine, other) = (directory(), directory());
    let bytes = backup(mine.path());
    authority(other.path());
    let error = restored_from(&bytes, other.path()).expect_err("another identity");
    assert!(matches!(error, Error::OtherIdentity { .. }), "{error}");
    assert!(!Embedded::exists(other.path()));
    restored_from(&bytes, mine.path()).expect("the journal alone was lost");
}
