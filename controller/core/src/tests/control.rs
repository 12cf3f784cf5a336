//! Pause, resume and rollback, at every moment of a migration: between any two messages.
//!
//! The referee looks on as ever. What is asserted besides: a pause leaves no replica down, a rollback leaves the source as
//! it was and the target without a trace, a request that cannot be is refused by its code, and whatever was asked the
//! migration can be led to an end.

use super::world::{Shape, World, name};
use crate::migration::Ask;
use crate::{Order, Phase, Slice};

const SMALL: Shape = Shape { start: 2, replicas: 2, templates: 2, service: true };
/// More than a whole crossing of [`SMALL`] has messages and timers.
const MOMENTS: usize = 150;

fn at_moment(nth: usize, order: Order) -> World {
    let mut world = World::new(SMALL);
    world.begin("east", "west", order);
    for _ in 0..nth {
        world.advance();
    }
    world
}

fn all() -> Vec<u32> {
    Slice::new(SMALL.start, SMALL.replicas).ordinals().collect()
}

fn pods(world: &World) -> Vec<u32> {
    let mut pods: Vec<u32> =
        world.clusters.values().flat_map(|cluster| cluster.pods.keys().copied()).collect();
    pods.sort_unstable();
    pods
}

fn rests(world: &World) -> bool {
    let migration = world.migration();
    migration.phase.is_over() || migration.control.stopped
}

fn is_untouched(world: &mut World) {
    let east: Vec<u32> = world.cluster("east").pods.keys().copied().collect();
    assert_eq!(east, all());
    let disks = world.cluster("east").pvs.len();
    assert_eq!(disks, (SMALL.replicas * SMALL.templates) as usize);
    assert!(world.cluster("east").tombstones().is_empty());
    assert!(!world.cluster("east").prepared);
    let west = world.cluster("west");
    assert!(west.set.is_none() && west.pods.is_empty() && west.pvs.is_empty() && west.claims.is_empty());
    assert!(!west.prepared && !west.governed);
}

#[test]
fn a_pause_at_any_moment_leaves_no_replica_down_and_a_resume_completes() {
    for (order, every) in [(Order::HighestFirst, 1), (Order::LowestFirst, 5)] {
        for nth in (0..MOMENTS).step_by(every) {
            let mut world = at_moment(nth, order);
            let asked = world.control(Ask::Pause);
            if asked.is_ok() {
                assert_eq!(world.control(Ask::Pause), Err("already-paused"));
                world.run_until("a safe point", rests);
            } else {
                assert_eq!(asked, Err("already-over"), "after {nth}");
            }
            assert_eq!(pods(&world), all(), "after {nth}");
            let migration = world.migration().clone();
            if migration.control.stopped {
                assert_eq!(migration.phase, Phase::Paused, "after {nth}");
                assert!(migration.message.starts_with("paused by ann "), "{}", migration.message);
                assert!(migration.message.ends_with("ferry resume db-1"), "{}", migration.message);
                let (sent, log) = (world.sent.len(), world.log.len());
                world.now = world.now.plus(3_600_000);
                world.step(crate::Input::Timer);
                world.settle();
                assert_eq!(
                    (world.sent.len(), world.log.len()),
                    (sent, log),
                    "it goes on although it is paused"
                );
                world.kill_controller();
                world.attach_all();
                world.settle();
                assert_eq!(world.control(Ask::Resume), Ok(()));
                assert_eq!(world.control(Ask::Resume), Err("not-paused"));
            }
            world.run_until("the end", |world| world.migration().phase.is_over());
            assert_eq!(world.migration().phase, Phase::Completed, "after {nth}");
        }
    }
}

#[test]
fn a_rollback_of_the_ordinal_in_flight_at_any_moment_gives_it_back_and_pauses() {
    let mut accepted = 0;
    for (order, every) in [(Order::HighestFirst, 1), (Order::LowestFirst, 5)] {
        for nth in (0..MOMENTS).step_by(every) {
            let mut world = at_moment(nth, order);
            let moved = world.core.state().work.values().map(|work| work.moved).next();
            match world.control(Ask::Undo) {
                Ok(()) => {
                    accepted += 1;
                    world.run_until("a safe point", rests);
                    let migration = world.migration().clone();
                    assert_eq!(migration.phase, Phase::Paused);
                    assert_eq!(pods(&world), all(), "after {nth}");
                    assert_eq!(Some(world.cluster("west").pods.len()), moved, "after {nth}");
                    assert_eq!(world.control(Ask::Undo), Err("nothing-in-flight"));
                    assert_eq!(world.control(Ask::Resume), Ok(()));
                }
                Err("nothing-in-flight" | "past-return" | "already-over") => {}
                Err(other) => panic!("{other} after {nth}"),
            }
            world.run_until("the end", |world| world.migration().phase.is_over());
            assert_eq!(world.migration().phase, Phase::Completed, "after {nth}");
            assert!(world.cluster("east").pvs.is_empty());
        }
    }
    assert!(accepted > MOMENTS / 2, "{accepted}");
}

#[test]
fn a_rollback_of_everything_at_any_moment_leaves_no_trace() {
    for (order, every) in [(Order::HighestFirst, 1), (Order::LowestFirst, 5)] {
        for nth in (0..MOMENTS).step_by(every) {
            let mut world = at_moment(nth, order);
            match world.control(Ask::Rollback) {
                Ok(()) => {
                    assert_eq!(world.control(Ask::Rollback), Err("already-rolling-back"));
                    world.run_until("the end", |world| world.migration().phase.is_over());
                    assert_eq!(world.migration().phase, Phase::RolledBack, "after {nth}");
                    assert_eq!(world.migration().message, "", "after {nth}");
                    is_untouched(&mut world);
                    for asked in [Ask::Pause, Ask::Resume, Ask::Undo, Ask::Rollback] {
                        assert_eq!(world.control(asked), Err("already-over"));
                    }
                    world.cross("east", "west", order);
                }
                Err(code) => assert_eq!(code, "already-over", "after {nth}"),
            }
        }
    }
}

#[test]
fn a_rollback_of_everything_may_be_paused_undone_and_resumed_on_its_way() {
    for nth in (0..MOMENTS).step_by(2).chain([1, 31, 61, 91]) {
        let mut world = World::new(SMALL);
        world.begin("east", "west", Order::HighestFirst);
        world.run_until("one has moved", |world| world.migration().ordinals[0].step == 14);
        assert_eq!(world.control(Ask::Rollback), Ok(()));
        for _ in 0..nth {
            world.advance();
        }
        let asked = if nth % 4 == 0 { Ask::Pause } else { Ask::Undo };
        match world.control(asked) {
            Ok(()) => {
                world.run_until("a safe point", rests);
                assert_eq!(pods(&world), all(), "after {nth}");
                if !world.migration().phase.is_over() {
                    assert_eq!(world.control(Ask::Resume), Ok(()), "after {nth}");
                }
            }
            Err(code) => assert!(
                ["already-over", "nothing-in-flight", "past-return", "already-rolling-back"].contains(&code),
                "{code}"
            ),
        }
        world.run_until("the end", |world| world.migration().phase.is_over());
        assert_eq!(world.migration().phase, Phase::RolledBack, "after {nth}");
        is_untouched(&mut world);
    }
}

#[test]
fn the_target_is_fenced_before_the_source_takes_back_however_long_it_is_away() {
    let mut world = World::new(SMALL);
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("adopt");
    world.detach("west");
    assert_eq!(world.control(Ask::Undo), Ok(()));
    for _ in 0..20 {
        world.now = world.now.plus(3_600_000);
        world.step(crate::Input::Timer);
        world.deliver_all("east");
    }
    assert!(
        !world.sent.iter().any(|(_, command)| command.body.verb() == "reclaim"),
        "I8: it cannot be known"
    );
    assert!(world.migration().message.contains("waits for cluster west"), "{}", world.migration().message);
    world.attach("west");
    world.run_until("a safe point", rests);
    let verbs: Vec<&str> = world.sent.iter().map(|(_, command)| command.body.verb()).collect();
    let at = |verb: &str| verbs.iter().position(|of| *of == verb).unwrap();
    assert!(at("fence") < at("reclaim"));
    let epochs: Vec<u64> = world
        .sent
        .iter()
        .filter(|(_, command)| ["release", "adopt", "fence", "reclaim"].contains(&command.body.verb()))
        .map(|(_, command)| command.epoch.0)
        .collect();
    assert_eq!(epochs, [2, 2, 3, 3]);
    assert_eq!(world.control(Ask::Resume), Ok(()));
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed);
}

#[test]
fn what_was_superseded_is_acknowledged_and_means_nothing() {
    let mut world = World::new(SMALL);
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("adopt");
    // The target does it, and its word is on the way when it is fenced.
    world.deliver_down("west");
    let adopt = world.sent.iter().rfind(|(_, command)| command.body.verb() == "adopt").unwrap().1.id.clone();
    assert_eq!(world.control(Ask::Undo), Ok(()));
    world.run_until("a safe point", rests);
    assert!(world.acked.iter().any(|(_, id)| *id == adopt));
    let all_in_east = world.cluster("east").pods.len();
    assert_eq!((all_in_east, pods(&world)), (2, all()));
}

#[test]
fn a_final_refusal_is_asked_again_by_a_resume_above_what_is_kept() {
    for asked in [Ask::Resume, Ask::Undo] {
        let mut world = World::new(SMALL);
        world.begin("east", "west", Order::HighestFirst);
        world.run_until_sent("release");
        world.cluster("east").kept.insert(3, 40);
        world.settle();
        assert_eq!(world.migration().phase, Phase::Paused, "{}", world.migration().message);
        world.kill_agent("east");
        world.attach("east");
        assert_eq!(world.control(asked), Ok(()));
        if asked == Ask::Undo {
            world.run_until("a safe point", rests);
            assert_eq!(world.cluster("east").pods.len(), 2);
            assert_eq!(world.control(Ask::Resume), Ok(()));
        }
        world.run_until("the end", |world| world.migration().phase.is_over());
        assert_eq!(world.migration().phase, Phase::Completed);
        assert!(world.clusters[&name("west")].kept[&3] > 40);
    }
}

#[test]
fn what_was_undone_replays_to_the_same_bytes_from_every_prefix() {
    let mut world = World::new(SMALL);
    world.keep_snapshots = true;
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("adopt");
    world.control(Ask::Undo).unwrap();
    world.run_until("a safe point", rests);
    world.control(Ask::Resume).unwrap();
    world.run_until("one has moved", |world| world.migration().ordinals[0].step == 14);
    world.control(Ask::Rollback).unwrap();
    world.run_until("the end", |world| world.migration().phase.is_over());
    world.replay_from_every_snapshot();
}
