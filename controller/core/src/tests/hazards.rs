//! Hazards that only the schedule as a whole shows.
//!
//! docs/hazards.md lists all of them. Most have their tests beside what they are about, under names that begin with
//! their number; here is what no single answer or refusal decides. What clusters do by themselves is not modelled, so
//! nothing is said here of how slow they become.

use super::world::{PLAIN, Shape, World};
use crate::limits;
use crate::{Input, Order};

/// Attachments in flight at which attaching takes minutes (kubernetes#84169).
const SLOW: usize = 1_300;

#[test]
fn h24_a_migration_has_one_ordinal_in_flight_and_migrations_are_bounded() {
    for replicas in [3, 20] {
        let mut world = World::new(Shape { replicas, ..PLAIN });
        world.begin("east", "west", Order::HighestFirst);
        while !world.migration().phase.is_over() {
            let (mut released, mut arrived) = (0, 0);
            for (_, command) in &world.sent {
                released += usize::from(command.body.verb() == "release");
                arrived += usize::from(command.body.verb() == "retire");
            }
            assert!(released <= arrived + 1, "{released} were let go of and {arrived} arrived");
            if !["west", "east"].iter().any(|of| world.deliver_down(of) || world.deliver_up(of)) {
                world.now = world.wake_at.expect("a migration that is not over waits for something");
                world.step(Input::Timer);
            }
        }
    }
    const { assert!(limits::RUNNING_MIGRATIONS * 4 < SLOW, "four disks of each replica attach at once") };
}
