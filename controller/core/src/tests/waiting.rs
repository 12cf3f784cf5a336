//! What a migration waits for, what it says meanwhile, and what it does not do until then.
//!
//! Holds that differ, replicas that are down, disks that are usable twice, endpoints that are not everywhere yet,
//! resolvers that remember: each withholds the next command for as long as it lasts, says why, and goes on by itself
//! when it is over. Times are asserted where a bound of `limits` is meant.

use super::world::{Cluster, PLAIN, Shape, World, name};
use crate::facts::RefusalCode;
use crate::migration::Ask;
use crate::{CommandBody, Input, Order, Phase, limits};

use super::world::Mood;

fn begun(shape: Shape) -> World {
    let mut world = World::new(shape);
    world.begin("east", "west", Order::HighestFirst);
    world
}

fn count(world: &World, verb: &str) -> usize {
    world.sent.iter().filter(|(_, command)| command.body.verb() == verb).count()
}

fn completes(mut world: World) {
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed);
}

/// Wakes it at each timer for that long.
fn pass(world: &mut World, ms: u64) {
    let end = world.now.plus(ms);
    world.settle();
    while let Some(at) = world.wake_at.filter(|at| *at <= end) {
        world.now = at;
        world.step(Input::Timer);
        world.settle();
    }
    world.now = end;
    world.step(Input::Timer);
    world.settle();
}

#[test]
fn h15_templates_that_differ_pause_before_the_release() {
    let mut world = begun(PLAIN);
    world.cluster("west").template = "drifted".to_owned();
    pass(&mut world, 600_000);
    assert_eq!((world.migration().phase, count(&world, "release")), (Phase::Paused, 0));
    assert!(world.migration().message.contains("the pod templates differ"), "{}", world.migration().message);
    assert!(count(&world, "hold") <= 2 * 22, "asked every half minute, not more: {}", count(&world, "hold"));
    world.cluster("west").template = world.clusters[&name("east")].template.clone();
    completes(world);
}

#[test]
fn a_replica_that_is_down_delays_the_next_one() {
    let mut world = begun(PLAIN);
    world.cluster("east").pods.get_mut(&0).unwrap().ready = false;
    pass(&mut world, 590_000);
    assert_eq!((world.migration().phase, count(&world, "release")), (Phase::Running, 0));
    assert!(world.migration().message.contains("2 of 3 replicas"), "{}", world.migration().message);
    assert!(count(&world, "hold") < 80, "pauses grow: {}", count(&world, "hold"));
    world.cluster("east").pods.get_mut(&0).unwrap().ready = true;
    completes(world);
}

#[test]
fn a_hold_that_grew_old_is_made_again() {
    let mut world = begun(PLAIN);
    world.run_until_sent("hold");
    world.deliver_down("east");
    world.settle_only("east");
    assert_eq!(count(&world, "hold"), 2);
    world.now = world.now.plus(limits::HELD_FRESH_MS + 1);
    world.deliver_all("west");
    assert_eq!((count(&world, "hold"), count(&world, "release")), (3, 0), "the source is held again");
    completes(world);
}

#[test]
fn a_volume_usable_twice_stops_the_next_ordinal_and_is_shown() {
    let mut world = begun(PLAIN);
    world.run_until("one ordinal has moved", |world| world.migration().ordinals[0].step == 14);
    let mut stray = world.clusters[&name("north")].inventory();
    let shown = world.clusters[&name("east")].inventory().volumes[0].clone();
    stray.volumes = vec![shown];
    let session = world.links[&name("north")].session.unwrap();
    let said = Input::Inventory { cluster: name("north"), session, inventory: Box::new(stray.clone()) };
    world.step(said);
    pass(&mut world, 120_000);
    let began = world.migration().ordinals.iter().filter(|of| of.started_at.is_some()).count();
    assert!(began < 3, "{:?}", world.migration());
    assert!(world.migration().message.contains("usable in east"), "{}", world.migration().message);
    let reply = world.answer(crate::Request::ListVolumes(crate::input::VolumeFilter::default()));
    let crate::Reply::Volumes(volumes) = reply else { panic!() };
    let conflict: Vec<_> = volumes.iter().filter(|of| of.state == "conflict").collect();
    assert_eq!(conflict.len(), 1);
    assert!(conflict[0].message.contains("east") && conflict[0].message.contains("north"));
    let asked = crate::input::PlanRequest {
        workload: super::world::db(),
        from: Some(name("east")),
        to: name("west"),
        order: Order::HighestFirst,
        ..crate::input::PlanRequest::default()
    };
    let crate::Reply::Planned(plan) = world.answer(crate::Request::CreatePlan(asked)) else { panic!() };
    assert!(plan.findings.iter().any(|finding| finding.code == "P-volume-conflict"));
    world.say_inventory(&name("north"));
    completes(world);
}

#[test]
fn a_guard_that_somebody_took_away_pauses_the_migration_once() {
    let mut world = begun(PLAIN);
    world.run_until("one ordinal has moved", |world| world.migration().ordinals[0].step == 14);
    let message = "the binding was deleted".to_owned();
    let fault = crate::facts::GuardFault { workload: super::world::db(), message };
    world.cluster("west").guard_faults.push(fault);
    world.say_inventory(&name("west"));
    pass(&mut world, 120_000);
    let shown = world.migration().clone();
    assert!(shown.control.paused.is_some(), "{shown:?}");
    assert!(shown.message.contains("the guard of west (the binding was deleted)"), "{}", shown.message);
    assert!(shown.ordinals.iter().filter(|of| of.step == 14).count() < 3, "{shown:?}");
    world.control(crate::migration::Ask::Resume).unwrap();
    assert!(world.migration().control.paused.is_none(), "told already: {}", world.migration().message);
    completes(world);
}

#[test]
fn a_disk_that_another_workload_uses_elsewhere_does_not_go_on() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    let mut stray = world.clusters[&name("north")].inventory();
    let mut shown = world.clusters[&name("east")].inventory().volumes[2].clone();
    shown.workload = crate::Workload::new("lab", "other");
    stray.volumes = vec![shown];
    let session = world.links[&name("north")].session.unwrap();
    world.step(Input::Inventory { cluster: name("north"), session, inventory: Box::new(stray) });
    pass(&mut world, 120_000);
    assert_eq!(count(&world, "adopt"), 0, "I1: {}", world.migration().message);
    assert!(world.migration().message.contains("usable in cluster north"), "{}", world.migration().message);
    world.say_inventory(&name("north"));
    completes(world);
}

#[test]
fn resolvers_get_their_time_before_the_source_forgets() {
    let mut world = begun(Shape { replicas: 1, ..PLAIN });
    world.run_until("step 11", |world| world.migration().ordinals[0].step == 11 && world.wake_at.is_some());
    let until = world.now.plus(5_000);
    assert_eq!(world.wake_at, Some(until));
    world.now = crate::Millis(until.0 - 1);
    world.step(Input::Timer);
    assert_eq!(count(&world, "retire"), 0);
    world.now = until;
    world.step(Input::Timer);
    assert_eq!(count(&world, "retire"), 1);
    completes(world);
}

#[test]
fn a_mirror_that_fails_holds_the_gate_and_is_sent_again() {
    let mut world = begun(Shape { replicas: 1, ..PLAIN });
    world.cluster("east").mirror_fails = true;
    let before = world.now;
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert!(world.now.since(before) >= limits::MIRROR_RETRY_MS + 5_000);
    assert_eq!(world.migration().phase, Phase::Completed);
}

#[test]
fn h21_a_pod_that_is_not_ready_holds_the_gate() {
    let mut world = begun(Shape { replicas: 1, ..PLAIN });
    world.cluster("west").starts_ready = false;
    pass(&mut world, 60_000);
    assert_eq!(count(&world, "retire"), 0);
    assert!(world.migration().message.contains("pod db-0 to be Ready"), "{}", world.migration().message);
    world.cluster("west").pods.get_mut(&0).unwrap().ready = true;
    world.say_endpoints(&name("west"));
    completes(world);
}

#[test]
fn h20_a_cluster_that_has_not_mirrored_yet_holds_the_gate() {
    let mut world = begun(Shape { replicas: 1, ..PLAIN });
    world.run_until_sent("adopt");
    world.deliver_all("east");
    world.deliver_all("west");
    for _ in 0..5 {
        world.now = world.now.plus(60_000);
        world.step(Input::Timer);
        world.deliver_all("west");
    }
    assert_eq!(count(&world, "retire"), 0, "the source still resolves the ordinal as it was");
    let message = &world.migration().message;
    assert!(message.contains("waits for cluster east to mirror"), "{message}");
    completes(world);
}

#[test]
fn h20_an_address_of_before_holds_the_gate() {
    let mut world = begun(Shape { replicas: 1, ..PLAIN });
    world.run_until_sent("release");
    let address = world.cluster("east").pods[&0].address.clone();
    world.cluster("east").stray_address = Some(address);
    pass(&mut world, 60_000);
    assert_eq!(count(&world, "retire"), 0);
    assert!(world.migration().message.contains("the old address"), "{}", world.migration().message);
    world.cluster("east").stray_address = None;
    world.say_endpoints(&name("east"));
    completes(world);
}

#[test]
fn a_cluster_that_is_away_is_waited_for_and_named() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    world.detach("east");
    assert!(world.migration().message.contains("waits for cluster east"), "{}", world.migration().message);
    assert_eq!(world.migration().phase, Phase::Running);
    let (ledger, sent) = (world.core.state().ledger.clone(), world.sent.len());
    pass(&mut world, 3_600_000);
    let same = (&world.core.state().ledger, world.sent.len()) == (&ledger, sent);
    assert!(same, "nothing is decided about a cluster that is away (I8)");
    assert!(world.migration().message.contains("takes longer than its deadline"), "people are told");
    world.attach("east");
    completes(world);
}

#[test]
fn a_release_that_waited_for_its_agent_is_not_sent_on_old_holds() {
    let mut world = begun(PLAIN);
    while count(&world, "release") < 2 {
        if !["west", "east"].iter().any(|of| world.deliver_down(of) || world.deliver_up(of)) {
            world.now = world.wake_at.unwrap();
            world.step(Input::Timer);
        }
    }
    world.kill_agent("east");
    world.cluster("west").pods.get_mut(&2).unwrap().ready = false;
    world.now = world.now.plus(limits::HELD_FRESH_MS + 1);
    world.attach("east");
    pass(&mut world, 600_000);
    assert_eq!(world.clusters[&name("east")].pods.len(), 2, "I4: two of three would be down");
    assert!(world.migration().message.contains("2 of 3 replicas"), "{}", world.migration().message);
    world.cluster("west").pods.get_mut(&2).unwrap().ready = true;
    completes(world);
}

#[test]
fn a_release_that_had_begun_goes_on_however_old_its_holds() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    // Two writes: the epoch is kept, the slice is without the ordinal.
    world.cluster("east").agent.mood = Mood::DieAfter(2);
    world.deliver_all("east");
    assert_eq!(world.clusters[&name("east")].set.as_ref().unwrap().slice.replicas, 2);
    world.now = world.now.plus(3_600_000);
    world.attach("east");
    completes(world);
}

#[test]
fn a_second_look_that_finds_a_replica_down_does_not_stop_another_one() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    world.cluster("east").agent.mood = Mood::Refuse(RefusalCode::NotReady);
    world.deliver_all("east");
    let released = count(&world, "release");
    // The second look refuses too: something is not ready there.
    for _ in 0..5 {
        world.cluster("east").agent.mood = Mood::Refuse(RefusalCode::NotReady);
        world.now = world.wake_at.unwrap();
        world.step(Input::Timer);
        world.deliver_all("east");
    }
    assert_eq!(count(&world, "release"), released, "I4: it is not asked for while the look fails");
    completes(world);
}

#[test]
fn refusals_are_asked_again_with_growing_pauses() {
    let mut world = begun(PLAIN);
    world.run_until_sent("adopt");
    let mut pauses = Vec::new();
    for _ in 0..7 {
        world.cluster("west").agent.mood = Mood::Refuse(RefusalCode::NotReady);
        world.settle();
        let at = world.wake_at.unwrap();
        pauses.push(at.since(world.now));
        world.now = at;
        world.step(Input::Timer);
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    assert_eq!(world.migration().phase, Phase::Running);
    world.cluster("west").agent.mood = Mood::Refuse(RefusalCode::Denied);
    world.settle();
    assert_eq!(world.migration().phase, Phase::Paused);
    assert_eq!(world.wake_at, Some(world.now.plus(limits::RETRY_LONGEST_MS)));
    let ids: std::collections::BTreeSet<_> =
        world.sent.iter().map(|(_, command)| command.id.clone()).collect();
    assert_eq!(ids.len(), world.sent.len(), "each attempt has an id of its own");
    completes(world);
}

#[test]
fn an_unknown_is_neither_success_nor_failure() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    world.cluster("east").agent.mood = Mood::UnknownAfter(99);
    world.settle();
    assert_eq!(count(&world, "adopt"), 0);
    assert!(world.migration().message.contains("it is not known whether it was done"));
    completes(world);
}

#[test]
fn a_clock_that_is_set_back_delays_no_attempt() {
    let mut world = begun(PLAIN);
    world.run_until_sent("release");
    world.cluster("east").agent.mood = Mood::UnknownAfter(99);
    world.settle();
    let attempts = count(&world, "release");
    world.now = crate::Millis(1);
    world.step(Input::Timer);
    world.settle();
    assert!(count(&world, "release") > attempts, "asked again at once, not an hour later");
}

#[test]
fn h16_budgets_never_add_up_to_more_than_d() {
    for order in [Order::HighestFirst, Order::LowestFirst] {
        let mut world = World::new(Shape { replicas: 4, ..PLAIN });
        world.cluster("east").budget = 2;
        world.cross("east", "west", order);
        // What each cluster's PodDisruptionBudget allows, as the commands come.
        let (mut east, mut west) = (0, 0);
        for (cluster, command) in &world.sent {
            let allowed = match &command.body {
                CommandBody::Hold { max_unavailable, .. } | CommandBody::Settle { max_unavailable, .. } => {
                    *max_unavailable
                }
                CommandBody::Release { .. } => {
                    assert_eq!((east, west), (0, 0), "both hold while one moves");
                    continue;
                }
                _ => continue,
            };
            if cluster.as_str() == "east" {
                east = allowed
            } else {
                west = allowed
            }
            assert!(east + west <= 2, "{east} + {west}");
        }
        assert_eq!((east, west), (0, 2));
    }
}

#[test]
fn h18_epochs_rise_above_what_clusters_keep() {
    let mut world = World::new(PLAIN);
    let keep = |cluster: &mut Cluster, epoch| {
        cluster.kept.extend((0..3).map(|ordinal| (ordinal, epoch)));
    };
    keep(world.cluster("east"), 4);
    keep(world.cluster("west"), 9);
    world.cross("east", "west", Order::HighestFirst);
    assert_eq!(world.epochs_used.iter().map(|(_, epoch)| *epoch).collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn endpoints_go_only_where_the_service_is_governed() {
    let mut world = begun(PLAIN);
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert!(world.clusters[&name("north")].mirrored.is_empty());
    assert_eq!(world.clusters[&name("east")].mirrored[&name("west")].len(), 3);
    assert_eq!(world.clusters[&name("west")].mirrored[&name("east")].len(), 0);
    let log = world.log.len();
    world.say_endpoints(&name("east"));
    world.settle();
    assert_eq!(world.log.len(), log, "endpoints are volatile");
}

#[test]
fn a_settlement_names_what_clusters_keep_now() {
    let mut world = World::new(PLAIN);
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("retire");
    for cluster in ["east", "west"] {
        world.cluster(cluster).kept.insert(0, 9);
        world.detach(cluster);
    }
    world.attach_all();
    // It is the next hold that is of the past, and who resumes gives that a new epoch.
    world.run_until("the pause", |world| world.migration().phase == Phase::Paused);
    assert!(world.migration().ordinals[1].ended_at.is_some(), "{:?}", world.migration());
    world.control(Ask::Resume).unwrap();
    completes(world);
}
