//! Ledgers that come from a backup, of any moment, restored at any later one (handoff.md, H18).
//!
//! The referee of the world looks at every step: no disk is usable in two clusters, no ordinal runs in two, no epoch
//! falls. What the restored ledger can still carry out it does; where the world has gone on it stops and asks.
//! What a restore does to the state is `State::restored`, which the controller's own program calls.

use super::world::{Cluster, PLAIN, World};
use crate::migration::Ask;
use crate::{Input, Order, Phase, State};

/// Messages and timers of one whole migration, more than enough.
const MOST: usize = 600;

fn begun() -> World {
    let mut world = World::new(PLAIN);
    world.begin("east", "west", Order::HighestFirst);
    world
}

fn advance(world: &mut World, count: usize) {
    for _ in 0..count {
        if world.migration().phase.is_over() || !world.advance() {
            return;
        }
    }
}

/// Until nothing happens any more but attempts that are made again and again.
fn calm(world: &mut World) {
    for _ in 0..30 {
        world.settle();
        let Some(at) = world.wake_at else { return };
        world.now = at;
        world.step(Input::Timer);
    }
    world.settle();
}

fn restore(world: &mut World, mut copy: State) {
    copy.restored();
    world.restore(copy);
    assert_eq!(world.core.state().check(), Ok(()));
    world.attach_all();
}

/// Every replica runs once, and its disks with it.
fn whole(world: &World) -> bool {
    let of = |of: &Cluster| of.pods.keys().copied().collect::<Vec<u32>>();
    let mut pods: Vec<u32> = world.clusters.values().flat_map(of).collect();
    pods.sort_unstable();
    pods == [0, 1, 2]
}

#[test]
fn h18_a_backup_restored_at_once_goes_on_to_the_end() {
    let mut reached = 0;
    for moment in 0..MOST {
        let mut world = begun();
        advance(&mut world, moment);
        if world.migration().phase.is_over() {
            reached = moment;
            break;
        }
        let stage = world.core.state().work.values().next().map(|work| work.stage);
        let copy = world.folded.clone();
        restore(&mut world, copy);
        calm(&mut world);
        for _ in 0..4 {
            // What a target had adopted already is of an epoch of before: a person takes that ordinal back.
            let _over = world.control(Ask::Undo);
            calm(&mut world);
            let _runs = world.control(Ask::Resume);
            calm(&mut world);
        }
        let told = world.migration();
        assert_eq!(told.phase, Phase::Completed, "restored at {moment}, {stage:?}: {}", told.message);
        assert!(whole(&world), "restored at {moment}, {stage:?}");
    }
    assert!(reached > 50, "only {reached} moments were tried");
}

#[test]
fn h18_a_backup_of_any_moment_restored_at_any_later_one_damages_nothing() {
    for moment in (0..200).step_by(7) {
        for later in [1, 9, 60, MOST] {
            for undone in [false, true] {
                let mut world = begun();
                advance(&mut world, moment);
                if world.migration().phase.is_over() {
                    return;
                }
                let copy = world.folded.clone();
                if undone {
                    let _refused = world.control(Ask::Undo);
                }
                advance(&mut world, later);
                restore(&mut world, copy);
                for asked in [Ask::Undo, Ask::Resume, Ask::Rollback, Ask::Resume] {
                    calm(&mut world);
                    let _refused = world.control(asked);
                }
                calm(&mut world);
            }
        }
    }
}
