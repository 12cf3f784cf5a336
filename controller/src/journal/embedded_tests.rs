//! The file backend: the contract, damage at every place, a full disk, another format, bounded growth.

use std::fs;

use tempfile::TempDir;

use super::{
    super::contract::{self, Store},
    *,
};

struct Directory(TempDir);

impl Store for Directory {
    type Journal = Embedded;

    fn open(&self) -> Result<Embedded, Error> {
        Embedded::open_or_begin(self.0.path())
    }
}

fn directory() -> Directory {
    Directory(tempfile::tempdir().expect("temporary directory"))
}

impl Directory {
    fn file(&self) -> PathBuf {
        self.0.path().join(FILE)
    }
}

fn entries(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("entry {number} {}", "x".repeat(300)).into_bytes()).collect()
}

#[test]
fn a_restored_journal_goes_on_with_its_numbers() {
    let store = directory();
    let audit = [(7, b"seven".to_vec()), (8, b"eight".to_vec())];
    restore(store.0.path(), b"state", &audit).expect("restore");
    let names: Vec<_> = fs::read_dir(store.0.path()).expect("list").collect();
    assert_eq!(names.len(), 1, "only the journal: {names:?}");
    let mut journal = store.open().expect("open");
    let contents = Contents { snapshot: Some(b"state".to_vec()), entries: vec![] };
    assert_eq!(journal.load().expect("load"), contents);
    journal.append(&entries(1), &[b"nine".to_vec()]).expect("append");
    let audit: Vec<u64> =
        journal.audit(None, 9).expect("read").into_iter().map(|(number, _)| number).collect();
    assert_eq!(audit, [9, 8, 7]);
}

#[test]
fn the_contract_holds() {
    contract::holds(directory);
}

/// A journal with a snapshot and entries, as the file was while it was open and after it was closed.
fn both_endings(store: &Directory) -> (Contents, [Vec<u8>; 2]) {
    let mut journal = store.open().expect("open");
    journal.append(&entries(20), &[]).expect("append");
    journal.snapshot(&vec![b's'; 5_000]).expect("snapshot");
    journal.append(&entries(20), &[]).expect("append");
    journal.append(&entries(1), &[]).expect("append");
    let whole = journal.load().expect("load");
    let killed = fs::read(store.file()).expect("read");
    drop(journal);
    (whole, [killed, fs::read(store.file()).expect("read")])
}

/// Whether a file of these bytes is refused, and left as it is; otherwise it says what one of the good ones says.
fn is_found(store: &Directory, bytes: &[u8], good: &[&Contents], at: usize) -> bool {
    fs::write(store.file(), bytes).expect("write");
    match store.open().and_then(|mut journal| journal.load()) {
        Ok(contents) => {
            assert!(good.contains(&&contents), "damage at {at} changed what is read");
            false
        }
        Err(Error::Damaged { .. } | Error::Format { .. }) => {
            assert!(fs::read(store.file()).expect("read") == bytes, "damage at {at}: the file changed");
            true
        }
        Err(error) => panic!("damage at {at} gave {error:?}"),
    }
}

#[test]
fn a_flipped_bit_in_any_page_is_found_or_harmless() {
    const PAGE: usize = 4_096;
    let store = directory();
    let (whole, [killed, closed]) = both_endings(&store);
    let mut without_last = whole.clone();
    without_last.entries.pop();
    for (good, also) in [(closed, &whole), (killed, &without_last)] {
        let mut found = 0;
        for page in 0..good.len() / PAGE {
            // Another place and another bit in each page, its first bytes in every eighth.
            let within = if page.is_multiple_of(8) { page / 8 % 32 } else { page * 1_031 % PAGE };
            let at = page * PAGE + within;
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (page % 8);
            found += usize::from(is_found(&store, &bytes, &[&whole, also], at));
        }
        assert!(found > 0, "no bit of any page was missed");
    }
}

#[test]
fn damage_is_found_or_harmless_wherever_it_is() {
    let store = directory();
    let (whole, [killed, closed]) = both_endings(&store);
    // After a kill the last commit cannot be told from one that the kill cut off: it may be gone as a whole.
    let mut without_last = whole.clone();
    without_last.entries.pop();
    for (good, also) in [(closed, &whole), (killed, &without_last)] {
        let (mut found, mut harmless) = (0, 0);
        for at in (0..good.len()).step_by(997) {
            let mut bytes = good.clone();
            for byte in bytes.iter_mut().skip(at).take(16) {
                *byte ^= 0x5a;
            }
            fs::write(store.file(), &bytes).expect("write");
            if is_found(&store, &bytes, &[&whole, also], at) { found += 1 } else { harmless += 1 }
        }
        assert!(found > 0 && harmless > 0, "{found} found, {harmless} in unused space");
    }
}

#[test]
fn a_cut_file_is_damaged() {
    let store = directory();
    store.open().expect("open").append(&entries(50), &[]).expect("append");
    let good = fs::read(store.file()).expect("read");
    for keep in [1, 100, 4_096, good.len() / 2] {
        fs::write(store.file(), &good[..keep]).expect("write");
        let error = store.open().and_then(|mut journal| journal.load()).expect_err("cut");
        assert!(matches!(error, Error::Damaged { .. }), "{keep} bytes kept: {error:?}");
    }
}

#[test]
fn a_lost_journal_is_not_begun_anew() {
    let store = directory();
    let lost = |dir: &Path| matches!(Embedded::open(dir), Err(Error::Lost { .. }));
    assert!(lost(store.0.path()), "none was there");
    assert!(lost(store.0.path()), "an empty one was there");
    drop(store.open().expect("begun"));
    assert!(!lost(store.0.path()), "a journal without entries is a journal");
}

#[test]
fn another_file_is_damaged_and_left_alone() {
    let store = directory();
    fs::write(store.file(), b"not a journal at all, but somebody's notes\n".repeat(200)).expect("write");
    let before = fs::read(store.file()).expect("read");
    let error = store.open().err().expect("refused");
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read(store.file()).expect("read"), before);
}

#[test]
fn another_format_is_named() {
    let store = directory();
    let journal = store.open().expect("open");
    let transaction = journal.database.begin_write().expect("begin");
    transaction.open_table(META).expect("meta").insert(META_FORMAT, 7).expect("insert");
    transaction.commit().expect("commit");
    drop(journal);
    let error = store.open().err().expect("refused");
    assert!(matches!(error, Error::Format { found: 7, expected: 1, .. }), "{error:?}");
}

#[test]
fn a_missing_record_is_found() {
    let store = directory();
    let mut journal = store.open().expect("open");
    journal.append(&entries(5), &[]).expect("append");
    for gone in [2, 4] {
        let transaction = journal.database.begin_write().expect("begin");
        transaction.open_table(ENTRIES).expect("entries").remove(gone).expect("remove");
        transaction.commit().expect("commit");
        let error = journal.load().expect_err("a gap");
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn space_is_bounded_by_snapshots() {
    let store = directory();
    let mut journal = store.open().expect("open");
    let mut largest = 0;
    for round in 0..40 {
        for _ in 0..5 {
            journal.append(&entries(100), &[]).expect("append");
        }
        journal.snapshot(&vec![b's'; 100_000]).expect("snapshot");
        let size = fs::metadata(store.file()).expect("metadata").len();
        if round == 9 {
            largest = size;
        }
        assert!(round <= 9 || size <= largest, "round {round}: the file grew from {largest} to {size}");
    }
}

#[test]
fn a_full_disk_is_named_and_nothing_acknowledged_is_lost() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const CHILD: &str = "FERRY_TEST_FULL_DISK";
    if let Some(dir) = std::env::var_os(CHILD) {
        // Writing beyond RLIMIT_FSIZE raises SIGXFSZ, which must be ignored to become the error EFBIG.
        let mut mask = nix::sys::signal::SigSet::empty();
        mask.add(nix::sys::signal::Signal::SIGXFSZ);
        mask.thread_block().expect("block SIGXFSZ");
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("limit");
        setrlimit(Resource::RLIMIT_FSIZE, 3_000_000, hard).expect("limit");
        let mut journal = Embedded::open_or_begin(Path::new(&dir)).expect("open");
        for acknowledged in 0.. {
            if let Err(error) = journal.append(&entries(100), &[]) {
                println!("acknowledged={acknowledged} error={error}");
                return;
            }
        }
    }
    let store = directory();
    let name = "journal::embedded::tests::a_full_disk_is_named_and_nothing_acknowledged_is_lost";
    let output = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, store.0.path())
        .output()
        .expect("child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("error=no space for the journal"), "{text}");
    let acknowledged = text.split("acknowledged=").nth(1).and_then(|rest| rest.split(' ').next());
    let acknowledged: usize = acknowledged.expect("count").parse().expect("number");
    let kept = store.open().expect("open").load().expect("load").entries.len();
    assert!(
        kept >= acknowledged * 100 && kept.is_multiple_of(100),
        "{acknowledged} batches of 100 acknowledged, {kept} kept"
    );
}

#[test]
fn a_record_that_is_gone_is_named_wherever_it_was() {
    for (gone, named) in [(0, "record 0 is missing"), (2, "record 2 is missing"), (4, "record 4 is missing")]
    {
        let store = directory();
        store.open().expect("open").append(&entries(5), &[]).expect("append");
        let database = Database::open(store.file()).expect("open the store");
        let transaction = database.begin_write().expect("begin");
        drop(transaction.open_table(ENTRIES).expect("table").remove(gone).expect("remove"));
        transaction.commit().expect("commit");
        drop(database);
        let error = store.open().expect("open").load().expect_err("a record is gone");
        assert!(error.to_string().contains(named), "{error}");
    }
}
