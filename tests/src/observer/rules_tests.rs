//! Each rule accuses what it must and excuses what order alone explains.

use std::collections::{BTreeMap, BTreeSet};

use super::super::view::{PodView, SliceView};
use super::*;

fn subject() -> Subject {
    Subject {
        namespace: "db".into(),
        workload: "etcd".into(),
        start: 0,
        replicas: 3,
        budget: 1,
        in_flight: 1,
    }
}

fn view(cluster: &str, slice: std::ops::Range<u32>, held: &str) -> View {
    let pod =
        |ordinal| (ordinal, PodView { uid: format!("{cluster}-{ordinal}"), pending: false, ready: true });
    let usable = |ordinal| {
        let volume = ("array".to_owned(), format!("v{ordinal}"));
        (volume, BTreeSet::from([format!("claim {held}")]))
    };
    View {
        cluster: cluster.into(),
        slice: Some(SliceView {
            uid: cluster.into(),
            generation: i64::from(slice.end - slice.start),
            ordinals: slice.clone().collect(),
        }),
        pods: slice.clone().map(pod).collect(),
        usable: slice.map(usable).collect(),
    }
}

fn invariants(first: &[View], second: &[View]) -> Vec<Invariant> {
    judge(&subject(), first, second).into_iter().map(|violation| violation.invariant).collect()
}

#[test]
fn a_workload_that_is_split_in_two_is_right() {
    let views = [view("east", 0..2, "a"), view("west", 2..3, "b")];
    assert_eq!(invariants(&views, &views), []);
}

#[test]
fn an_ordinal_on_its_way_is_right_and_two_are_not() {
    let one = [view("east", 0..2, "a"), view("west", 3..3, "b")];
    assert_eq!(invariants(&one, &one), []);
    let two = [view("east", 0..1, "a"), view("west", 3..3, "b")];
    assert_eq!(invariants(&two, &two), [Invariant::I3, Invariant::I4]);
}

#[test]
fn an_ordinal_in_both_breaks_volume_pod_and_slice() {
    let views = [view("east", 0..3, "a"), view("west", 2..3, "b")];
    let found: BTreeSet<Invariant> = invariants(&views, &views).into_iter().collect();
    assert_eq!(found, BTreeSet::from([Invariant::I1, Invariant::I2, Invariant::I3]));
}

#[test]
fn an_overlap_that_order_explains_is_excused() {
    // East let go between its two reads, west took over between them: no moment of overlap is proven.
    let first = [view("east", 0..3, "a"), view("west", 3..3, "b")];
    let second = [view("east", 0..2, "a"), view("west", 2..3, "b")];
    assert_eq!(invariants(&first, &second), []);
}

#[test]
fn another_claim_of_the_same_volume_is_not_the_same_hold() {
    let mut second = view("east", 0..3, "a");
    second.usable.insert(("array".into(), "v2".into()), BTreeSet::from(["claim other".into()]));
    second.slice = Some(SliceView { uid: "east".into(), generation: 9, ordinals: (0..3).collect() });
    second.pods.insert(2, PodView { uid: "other".into(), pending: false, ready: true });
    let west1 = view("west", 2..3, "b");
    let west2 = View { cluster: "west".into(), usable: BTreeMap::new(), ..View::default() };
    assert_eq!(invariants(&[view("east", 0..3, "a"), west1], &[second, west2]), []);
}

#[test]
fn a_pending_pod_is_no_second_pod() {
    let mut west = view("west", 2..3, "b");
    west.usable.clear();
    west.slice = None;
    west.pods.insert(2, PodView { uid: "stray".into(), pending: true, ready: false });
    let views = [view("east", 0..3, "a"), west];
    assert_eq!(invariants(&views, &views), []);
}

#[test]
fn an_ordinal_outside_the_workload_is_stray() {
    let views = [view("east", 0..2, "a"), view("west", 2..4, "b")];
    assert_eq!(invariants(&views, &views), [Invariant::I3]);
}
