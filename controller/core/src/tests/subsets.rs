//! Some of the ordinals now, the rest later; the ending; deadlines; what is left in the audit log.
//!
//! A subset is a migration like any other, so the referee and the ledger's own checks look on. What is asserted besides is
//! what people are told: where a plan begins, what a certificate says, which step takes too long, who did what.
//! What admins say of storage is here too, because it is plans that it changes.

use super::world::{Cluster, PLAIN, Shape, World, db, name};
use crate::input::{PlanRequest, Request};
use crate::migration::Ask;
use crate::{Entry, Input, OnFailure, Order, Ordinal, Phase, Plan, Rejection, Reply};

const FOUR: Shape = Shape { start: 1, replicas: 4, templates: 1, service: true };

fn planned(world: &mut World, asked: PlanRequest) -> Plan {
    world.attach_all();
    world.settle();
    match world.answer(Request::CreatePlan(asked)) {
        Reply::Planned(plan) => *plan,
        other => panic!("no plan: {other:?}"),
    }
}

fn of(ordinals: &[Ordinal], order: Order) -> PlanRequest {
    PlanRequest {
        workload: db(),
        to: name("west"),
        order,
        ordinals: ordinals.to_vec(),
        ..PlanRequest::default()
    }
}

fn start(world: &mut World, asked: PlanRequest) {
    let plan = planned(world, asked);
    let hash = plan.hash.clone().unwrap_or_else(|| panic!("refused: {:?}", plan.findings));
    let request = world.start(&hash);
    while !world.replies.contains_key(&request) {
        assert!(world.advance());
    }
}

fn ends(world: &mut World) -> Phase {
    world.run_until("the end", |world| world.migration().phase.is_over());
    world.migration().phase
}

fn runs(cluster: &Cluster) -> Vec<Ordinal> {
    cluster.pods.keys().copied().collect()
}

fn finish(world: &mut World, id: &str, accept: bool) -> Result<crate::Certificate, &'static str> {
    let body = Request::FinishMigration { id: id.into(), accept, by: "ann".to_owned() };
    match world.answer(body) {
        Reply::Migration(migration) => Ok(*migration.certificate.expect("a certificate")),
        Reply::Rejected(rejection) => Err(rejection.code()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subset_begins_where_its_order_does() {
    let mut world = World::new(FOUR);
    for (ordinals, order, moves) in [
        (&[4][..], Order::HighestFirst, Some(vec![4])),
        (&[3, 4], Order::HighestFirst, Some(vec![4, 3])),
        (&[1, 2], Order::LowestFirst, Some(vec![1, 2])),
        (&[1, 2, 3, 4], Order::LowestFirst, Some(vec![1, 2, 3, 4])),
        (&[3], Order::HighestFirst, None),
        (&[1], Order::HighestFirst, None),
        (&[2, 4], Order::HighestFirst, None),
        (&[4, 5], Order::HighestFirst, None),
    ] {
        let plan = planned(&mut world, of(ordinals, order));
        match moves {
            Some(moves) => assert_eq!((plan.ordinals, plan.hash.is_some()), (moves, true)),
            None => assert_eq!((plan.findings[0].code.as_str(), plan.hash), ("P-ordinals", None)),
        }
    }
    let all = planned(&mut world, of(&[], Order::HighestFirst)).hash;
    assert_eq!(planned(&mut world, of(&[1, 2, 3, 4], Order::HighestFirst)).hash, all);
    assert_ne!(planned(&mut world, of(&[4], Order::HighestFirst)).hash, all);
}

#[test]
fn the_rest_follows_later_or_comes_back_alone() {
    for (order, first, rest) in [(Order::HighestFirst, [3, 4], [1, 2]), (Order::LowestFirst, [1, 2], [3, 4])]
    {
        let mut world = World::new(FOUR);
        start(&mut world, of(&first, order));
        assert_eq!(ends(&mut world), Phase::Completed);
        assert_eq!(
            (runs(world.cluster("east")), runs(world.cluster("west"))),
            (rest.to_vec(), first.to_vec())
        );
        assert_eq!(finish(&mut world, "db-1", false), Err("not-completed"));
        // The other edge of what is left does not touch what has moved.
        let other = if order == Order::HighestFirst { Order::LowestFirst } else { Order::HighestFirst };
        let plan = planned(&mut world, of(&[], other));
        assert_eq!((plan.findings[0].code.as_str(), plan.from), ("P-not-adjacent", name("east")));
        start(&mut world, of(&[], order));
        world.run_until("one more has moved", |world| world.migration().ordinals[0].step == 14);
        assert_eq!(world.control(Ask::Rollback), Ok(()));
        assert_eq!(ends(&mut world), Phase::RolledBack);
        assert_eq!(
            (runs(world.cluster("east")), runs(world.cluster("west"))),
            (rest.to_vec(), first.to_vec())
        );
        start(&mut world, of(&[], order));
        assert_eq!(ends(&mut world), Phase::Completed);
        assert_eq!(runs(world.cluster("west")), [1, 2, 3, 4]);
        let last = world.migration().id.to_string();
        assert!(finish(&mut world, &last, false).unwrap().found.stateful_set_gone);
        assert_eq!(world.cluster("east").tombstones().len(), 4);
        // Those of the first part too, which the last migration never moved.
        assert_eq!(finish(&mut world, &last, true).unwrap().found.tombstones, [""; 0]);
    }
}

#[test]
fn a_finish_is_certified_repeatable_and_in_nobodys_way() {
    let mut world = World::new(PLAIN);
    world.begin("east", "west", Order::HighestFirst);
    assert_eq!(finish(&mut world, "db-9", false), Err("migration-unknown"));
    let early = Request::FinishMigration { id: "db-1".into(), accept: false, by: "ann".to_owned() };
    let early = world.ask(early);
    assert_eq!(world.replies.remove(&early).map(|reply| code(&reply)), Some("not-completed"));
    assert_eq!(ends(&mut world), Phase::Completed);
    world.detach("east");
    assert_eq!(finish(&mut world, "db-1", false), Err("cluster-not-attached"));
    world.attach("east");
    world.settle();
    let first = finish(&mut world, "db-1", false).unwrap();
    assert_eq!(
        (first.by.as_str(), first.found.stateful_set_gone, first.found.accepted),
        ("ann", true, false)
    );
    assert_eq!(first.found.tombstones.len(), 3);
    assert!(world.cluster("east").governed, "the mirror stays until somebody accepts");
    let last = finish(&mut world, "db-1", true).unwrap();
    assert_eq!((last.found.accepted, last.found.tombstones.len()), (true, 0));
    assert!(!world.cluster("east").governed);
    assert_eq!(world.migration().certificate.as_deref(), Some(&last));
    let numbers: Vec<u64> = world
        .sent
        .iter()
        .filter(|(of, command)| of.as_str() == "east" && command.migration.is_some())
        .map(|(_, command)| command.id.as_str().rsplit('/').next().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "a cluster keeps the latest number and takes none below: {numbers:?}");
    world.cross("west", "east", Order::LowestFirst);
    assert_eq!(finish(&mut world, "db-1", false), Err("not-completed"), "a later one moved it on");
}

fn code(reply: &Reply) -> &'static str {
    match reply {
        Reply::Rejected(rejection) => rejection.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_finish_that_is_out_survives_restarts_and_holds_the_next_start_back() {
    let mut world = World::new(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    let back = PlanRequest { workload: db(), to: name("east"), ..PlanRequest::default() };
    let hash = planned(&mut world, back).hash.unwrap();
    let body = Request::FinishMigration { id: "db-1".into(), accept: false, by: "ann".to_owned() };
    let waits = world.ask(body.clone());
    world.kill_agent("east");
    assert_eq!(world.replies.remove(&waits).map(|reply| code(&reply)), Some("cluster-not-attached"));
    world.kill_controller();
    world.attach("west");
    world.settle();
    let started = world.start(&hash);
    assert_eq!(world.replies.remove(&started).map(|reply| code(&reply)), Some("busy"));
    world.attach("east");
    world.settle();
    assert!(world.migration().certificate.is_some(), "it was sent again, and done");
    assert!(world.cluster("east").set.is_none());
    let waits = world.ask(body);
    world.now = world.wake_at.unwrap();
    world.step(Input::Timer);
    assert_eq!(world.replies.remove(&waits).map(|reply| code(&reply)), Some("cluster-silent"));
}

#[test]
fn a_step_that_takes_too_long_is_said_and_goes_on_by_itself() {
    let mut world = World::new(PLAIN);
    let late = PlanRequest { deadlines: [(10, 60_000)].into(), ..of(&[], Order::HighestFirst) };
    for (step, ms) in [(10, 1), (1, 60_000), (99, 60_000)] {
        let asked = PlanRequest { deadlines: [(step, ms)].into(), ..late.clone() };
        assert_eq!(code(&world.answer(Request::CreatePlan(asked))), "invalid");
    }
    let plan = planned(&mut world, late.clone());
    assert_eq!((plan.deadlines[&10], plan.deadlines[&11]), (60_000, 600_000));
    start(&mut world, late);
    world.run_until_sent("adopt");
    let adopt = world.sent.last().unwrap().1.id.clone();
    let session = world.links[&name("west")].session.unwrap();
    let progress = crate::facts::Progress {
        command_id: adopt,
        step: 10,
        state: crate::facts::StepState::Waiting,
        message: "pod db-2 to be scheduled".to_owned(),
    };
    world.step(Input::Progress { cluster: name("west"), session, progress });
    assert_eq!(world.migration().phase, Phase::Running);
    assert_eq!(world.wake_at, Some(world.now.plus(60_000)));
    world.now = world.wake_at.unwrap();
    world.step(Input::Timer);
    let told = world.migration();
    assert_eq!(told.phase, Phase::Paused);
    for words in ["step 10 (start)", "1 min", "pod db-2 to be scheduled", "ferry rollback db-1"] {
        assert!(told.message.contains(words), "{}", told.message);
    }
    assert_eq!(ends(&mut world), Phase::Completed);
}

#[test]
fn a_late_newcomer_goes_back_by_itself_where_the_plan_says_so_and_nothing_else_does() {
    let late = |on_failure| PlanRequest {
        deadlines: [(3, 60_000), (5, 60_000), (10, 60_000)].into(),
        on_failure,
        ..of(&[], Order::HighestFirst)
    };
    let mut world = World::new(PLAIN);
    let hash = |world: &mut World, policy| planned(world, late(policy)).hash.unwrap();
    let (pause, rollback) = (hash(&mut world, OnFailure::Pause), hash(&mut world, OnFailure::Rollback));
    assert_ne!(pause, rollback, "what was approved is what runs");
    let plan = planned(&mut world, late(OnFailure::Rollback));
    assert_eq!(plan.on_failure, OnFailure::Rollback);
    start(&mut world, late(OnFailure::Rollback));
    world.run_until_sent("release");
    world.now = world.now.plus(61_000);
    world.step(Input::Timer);
    assert!(world.migration().control.undo.is_none(), "who knows whether the source's writer is gone");
    world.run_until_sent("adopt");
    let (_, adopt) = world.sent.last().unwrap().clone();
    let session = world.links[&name("west")].session.unwrap();
    let progress = crate::facts::Progress {
        command_id: adopt.id,
        step: 10,
        state: crate::facts::StepState::Waiting,
        message: "pod db-2 to be scheduled".to_owned(),
    };
    world.step(Input::Progress { cluster: name("west"), session, progress });
    world.now = world.now.plus(60_000);
    world.step(Input::Timer);
    let by = world.migration().control.undo.as_ref().map(|asked| asked.by.clone());
    let why = "the plan's policy (step 10, start, passed its deadline)";
    assert_eq!(by.as_deref(), Some(why));
    world.run_until_sent("fence");
    world.run_until("a pause", |world| world.migration().control.stopped);
    let told = world.migration().clone();
    assert_eq!(told.phase, Phase::Paused);
    assert!(told.message.contains(why) && told.message.contains("ferry resume db-1"), "{}", told.message);
    assert!(world.cluster("east").pods.contains_key(&2), "it runs where it ran");
    let audited = world.log.iter().any(|entry| {
        matches!(entry, Entry::Audited(of) if of.action == "rollback-migration" && of.message.ends_with(why))
    });
    assert!(audited);
    assert_eq!(world.control(Ask::Resume), Ok(()));
    assert_eq!(ends(&mut world), Phase::Completed);
}

#[test]
fn every_change_is_in_the_audit_log_and_no_look_is() {
    let mut world = World::new(Shape { replicas: 1, ..PLAIN });
    world.begin("east", "west", Order::HighestFirst);
    world.run_until_sent("adopt");
    assert_eq!(world.control(Ask::Resume), Err("not-paused"));
    assert_eq!(world.control(Ask::Undo), Ok(()));
    world.run_until("a pause", |world| world.migration().control.stopped);
    assert_eq!(world.control(Ask::Resume), Ok(()));
    assert_eq!(ends(&mut world), Phase::Completed);
    let told: Vec<String> = world
        .log
        .iter()
        .filter_map(|entry| match entry {
            Entry::Audited(of) => Some(format!("{} {} {} {}", of.by, of.action, of.result, of.message)),
            _ => None,
        })
        .collect();
    let ends_with = |nth: usize, words: &str| assert!(told[nth].ends_with(words), "{nth}: {told:?}");
    assert!(told[0].starts_with("ann start-migration done plan "), "{}", told[0]);
    ends_with(1, "releasing east to west, epoch 2");
    ends_with(2, "granted west, epoch 2");
    assert!(told[3].starts_with("ann resume-migration not-paused "), "{}", told[3]);
    let rest: Vec<&str> = told[4..].iter().map(String::as_str).collect();
    assert_eq!(
        rest,
        [
            "controller owner-changed done west is fenced, epoch 3",
            "ann rollback-migration done the ordinal in flight",
            "controller owner-changed done reclaiming east, epoch 3",
            "controller owner-changed done owned by east, epoch 3",
            "controller owner-changed done releasing east to west, epoch 4",
            "ann resume-migration done ",
            "controller owner-changed done granted west, epoch 4",
            "controller owner-changed done owned by west, epoch 4",
        ]
    );
}

#[test]
fn a_domain_is_another_identity_and_waits_for_what_moves() {
    let mut world = World::new(PLAIN);
    world.attach_all();
    world.settle();
    let set = |world: &mut World, cluster: &str, domain: &str| {
        let set = crate::StorageDomain {
            cluster: name(cluster),
            driver: "array.csi.test".to_owned(),
            domain: domain.to_owned(),
        };
        world.answer(Request::SetStorageDomain { set, by: "ann".to_owned() })
    };
    set(&mut world, "east", "array-1");
    let ids: Vec<String> = world.core.state().ledger.volumes.keys().map(|id| id.domain.clone()).collect();
    assert_eq!(ids, ["array-1"; 3]);
    // The same driver and handle on another array is another disk: no conflict.
    let shown = world.clusters[&name("east")].inventory();
    let session = world.links[&name("north")].session.unwrap();
    world.step(Input::Inventory { cluster: name("north"), session, inventory: Box::new(shown) });
    assert_eq!(world.core.state().ledger.volumes.len(), 6);
    assert!(world.core.state().ledger.conflicts(&db()).next().is_none());
    world.say_inventory(&name("north"));
    set(&mut world, "west", "array-1");
    world.begin("east", "west", Order::HighestFirst);
    world.run_until("prepared", |world| world.migration().phase == Phase::Running);
    assert_eq!(code(&set(&mut world, "west", "")), "busy");
    assert_eq!(ends(&mut world), Phase::Completed);
    let record = &world.core.state().ledger.workloads[&db()];
    assert!(record.ordinals.values().flat_map(|of| &of.volumes).all(|id| id.domain == "array-1"));
    let odd = crate::StorageDomain { cluster: name("west"), driver: "a/b".to_owned(), domain: String::new() };
    let odd = world.answer(Request::SetStorageDomain { set: odd, by: "ann".to_owned() });
    assert!(matches!(odd, Reply::Rejected(Rejection::Invalid(_))));
}

#[test]
fn classes_are_mapped_by_namespace_first_and_by_the_plan_before_all() {
    let mut world = World::new(PLAIN);
    let map = |namespace: Option<&str>, from_class: &str, to_class: &str| crate::StorageMap {
        from: name("east"),
        to: name("west"),
        namespace: namespace.map(str::to_owned),
        from_class: from_class.to_owned(),
        to_class: to_class.to_owned(),
    };
    for map in [map(None, "fast", "ssd"), map(Some("shop"), "fast", "nvme"), map(None, "slow", "hdd")] {
        let reply = world.answer(Request::AddStorageMap { map, by: "ann".to_owned() });
        assert!(matches!(reply, Reply::StorageMaps(_)), "{reply:?}");
    }
    let asked = PlanRequest {
        storage_classes: [("slow".to_owned(), "tape".to_owned())].into(),
        ..of(&[], Order::HighestFirst)
    };
    let plan = planned(&mut world, asked.clone());
    let expected = [("fast", "nvme"), ("slow", "tape")].map(|(from, to)| (from.to_owned(), to.to_owned()));
    assert_eq!(plan.storage_classes, expected.clone().into());
    let removed =
        world.answer(Request::RemoveStorageMap { map: map(None, "fast", ""), by: "ann".to_owned() });
    assert!(matches!(removed, Reply::StorageMaps(maps) if maps.len() == 2));
    start(&mut world, asked);
    world.run_until_sent("adopt");
    let Some((_, crate::Command { body: crate::CommandBody::Adopt { storage_classes, .. }, .. })) =
        world.sent.iter().rfind(|(_, command)| command.body.verb() == "adopt")
    else {
        panic!()
    };
    assert_eq!(*storage_classes, expected.into());
}
