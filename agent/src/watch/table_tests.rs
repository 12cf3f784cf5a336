use super::*;

fn keep(object: (&str, u32)) -> (String, Option<u32>) {
    (object.0.to_owned(), (object.1 > 0).then_some(object.1))
}

#[test]
fn half_a_list_is_not_seen() {
    let mut table = Table::default();
    assert!(!table.fold(Change::Restart, keep));
    assert!(!table.fold(Change::Present(("a", 1)), keep));
    assert!(!table.is_complete() && table.is_empty());
    assert!(table.fold(Change::Complete, keep));
    assert_eq!(table.at("a"), Some(&1));
    table.fold(Change::Restart, keep);
    assert_eq!(table.at("a"), Some(&1));
    assert!(table.fold(Change::Complete, keep), "a is gone");
    assert!(table.is_empty());
}

#[test]
fn only_what_differs_is_a_change() {
    let mut table = Table::default();
    for change in [Change::Restart, Change::Present(("a", 1)), Change::Complete] {
        table.fold(change, keep);
    }
    assert!(!table.fold(Change::Present(("a", 1)), keep));
    assert!(table.fold(Change::Present(("a", 2)), keep));
    assert!(table.fold(Change::Present(("a", 0)), keep), "no longer of interest");
    assert!(!table.fold(Change::Gone(("a", 2)), keep));
    table.fold(Change::Present(("b", 1)), keep);
    assert!(table.fold(Change::Gone(("b", 1)), keep));
    for change in [Change::Restart, Change::Complete] {
        assert!(!table.fold(change, keep));
    }
}
