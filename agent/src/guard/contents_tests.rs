use ferry_proto::agent::v1::VolumeId;
use serde_json::Map;

use super::Contents;

fn some() -> Contents {
    let mut contents = Contents::default();
    contents.claims.extend(["data-etcd-1".to_owned(), "data-etcd-11".to_owned()]);
    contents.pods.insert("etcd-1".to_owned());
    contents.add_disk(&VolumeId { driver: "d".into(), handle: "projects/a b".into() });
    contents
}

#[test]
fn what_is_written_is_read_again() {
    let mut data = Map::new();
    some().write(&mut data);
    assert_eq!(Contents::of(&data), some());
    assert_eq!(data["claims"], "\ndata-etcd-1\ndata-etcd-11\n");
    assert_eq!(data["budgets"], "\n", "an empty list holds not even the empty name");
    assert_eq!(data["disks"], "\nd projects/a b\n");
}

#[test]
fn another_list_has_another_digest() {
    let (mut data, mut other) = (Map::new(), Map::new());
    some().write(&mut data);
    let mut moved = some();
    moved.pods.clear();
    moved.budgets.insert("etcd-1".to_owned());
    moved.write(&mut other);
    assert_ne!(data["digest"], other["digest"]);
}

#[test]
fn lists_only_grow() {
    let mut more = Contents::default();
    more.claims.insert("data-etcd-2".to_owned());
    let all = some().and(more);
    assert_eq!(all.claims.len(), 3);
    assert_eq!(all.pods, some().pods);
}
