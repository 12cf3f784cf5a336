use super::*;
use crate::samples::{at, migration, ordinal};

#[test]
fn one_line_for_each_change() {
    let mut plain = Plain::default();
    let mut some = migration();
    let first = plain.lines(&some, at(20_000));
    let expected = [
        "2026-09-21T14:13:40Z db/etcd running from east to west",
        "2026-09-21T14:13:34Z db/etcd etcd-2 done in 13.0s",
        "2026-09-21T14:13:39Z db/etcd etcd-1 detach (6/13): VolumeAttachment csi-8f2c of node east-2 to be gone",
    ];
    assert_eq!(first, expected, "\n{}", first.join("\n"));
    assert_eq!(plain.lines(&some, at(21_000)), Vec::<String>::new(), "nothing new");

    some.ordinals[1] = ordinal(1, 7, 14_000);
    assert_eq!(plain.lines(&some, at(21_000)), ["2026-09-21T14:13:40Z db/etcd etcd-1 unclaim (7/13)"]);
    some.ordinals[1].message = "claim data-etcd-1 to be gone".to_owned();
    assert_eq!(plain.lines(&some, at(22_000)), Vec::<String>::new(), "a quick step stays one line");
    let later = plain.lines(&some, at(26_000));
    assert_eq!(later, ["2026-09-21T14:13:46Z db/etcd etcd-1 unclaim (7/13): claim data-etcd-1 to be gone"]);
}

#[test]
fn what_holds_it_up_is_said_when_it_changes() {
    let mut plain = Plain::default();
    let mut some = Migration { ordinals: Vec::new(), phase: Phase::Preparing, ..migration() };
    plain.lines(&some, at(0));
    some.message = "west is not attached; start its agent".to_owned();
    let said = plain.lines(&some, at(1_000));
    assert_eq!(said, ["2026-09-21T14:13:21Z db/etcd preparing: west is not attached; start its agent"]);
    some.phase = Phase::Refused;
    some.ended_at = Some(at(2_000));
    let end = plain.lines(&some, at(9_000));
    assert_eq!(
        end,
        ["2026-09-21T14:13:22Z db/etcd refused from east to west: west is not attached; start its agent"]
    );
}
