use std::collections::BTreeSet;

use super::Plan;
use crate::world::limits::{MAX_CLUSTERS, MAX_NODES};

#[test]
fn no_two_parts_of_the_largest_world_share_an_address_or_range() {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for plan in (0..MAX_CLUSTERS).map(Plan::new) {
        let nodes = (1..=u8::try_from(MAX_NODES).unwrap()).map(|number| plan.node(number).to_string());
        let ranges =
            [plan.pods(), plan.services(), plan.control_plane().to_string(), plan.loopback().to_string()];
        for part in nodes.chain(ranges) {
            count += 1;
            seen.insert(part);
        }
    }
    assert_eq!(seen.len(), count);
}
