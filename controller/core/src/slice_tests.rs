//! Slice arithmetic against sets of ordinals.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Slice, SliceError};

fn set(slice: Slice) -> BTreeSet<u32> {
    slice.ordinals().collect()
}

#[test]
fn both_orders_from_any_start() {
    for start in [0, 1, 7] {
        let (mut source, mut target) = (Slice::new(start, 3), Slice::new(99, 0));
        for ordinal in (start..start + 3).rev() {
            source = source.without(ordinal).unwrap();
            target = target.with(ordinal).unwrap();
            assert_eq!(source.start, start, "highest first never moves the source's start");
        }
        assert_eq!((source, target), (Slice::new(start, 0), Slice::new(start, 3)));
        let (mut source, mut target) = (Slice::new(start, 3), Slice::new(99, 0));
        for ordinal in start..start + 3 {
            source = source.without(ordinal).unwrap();
            target = target.with(ordinal).unwrap();
            assert_eq!(target.start, start, "lowest first never moves the target's start");
        }
        assert_eq!((source.replicas, target), (0, Slice::new(start, 3)));
    }
}

#[test]
fn the_middle_and_the_far_are_refused() {
    let slice = Slice::new(2, 3);
    assert_eq!(slice.without(3), Err(SliceError::NotAtEdge { slice, ordinal: 3 }));
    assert_eq!(slice.without(5), Err(SliceError::NotAtEdge { slice, ordinal: 5 }));
    assert_eq!(
        Slice::new(2, 0).without(2).map_err(|error| error.to_string()).unwrap_err(),
        "ordinal 2 is not at an edge of the empty slice at 2: only the first or the last one can leave"
    );
    for ordinal in [0, 2, 4, 6] {
        assert_eq!(slice.with(ordinal), Err(SliceError::NotAdjacent { slice, ordinal }));
    }
}

proptest! {
    #[test]
    fn leaving_and_joining_change_one_ordinal(start in 0_u32..50, replicas in 0_u32..20, ordinal in 0_u32..80) {
        let slice = Slice::new(start, replicas);
        if let Ok(less) = slice.without(ordinal) {
            let mut expected = set(slice);
            prop_assert!(expected.remove(&ordinal));
            prop_assert_eq!(set(less), expected);
        }
        if let Ok(more) = slice.with(ordinal) {
            let mut expected = set(slice);
            prop_assert!(expected.insert(ordinal));
            prop_assert_eq!(set(more), expected);
        }
    }

    #[test]
    fn disjoint_is_what_sets_say(a in (0_u32..20, 0_u32..6), b in (0_u32..20, 0_u32..6)) {
        let (a, b) = (Slice::new(a.0, a.1), Slice::new(b.0, b.1));
        prop_assert_eq!(a.is_disjoint(b), set(a).is_disjoint(&set(b)));
    }
}
