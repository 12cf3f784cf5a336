//! What every backend must do, written over the trait; each backend supplies a way to open the same store again.

use super::*;

/// A store that can be closed and opened again.
pub(super) trait Store {
    type Journal: Journal;

    /// Opens the store, as a process that has just started would.
    fn open(&self) -> Result<Self::Journal, Error>;
}

fn entry(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn batch(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| entry(text)).collect()
}

fn load(store: &impl Store) -> Contents {
    store.open().expect("open").load().expect("load")
}

/// Runs every rule on stores that `fresh` makes.
pub(super) fn holds<S: Store>(fresh: impl Fn() -> S) {
    a_new_journal_is_empty(&fresh());
    batches_keep_their_order(&fresh());
    an_empty_batch_is_nothing(&fresh());
    a_snapshot_replaces_what_was_before(&fresh());
    any_bytes_survive(&fresh());
    a_second_writer_is_refused(&fresh());
    a_journal_goes_on_after_it_was_loaded(&fresh());
    audit_records_are_numbered_and_outlive_snapshots(&fresh());
}

fn audit_records_are_numbered_and_outlive_snapshots(store: &impl Store) {
    let mut journal = store.open().expect("open");
    assert_eq!(journal.audit(None, 10).expect("read"), []);
    journal.append(&batch(&["a"]), &batch(&["one", "two"])).expect("append");
    journal.append(&[], &batch(&["three"])).expect("a record alone");
    journal.snapshot(b"a").expect("snapshot");
    drop(journal);
    let mut journal = store.open().expect("open");
    journal.append(&batch(&["b"]), &batch(&["four"])).expect("append");
    let numbered = |number, text: &str| (number, entry(text));
    assert_eq!(journal.audit(None, 2).expect("read"), [numbered(4, "four"), numbered(3, "three")]);
    assert_eq!(journal.audit(Some(3), 9).expect("read"), [numbered(2, "two"), numbered(1, "one")]);
    assert_eq!(journal.audit(Some(1), 9).expect("read"), []);
    assert_eq!(journal.load().expect("load").entries, batch(&["b"]), "they are not replayed");
}

fn a_new_journal_is_empty(store: &impl Store) {
    assert_eq!(load(store), Contents::default());
    assert_eq!(load(store), Contents::default(), "opening wrote nothing");
}

fn batches_keep_their_order(store: &impl Store) {
    let mut journal = store.open().expect("open");
    journal.append(&batch(&["a", "b"]), &[]).expect("append");
    journal.append(&batch(&["c"]), &[]).expect("append");
    drop(journal);
    assert_eq!(load(store), Contents { snapshot: None, entries: batch(&["a", "b", "c"]) });
}

fn an_empty_batch_is_nothing(store: &impl Store) {
    store.open().expect("open").append(&[], &[]).expect("append");
    assert_eq!(load(store), Contents::default());
}

fn a_snapshot_replaces_what_was_before(store: &impl Store) {
    let mut journal = store.open().expect("open");
    journal.append(&batch(&["a", "b"]), &[]).expect("append");
    journal.snapshot(b"ab").expect("snapshot");
    assert_eq!(journal.load().expect("load"), Contents { snapshot: Some(entry("ab")), entries: vec![] });
    journal.append(&batch(&["c"]), &[]).expect("append");
    journal.snapshot(b"abc").expect("snapshot");
    journal.append(&batch(&["d", "e"]), &[]).expect("append");
    drop(journal);
    assert_eq!(load(store), Contents { snapshot: Some(entry("abc")), entries: batch(&["d", "e"]) });
}

fn any_bytes_survive(store: &impl Store) {
    let entries = vec![vec![], vec![0], vec![0xff; 100_000], (0..=255).collect()];
    let mut journal = store.open().expect("open");
    journal.snapshot(&[]).expect("snapshot");
    journal.append(&entries, &[]).expect("append");
    drop(journal);
    assert_eq!(load(store), Contents { snapshot: Some(vec![]), entries });
}

fn a_second_writer_is_refused(store: &impl Store) {
    let mut first = store.open().expect("open");
    let second = store.open().err().expect("a second one is refused");
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    first.append(&batch(&["a"]), &[]).expect("the first goes on");
    drop(first);
    assert_eq!(load(store).entries, batch(&["a"]));
}

fn a_journal_goes_on_after_it_was_loaded(store: &impl Store) {
    for (round, text) in ["a", "b", "c"].into_iter().enumerate() {
        let mut journal = store.open().expect("open");
        assert_eq!(journal.load().expect("load").entries.len(), round);
        journal.append(&batch(&[text]), &[]).expect("append");
    }
    assert_eq!(load(store).entries, batch(&["a", "b", "c"]));
}
