//! The whole way, without faults: both orders, any start, any number of disks, and back.
//!
//! Every input goes through the same world that the fault tests use, so the referee and the fold of the entries are
//! looked at here too. What is asserted besides is where replicas and disks end up, what was said to whom, and that an
//! ended migration leaves nothing behind but its story.

use super::world::{PLAIN, Shape, World};
use crate::facts::Manifest;
use crate::{CommandBody, Order, Phase, Slice};

fn shapes() -> Vec<Shape> {
    vec![
        PLAIN,
        Shape { replicas: 1, ..PLAIN },
        Shape { start: 3, ..PLAIN },
        Shape { templates: 2, ..PLAIN },
        Shape { templates: 0, ..PLAIN },
        Shape { start: 7, replicas: 5, templates: 3, service: false },
    ]
}

fn runs(world: &mut World, of: &str) -> Vec<u32> {
    world.cluster(of).pods.keys().copied().collect()
}

#[test]
fn every_shape_crosses_in_both_orders_and_back() {
    for shape in shapes() {
        for (there, back) in
            [(Order::HighestFirst, Order::LowestFirst), (Order::LowestFirst, Order::HighestFirst)]
        {
            let mut world = World::new(shape);
            let all: Vec<u32> = Slice::new(shape.start, shape.replicas).ordinals().collect();
            world.cross("east", "west", there);
            assert_eq!(
                (runs(&mut world, "east"), runs(&mut world, "west")),
                (vec![], all.clone()),
                "{shape:?}"
            );
            assert!(world.cluster("east").pvs.is_empty(), "the source keeps PersistentVolumes");
            world.cross("west", "east", back);
            assert_eq!(
                (runs(&mut world, "east"), runs(&mut world, "west")),
                (all.clone(), vec![]),
                "{shape:?}"
            );
            world.cross("east", "north", there);
            assert_eq!(runs(&mut world, "north"), all, "{shape:?}");
        }
    }
}

#[test]
fn replay_gives_the_same_bytes_from_every_prefix() {
    let mut world = World::new(Shape { templates: 2, ..PLAIN });
    world.keep_snapshots = true;
    world.snapshots.push((0, serde_json::to_vec(world.core.state()).unwrap()));
    world.cross("east", "west", Order::LowestFirst);
    world.replay_from_every_snapshot();
}

#[test]
fn an_ended_migration_keeps_no_manifest_and_no_work() {
    let mut world = World::new(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    assert!(world.core.state().work.is_empty());
    let migration = world.migration().clone();
    assert_eq!((migration.phase, migration.message.as_str()), (Phase::Completed, ""));
    assert!(migration.ended_at > Some(migration.started_at));
    for of in &migration.ordinals {
        assert_eq!((of.step, of.message.as_str()), (14, ""));
        assert!(of.started_at < of.ended_at, "the resolvers' wait takes time");
        assert!(of.steps.iter().all(|step| step.ended_at.is_some()), "{of:?}");
    }
}

#[test]
fn the_originals_go_to_the_target_with_the_last_settle_only() {
    let mut world = World::new(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    let mut last: Vec<(String, Option<Manifest>)> = Vec::new();
    for (cluster, command) in &world.sent {
        if let CommandBody::Settle { last: is_last, originals, target, max_unavailable, epochs } =
            &command.body
        {
            assert!(*max_unavailable <= 1);
            assert_eq!(
                epochs.len(),
                3,
                "a late one is told by any ordinal, also one that is not in its slice"
            );
            if *is_last {
                assert_eq!(*target, cluster.as_str() == "west");
                last.push((cluster.to_string(), originals.clone()));
            } else {
                assert_eq!(*originals, None);
            }
        }
    }
    last.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(matches!(last.as_slice(), [(_, None), (_, Some(set))] if set.kind == "StatefulSet"), "{last:?}");
}

#[test]
fn every_handoff_has_a_new_epoch() {
    let mut world = World::new(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    world.cross("west", "east", Order::HighestFirst);
    for ordinal in 0..3 {
        let used: Vec<u64> =
            world.epochs_used.iter().filter(|(of, _)| *of == ordinal).map(|(_, epoch)| *epoch).collect();
        assert_eq!(used, vec![2, 3]);
    }
}
