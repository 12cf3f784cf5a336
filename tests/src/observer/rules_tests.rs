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
    let pod = |ordinal| {
        (
            ordinal,
            PodView { uid: format!("{cluster}-{ordinal}"), pending: false, ready: true, leaving: false },
        )
    };
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
    judge(&subject(), &Standing::default(), first, second)
        .into_iter()
        .map(|violation| violation.invariant)
        .collect()
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
    second.pods.insert(2, PodView { uid: "other".into(), pending: false, ready: true, leaving: false });
    let west1 = view("west", 2..3, "b");
    let west2 = View { cluster: "west".into(), usable: BTreeMap::new(), ..View::default() };
    assert_eq!(invariants(&[view("east", 0..3, "a"), west1], &[second, west2]), []);
}

#[test]
fn a_pending_pod_is_no_second_pod() {
    let mut west = view("west", 2..3, "b");
    west.usable.clear();
    west.slice = None;
    west.pods.insert(2, PodView { uid: "stray".into(), pending: true, ready: false, leaving: false });
    let views = [view("east", 0..3, "a"), west];
    assert_eq!(invariants(&views, &views), []);
}

#[test]
fn an_ordinal_outside_the_workload_is_stray() {
    let views = [view("east", 0..2, "a"), view("west", 2..4, "b")];
    assert_eq!(invariants(&views, &views), [Invariant::I3]);
}

/// Looks at the views one after the other and says what the last of them proves.
fn after(looks: &[[View; 2]]) -> Vec<Invariant> {
    let mut standing = Standing::default();
    for views in looks {
        standing.advance(&subject(), views);
    }
    let last = &looks[looks.len() - 1];
    judge(&subject(), &standing, last, last).into_iter().map(|violation| violation.invariant).collect()
}

fn with_east_0(mut views: [View; 2], change: impl FnOnce(&mut PodView)) -> [View; 2] {
    change(views[0].pods.get_mut(&0).expect("east runs ordinal 0"));
    views
}

#[test]
fn a_replica_that_fails_by_itself_while_another_moves_is_its_own_fault() {
    let whole = [view("east", 0..3, "a"), view("west", 3..3, "b")];
    let moving = [view("east", 0..2, "a"), view("west", 3..3, "b")];
    let failed = with_east_0(moving.clone(), |pod| pod.ready = false);
    assert_eq!(after(&[whole.clone(), moving.clone(), failed.clone()]), []);
    // Down before the other was taken: then it must not have been taken.
    let failed_first = with_east_0(whole.clone(), |pod| pod.ready = false);
    assert_eq!(after(&[whole.clone(), failed_first, failed.clone()]), [Invariant::I4]);
    // Asked to leave: that is no failure of its own.
    let asked = with_east_0(moving.clone(), |pod| (pod.ready, pod.leaving) = (false, true));
    assert_eq!(after(&[whole, moving, asked]), [Invariant::I4]);
}

#[test]
fn a_replica_that_failed_and_is_then_taken_counts_against_those_that_are_down() {
    let whole = [view("east", 0..3, "a"), view("west", 3..3, "b")];
    let zero_failed = with_east_0(whole.clone(), |pod| pod.ready = false);
    let mut both_failed = zero_failed.clone();
    both_failed[0].pods.get_mut(&1).expect("east runs ordinal 1").ready = false;
    assert_eq!(after(&[whole.clone(), zero_failed.clone(), both_failed.clone()]), []);
    let taken = with_east_0(both_failed.clone(), |pod| pod.leaving = true);
    assert_eq!(after(&[whole, zero_failed, both_failed, taken]), [Invariant::I4]);
}

#[test]
fn a_replica_that_fell_stays_excused_when_the_one_in_flight_has_arrived() {
    let whole = [view("east", 0..3, "a"), view("west", 3..3, "b")];
    let moving = [view("east", 0..2, "a"), view("west", 3..3, "b")];
    let mut arrived = [view("east", 0..2, "a"), view("west", 2..3, "b")];
    for ordinal in [0, 1] {
        arrived[0].pods.get_mut(&ordinal).expect("east runs it").ready = false;
    }
    assert_eq!(after(&[whole, moving, arrived]), []);
}
