//! Faults of every kind, in any order, then calm: nothing breaks, and everything ends.
//!
//! Safety is looked at after each write and each step (the world's referee, `State::check`, the fold of the
//! entries); liveness after the faults stop (I9).
//! Shrunk inputs print as plain lists of faults, to be pasted into a test of their own.

use proptest::prelude::*;

use super::world::{Mood, Shape, World, name};
use crate::facts::RefusalCode;
use crate::migration::Ask;
use crate::{Input, Order, Phase, Slice};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Down(usize),
    Up(usize),
    Settle,
    Attach(usize),
    Detach(usize),
    KillAgent(usize),
    KillController,
    Wake,
    Pass(u64),
    Repeat(usize),
    MirrorFails(usize),
    PodUnready(usize, u32, bool),
    ReplacePod(usize, u32),
    Mood(usize, Mood),
    Ask(Ask),
    Late(usize, usize),
}

const NAMES: [&str; 2] = ["east", "west"];

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        3 => (0_usize..6).prop_map(Mood::DieAfter),
        3 => (0_usize..6).prop_map(Mood::UnknownAfter),
        2 => Just(Mood::Refuse(RefusalCode::NotReady)),
        1 => Just(Mood::Refuse(RefusalCode::Conflict)),
        1 => Just(Mood::Refuse(RefusalCode::Denied)),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let side = 0_usize..2;
    prop_oneof![
        12 => side.clone().prop_map(Fault::Down),
        12 => side.clone().prop_map(Fault::Up),
        4 => Just(Fault::Settle),
        3 => side.clone().prop_map(Fault::Attach),
        2 => side.clone().prop_map(Fault::Detach),
        1 => side.clone().prop_map(Fault::KillAgent),
        1 => Just(Fault::KillController),
        4 => Just(Fault::Wake),
        2 => (0_u64..60_000).prop_map(Fault::Pass),
        2 => side.clone().prop_map(Fault::Repeat),
        1 => side.clone().prop_map(Fault::MirrorFails),
        1 => (side.clone(), 0_u32..4, any::<bool>()).prop_map(|(of, at, ready)| Fault::PodUnready(of, at, ready)),
        1 => (side.clone(), 0_u32..4).prop_map(|(of, at)| Fault::ReplacePod(of, at)),
        2 => (side.clone(), 0_usize..64).prop_map(|(of, nth)| Fault::Late(of, nth)),
        4 => (side, mood()).prop_map(|(of, mood)| Fault::Mood(of, mood)),
    ]
}

fn asks() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::Ask(Ask::Pause)),
        6 => Just(Fault::Ask(Ask::Resume)),
        4 => Just(Fault::Ask(Ask::Undo)),
        1 => Just(Fault::Ask(Ask::Rollback)),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    (0_u32..3, 1_u32..4, 0_u32..3, any::<bool>()).prop_map(|(start, replicas, templates, service)| Shape {
        start,
        replicas,
        templates,
        service,
    })
}

fn inflict(world: &mut World, fault: Fault) {
    match fault {
        Fault::Down(of) => {
            world.deliver_down(NAMES[of]);
        }
        Fault::Up(of) => {
            world.deliver_up(NAMES[of]);
        }
        Fault::Settle => world.settle(),
        Fault::Attach(of) => world.attach(NAMES[of]),
        Fault::Detach(of) => world.detach(NAMES[of]),
        Fault::KillAgent(of) => world.kill_agent(NAMES[of]),
        Fault::KillController => world.kill_controller(),
        Fault::Wake => {
            if let Some(at) = world.wake_at {
                world.now = at;
            }
            world.step(Input::Timer);
        }
        Fault::Pass(ms) => world.now = world.now.plus(ms),
        Fault::Repeat(of) => {
            let cluster = name(NAMES[of]);
            let said: Vec<_> = world.clusters[&cluster].agent.said.clone();
            for outcome in said {
                world.say_outcome(&cluster, outcome);
            }
        }
        Fault::MirrorFails(of) => world.cluster(NAMES[of]).mirror_fails = true,
        Fault::PodUnready(of, at, ready) => {
            let nth = at as usize;
            if let Some(pod) = world.cluster(NAMES[of]).pods.values_mut().nth(nth) {
                pod.ready = ready;
            }
            world.say_endpoints(&name(NAMES[of]));
        }
        Fault::ReplacePod(of, at) => {
            let cluster = world.cluster(NAMES[of]);
            if let Some(ordinal) = cluster.pods.keys().nth(at as usize).copied() {
                // Deleted by somebody, made again by the cluster, under another UID and address.
                cluster.pods.remove(&ordinal);
                if cluster.set.as_ref().is_some_and(|set| set.slice.contains(ordinal)) {
                    cluster.run_pod(ordinal);
                }
            }
            world.say_endpoints(&name(NAMES[of]));
        }
        Fault::Ask(asked) => {
            // Refused or not, the referee looks on.
            let _ = world.control(asked);
        }
        Fault::Late(of, nth) => world.carry_out_late(NAMES[of], nth),
        Fault::Mood(of, mood) => world.cluster(NAMES[of]).agent.mood = mood,
    }
}

/// Nobody harms anything any more; what was broken is repaired.
fn calm(world: &mut World) {
    for of in NAMES {
        let cluster = world.cluster(of);
        cluster.agent.mood = Mood::Honest;
        cluster.mirror_fails = false;
        for pod in cluster.pods.values_mut() {
            pod.ready = true;
        }
        cluster.run_missing_pods();
    }
    world.attach_all();
}

fn cross(mut world: World, order: Order, faults: &[Fault]) -> World {
    world.begin("east", "west", order);
    for fault in faults {
        inflict(&mut world, *fault);
    }
    calm(&mut world);
    world.run_until("the end", |world| world.migration().phase.is_over());
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn faults_break_nothing_and_everything_ends(
        shape in shape(),
        lowest in any::<bool>(),
        faults in prop::collection::vec(fault(), 0..120),
    ) {
        let order = if lowest { Order::LowestFirst } else { Order::HighestFirst };
        let mut world = cross(World::new(shape), order, &faults);
        let all: Vec<u32> = Slice::new(shape.start, shape.replicas).ordinals().collect();
        let migration = world.migration().clone();
        let (there, gone) = match migration.phase {
            Phase::Completed => ("west", "east"),
            Phase::Refused => ("east", "west"),
            other => panic!("it ended {other:?}"),
        };
        let runs: Vec<u32> = world.cluster(there).pods.keys().copied().collect();
        prop_assert_eq!(runs, all);
        prop_assert!(world.cluster(gone).pods.is_empty());
        if migration.phase == Phase::Completed {
            prop_assert!(world.cluster(gone).pvs.is_empty());
            prop_assert_eq!(migration.message, "");
        } else {
            let refuses = |fault: &Fault| matches!(fault, Fault::Mood(_, Mood::Refuse(_)));
            prop_assert!(faults.iter().any(refuses), "refused for no reason: {}", migration.message);
        }
        let disks = world.cluster(there).pvs.len();
        prop_assert_eq!(disks, (shape.replicas * shape.templates) as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_people_ask_meanwhile_nothing_breaks_and_everything_ends(
        shape in shape(),
        lowest in any::<bool>(),
        faults in prop::collection::vec(prop_oneof![6 => fault(), 1 => asks()], 0..150),
    ) {
        let order = if lowest { Order::LowestFirst } else { Order::HighestFirst };
        let mut world = World::new(shape);
        world.begin("east", "west", order);
        for fault in &faults {
            inflict(&mut world, *fault);
        }
        calm(&mut world);
        world.run_until("an end or a pause", |world| {
            world.migration().phase.is_over() || world.migration().control.stopped
        });
        if world.migration().control.stopped {
            prop_assert_eq!(world.control(Ask::Resume), Ok(()));
            world.run_until("the end", |world| world.migration().phase.is_over());
        }
        let all: Vec<u32> = Slice::new(shape.start, shape.replicas).ordinals().collect();
        let (there, gone) = match world.migration().phase {
            Phase::Completed => ("west", "east"),
            _ => ("east", "west"),
        };
        let runs: Vec<u32> = world.cluster(there).pods.keys().copied().collect();
        prop_assert_eq!(runs, all);
        let left = world.cluster(gone);
        prop_assert!(left.pods.is_empty() && left.pvs.is_empty());
        let disks = world.cluster(there).pvs.len();
        prop_assert_eq!(disks, (shape.replicas * shape.templates) as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replay_from_every_snapshot_gives_the_same_bytes(
        faults in prop::collection::vec(fault(), 0..25),
    ) {
        let mut world = World::new(Shape { start: 1, replicas: 2, templates: 1, service: true });
        world.keep_snapshots = true;
        cross(world, Order::HighestFirst, &faults).replay_from_every_snapshot();
    }
}

/// Each command ends badly after each of its writes, once, in each order: the next attempt goes on.
fn every_command_ends(mood: impl Fn(usize) -> Mood) {
    for order in [Order::HighestFirst, Order::LowestFirst] {
        for of in NAMES {
            for nth in 1..12 {
                for writes in 0..6 {
                    let mut world = World::new(Shape { start: 2, replicas: 2, templates: 2, service: true });
                    world.begin("east", "west", order);
                    world.mood_on(of, nth, mood(writes));
                    for _ in 0..50 {
                        world.settle();
                        world.attach_all();
                        let Some(at) = world.wake_at else { continue };
                        world.now = at;
                        world.step(Input::Timer);
                    }
                    assert_eq!(world.migration().phase, Phase::Completed, "{of} {nth} {writes}");
                    assert!(world.cluster("east").pvs.is_empty(), "{of} {nth} {writes}");
                }
            }
        }
    }
}

#[test]
fn every_command_may_die_after_every_write() {
    every_command_ends(Mood::DieAfter);
}

#[test]
fn every_command_may_end_unknown_after_every_write() {
    every_command_ends(Mood::UnknownAfter);
}

#[test]
fn every_command_may_be_refused_once() {
    every_command_ends(|_| Mood::Refuse(RefusalCode::NotReady));
}

#[test]
fn h32_a_release_that_found_another_pod_is_held_anew() {
    let mut world = World::new(Shape { start: 0, replicas: 2, templates: 1, service: true });
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("release");
    inflict(&mut world, Fault::ReplacePod(0, 1));
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed);
}

#[test]
fn a_release_that_had_begun_after_all_goes_on() {
    let mut world = World::new(Shape { start: 0, replicas: 2, templates: 1, service: true });
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("release");
    // The slice is patched, and nobody knows; then the agent declines although it has begun.
    world.mood_on("east", 1, Mood::UnknownAfter(2));
    world.settle();
    world.mood_on("east", 1, Mood::Refuse(RefusalCode::NotReady));
    world.run_until("the second look", |world| world.verbs("east").contains(&"hold"));
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed);
}

#[test]
fn the_controller_may_die_between_any_two_messages() {
    for nth in 0..140 {
        let mut world = World::new(Shape { start: 0, replicas: 2, templates: 1, service: true });
        world.begin("east", "west", Order::LowestFirst);
        let mut left = nth;
        while left > 0 {
            let moved = NAMES.iter().any(|of| world.deliver_down(of) || world.deliver_up(of));
            if !moved {
                let Some(at) = world.wake_at else { break };
                world.now = at;
                world.step(Input::Timer);
            }
            left -= 1;
        }
        world.kill_controller();
        world.attach_all();
        world.run_until("the end", |world| world.migration().phase.is_over());
        assert_eq!(world.migration().phase, Phase::Completed, "killed after {nth} messages");
    }
}
