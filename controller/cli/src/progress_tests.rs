use super::*;
use crate::samples::{at, migration, ordinal};

const PLAIN: Paint = Paint(false);

#[test]
fn the_whole_and_each_replica() {
    let some = migration();
    assert_eq!(title(&some), "db/etcd  east → west");
    assert_eq!(standing(&some, at(20_500), PLAIN), "1/3 moved  20.5s");
    assert_eq!(position(&some), (13 + 5, 39));
    let text = lines(&some, at(20_500), 10, PLAIN);
    let expected = [
        "  ✔ etcd-2  done                13.0s",
        "  ⠼ etcd-1  detach      6/13     6.5s  VolumeAttachment csi-8f2c of node east-2 to be gone",
        "  · etcd-0  waiting",
    ];
    assert_eq!(text, expected, "\n{}", text.join("\n"));
}

#[test]
fn what_holds_it_up_comes_first() {
    let message = "east is not attached; start its agent".to_owned();
    let paused = Migration { phase: Phase::Paused, message, ..migration() };
    assert_eq!(standing(&paused, at(65_000), PLAIN), "1/3 moved  PAUSED  1m05s");
    assert_eq!(lines(&paused, at(65_000), 10, PLAIN)[0], "  ! east is not attached; start its agent");
}

#[test]
fn of_many_those_in_motion_are_shown() {
    let mut many = migration();
    let step = |n: u32| if n < 50 { 14 } else { u32::from(n == 50) * 6 };
    many.ordinals = (0..100).map(|n| ordinal(n, step(n), 0)).collect();
    let text = lines(&many, at(5_000), 8, PLAIN);
    let expected = [
        "    … 48 done before",
        "  ✔ etcd-48  done                13.0s",
        "  ✔ etcd-49  done                13.0s",
        "  ⠋ etcd-50  detach      6/13     5.0s",
        "  · etcd-51  waiting",
        "  · etcd-52  waiting",
        "  · etcd-53  waiting",
        "    … 46 more to come",
    ];
    assert_eq!(text, expected, "\n{}", text.join("\n"));
    many.ordinals.iter_mut().for_each(|ordinal| ordinal.ended_at = Some(at(9)));
    assert_eq!(lines(&many, at(5_000), 8, PLAIN).len(), 7, "at the end nothing is to come");
}
