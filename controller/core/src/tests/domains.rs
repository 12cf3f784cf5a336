//! K6: the storage domains of a plan's two clusters.
//!
//! Which domain a driver has is what admins said; what else they may say, and when, is tested where they say it. Here a
//! plan between two arrays is refused, and accepted as soon as both clusters are said to reach the same one. The model's
//! agents know nothing of domains, as real ones do.

use super::world::{PLAIN, World, name};
use crate::input::Request;
use crate::storage::StorageDomain;
use crate::{Order, Reply};

fn set(world: &mut World, cluster: &str, domain: &str) {
    let driver = world.plan("east", "west", Order::HighestFirst).volumes[0].driver.clone();
    let set = StorageDomain { cluster: name(cluster), driver, domain: domain.to_owned() };
    let reply = world.answer(Request::SetStorageDomain { set, by: "admin".to_owned() });
    assert!(matches!(reply, Reply::StorageDomains(_)), "{reply:?}");
}

#[test]
fn another_array_in_the_target_is_refused_until_somebody_says_that_it_is_the_same() {
    let mut world = World::new(PLAIN);
    world.attach_all();
    world.settle();
    set(&mut world, "east", "array-1");
    let plan = world.plan("east", "west", Order::HighestFirst);
    let codes: Vec<&str> = plan.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!((codes, plan.hash), (vec!["K6-domain-differs"], None));
    assert!(plan.findings[0].found.contains("`array-1` in east"), "{:?}", plan.findings);
    set(&mut world, "west", "array-1");
    assert!(world.plan("east", "west", Order::HighestFirst).hash.is_some());
}
