//! Requests: what plans refuse, what a start looks at again, tokens, lists.
//!
//! Agents are asked through the same links as in the crossings. Messages are asserted where a script or a person has
//! to act on them: codes, names of clusters and of what changed. What agents themselves find is the agents' to test;
//! here it is that every finding arrives, refusals first.

use super::world::{PLAIN, Shape, World, db, name};
use crate::facts::{Finding, Severity};
use crate::input::{MigrationFilter, PlanRequest, Request, VolumeFilter};
use crate::tokens::Subject;
use crate::{Millis, Order, Phase, Plan, Rejection, Reply, TokenHash, limits};

fn attached(shape: Shape) -> World {
    let mut world = World::new(shape);
    world.attach_all();
    world.settle();
    world
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn rejected(reply: Reply) -> Rejection {
    match reply {
        Reply::Rejected(rejection) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_plan_says_what_will_move_and_how() {
    let mut world = attached(Shape { templates: 2, start: 1, ..PLAIN });
    let plan = world.plan("east", "west", Order::LowestFirst);
    assert_eq!(plan.hash.as_ref().map(|hash| hash.as_str().len()), Some(64));
    assert_eq!((plan.ordinals.clone(), plan.budget), (vec![1, 2, 3], 1));
    let claims: Vec<&str> = plan.volumes.iter().map(|volume| volume.claim.as_str()).collect();
    assert_eq!(claims, ["data0-db-1", "data1-db-1", "data0-db-2", "data1-db-2", "data0-db-3", "data1-db-3"]);
    let writes: Vec<(&str, &str)> =
        plan.writes.iter().map(|write| (write.cluster.as_str(), write.write.as_str())).collect();
    assert_eq!(writes, [("east", "patch StatefulSet db"), ("west", "create StatefulSet db")]);
    assert_eq!(plan.expires_at, world.now.plus(600_000));
}

#[test]
fn the_hash_is_of_what_matters_and_not_of_the_time() {
    let mut world = attached(PLAIN);
    let first = world.plan("east", "west", Order::HighestFirst).hash;
    world.now = world.now.plus(5_000);
    assert_eq!(world.plan("east", "west", Order::HighestFirst).hash, first);
    assert_ne!(world.plan("east", "west", Order::LowestFirst).hash, first);
    assert_ne!(world.plan("east", "north", Order::HighestFirst).hash, first);
    world.cluster("east").template = "another".to_owned();
    assert_ne!(world.plan("east", "west", Order::HighestFirst).hash, first);
}

#[test]
fn the_source_is_found_when_it_is_not_named() {
    let mut world = attached(PLAIN);
    let asked = PlanRequest { workload: db(), from: None, to: name("west"), ..PlanRequest::default() };
    let Reply::Planned(plan) = world.answer(Request::CreatePlan(asked.clone())) else { panic!() };
    assert_eq!((plan.from.as_str(), plan.hash.is_some()), ("east", true));
    world.cluster("east").set = None;
    world.say_inventory(&name("east"));
    world.settle();
    let Reply::Planned(plan) = world.answer(Request::CreatePlan(asked)) else { panic!() };
    assert_eq!((codes(&plan), plan.hash.clone()), (vec!["P-source-unknown"], None));
}

#[test]
fn every_fault_is_named_at_once_and_refusals_come_first() {
    let mut world = attached(PLAIN);
    world.detach("west");
    world.cluster("east").budget = 0;
    let finding = |check: &str, severity| Finding {
        check: check.to_owned(),
        code: format!("{check}-seen"),
        severity,
        cluster: "west".to_owned(),
        ..Finding::default()
    };
    world.cluster("east").findings = vec![
        finding("K3", Severity::Warn),
        finding("K12", Severity::Refuse),
        finding("K2", Severity::Refuse),
    ];
    let plan = world.plan("east", "west", Order::HighestFirst);
    assert_eq!(codes(&plan), ["P-no-budget", "P-not-attached", "K2-seen", "K12-seen", "K3-seen"]);
    assert_eq!(plan.findings[2].cluster, "east", "an agent speaks of its own cluster only");
    assert_eq!(plan.hash, None);
}

#[test]
fn clusters_are_checked_by_name() {
    let mut world = attached(PLAIN);
    let plan = world.plan("east", "east", Order::HighestFirst);
    assert_eq!(codes(&plan), ["P-same-cluster"]);
    let plan = world.plan("east", "mars", Order::HighestFirst);
    assert_eq!(codes(&plan), ["P-unknown-cluster"]);
    let plan = world.plan("mars", "west", Order::HighestFirst);
    assert_eq!(codes(&plan), ["P-unknown-cluster"]);
    let plan = world.plan("west", "east", Order::HighestFirst);
    assert_eq!(codes(&plan), ["P-not-found"]);
}

#[test]
fn a_slice_that_cannot_move_is_refused() {
    let mut world = attached(Shape { replicas: 0, ..PLAIN });
    assert_eq!(codes(&world.plan("east", "west", Order::HighestFirst)), ["P-empty-slice"]);
    let mut world = attached(PLAIN);
    world.cluster("east").pvs.get_mut("pv-0-1").unwrap().handle = "disk-0-2".to_owned();
    assert_eq!(codes(&world.plan("east", "west", Order::HighestFirst)), ["P-volume-identity"]);
}

#[test]
fn what_runs_already_or_belongs_elsewhere_is_refused() {
    let mut world = attached(PLAIN);
    let before = world.plan("east", "north", Order::HighestFirst).hash.unwrap();
    world.begin("east", "west", Order::HighestFirst);
    let plan = world.plan("east", "north", Order::HighestFirst);
    assert!(codes(&plan).contains(&"P-already-migrating"), "{:?}", codes(&plan));
    let again = world.start(&before);
    let rejection = rejected(world.replies.remove(&again).unwrap());
    assert_eq!((rejection.code(), rejection.is_transient()), ("already-migrating", true));
    assert!(rejection.to_string().contains("ferry watch db-1"), "{rejection}");
    world.run_until("the end", |world| world.migration().phase == Phase::Completed);

    // Somebody made a StatefulSet of that name in the old cluster, by hand.
    let mut stray = World::new(PLAIN);
    std::mem::swap(world.cluster("north"), stray.cluster("east"));
    let plan = world.plan("north", "east", Order::HighestFirst);
    assert!(codes(&plan).contains(&"P-owned-elsewhere"), "{:?}", plan.findings);
}

#[test]
fn what_an_owner_that_is_away_said_last_is_not_trusted() {
    let mut world = attached(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    let mut stray = World::new(PLAIN);
    std::mem::swap(world.cluster("north"), stray.cluster("east"));
    let west = world.cluster("west");
    (west.set, west.governed) = (None, false);
    west.pods.clear();
    west.claims.clear();
    west.pvs.clear();
    world.say_inventory(&name("west"));
    world.settle();
    let plan = world.plan("north", "east", Order::HighestFirst);
    assert!(
        !codes(&plan).contains(&"P-owned-elsewhere"),
        "it shows that it has nothing: {:?}",
        plan.findings
    );
    world.detach("west");
    let plan = world.plan("north", "east", Order::HighestFirst);
    assert!(codes(&plan).contains(&"P-owned-elsewhere"), "{:?}", plan.findings);
}

#[test]
fn a_disk_may_come_back_under_another_ordinal() {
    let mut world = attached(Shape { replicas: 2, ..PLAIN });
    world.cross("east", "west", Order::HighestFirst);
    // Somebody binds the two disks the other way round, by hand, with the set scaled down meanwhile.
    let west = world.cluster("west");
    let swapped = ["disk-0-1", "disk-0-0"];
    for (pv, handle) in west.pvs.values_mut().zip(swapped) {
        pv.handle = handle.to_owned();
    }
    world.say_inventory(&name("west"));
    world.cross("west", "north", Order::HighestFirst);
    let owned = &world.core.state().ledger.workloads[&db()].ordinals;
    assert_eq!(owned[&0].volumes[0].handle, "disk-0-1");
    assert_eq!(owned[&1].volumes[0].handle, "disk-0-0");
}

#[test]
fn an_exact_retry_of_a_start_finds_the_same_migration() {
    let mut world = attached(PLAIN);
    let hash = world.plan("east", "west", Order::HighestFirst).hash.unwrap();
    let (first, second) = (world.start(&hash), world.start(&hash));
    world.settle();
    let id = |world: &World, request| match &world.replies[&request] {
        Reply::Started(migration) => migration.id.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&world, first).as_str(), "db-1");
    assert_eq!(id(&world, second).as_str(), "db-1");
    world.run_until("the end", |world| world.migration().phase == Phase::Completed);
    let third = world.start(&hash);
    assert_eq!(id(&world, third).as_str(), "db-1");
    assert_eq!(world.migrations().len(), 1);
}

#[test]
fn a_changed_world_is_named_and_not_moved() {
    let mut world = attached(PLAIN);
    let hash = world.plan("east", "west", Order::HighestFirst).hash.unwrap();
    world.cluster("east").pvs.get_mut("pv-0-1").unwrap().bytes *= 2;
    world.cluster("east").budget = 2;
    let reply = world.answer(Request::StartMigration { hash: hash.clone(), by: "ann".to_owned() });
    let rejection = rejected(reply);
    assert_eq!((rejection.code(), rejection.is_transient()), ("world-changed", false));
    let text = rejection.to_string();
    assert!(text.contains("volume of claim data0-db-1") && text.contains("disruption budget"), "{text}");
    assert!(!text.contains("data0-db-2") && !text.contains("findings"), "{text}");
    world.cluster("west").findings = vec![Finding {
        check: "K4".to_owned(),
        code: "K4-name-taken".to_owned(),
        severity: Severity::Refuse,
        subject: "Service/db".to_owned(),
        ..Finding::default()
    }];
    let reply = world.answer(Request::StartMigration { hash, by: "ann".to_owned() });
    assert!(rejected(reply).to_string().contains("K4-name-taken Service/db"));
    assert!(world.migrations().is_empty());
}

#[test]
fn plans_expire_and_are_bounded() {
    let mut world = attached(PLAIN);
    let hash = world.plan("east", "west", Order::HighestFirst).hash.unwrap();
    world.now = world.now.plus(limits::PLAN_TTL_MS);
    let reply = world.answer(Request::StartMigration { hash: hash.clone(), by: "ann".to_owned() });
    assert_eq!(rejected(reply).code(), "plan-expired");
    for nth in 0..70 {
        world.now = world.now.plus(1);
        world.cluster("east").template = format!("template {nth}");
        assert!(world.plan("east", "west", Order::HighestFirst).hash.is_some());
    }
    assert_eq!(world.core.state().plans.len(), limits::PLANS);
    let reply = world.answer(Request::StartMigration { hash, by: "ann".to_owned() });
    assert_eq!(rejected(reply).code(), "plan-unknown");
}

#[test]
fn an_agent_that_goes_away_or_stays_silent_ends_the_request() {
    let mut world = attached(PLAIN);
    let asked = PlanRequest {
        workload: db(),
        from: Some(name("east")),
        to: name("west"),
        order: Order::HighestFirst,
        ..PlanRequest::default()
    };
    let request = world.ask(Request::CreatePlan(asked.clone()));
    world.detach("east");
    assert_eq!(rejected(world.replies.remove(&request).unwrap()).code(), "cluster-not-attached");
    world.attach("east");
    world.settle();
    let request = world.ask(Request::CreatePlan(asked.clone()));
    assert_eq!(world.wake_at, Some(world.now.plus(limits::INSPECTION_DEADLINE_MS)));
    world.now = world.wake_at.unwrap();
    world.step(crate::Input::Timer);
    assert_eq!(rejected(world.replies.remove(&request).unwrap()).code(), "cluster-silent");
    // Its late answer means nothing any more, and is acknowledged.
    world.settle();
    assert!(world.clusters[&name("east")].agent.unacked.is_empty());
    // A stream that is replaced is asked again on the new one.
    let request = world.ask(Request::CreatePlan(asked));
    world.attach("east");
    world.settle();
    assert!(matches!(world.replies.remove(&request), Some(Reply::Planned(_))));
}

#[test]
fn too_many_plans_at_once_are_busy() {
    let mut world = attached(PLAIN);
    let asked = PlanRequest {
        workload: db(),
        from: Some(name("east")),
        to: name("west"),
        order: Order::HighestFirst,
        ..PlanRequest::default()
    };
    for _ in 0..limits::INSPECTIONS {
        world.ask(Request::CreatePlan(asked.clone()));
    }
    let last = world.ask(Request::CreatePlan(asked));
    assert_eq!(rejected(world.replies.remove(&last).unwrap()).code(), "busy");
}

#[test]
fn a_token_is_good_once_and_for_a_time() {
    let mut world = World::new(PLAIN);
    let subject = Subject::Cluster(name("east"));
    let create = |hash: &str, expires_at| Request::CreateToken {
        hash: TokenHash::from(hash),
        subject: subject.clone(),
        expires_at,
        by: "ann".to_owned(),
    };
    let redeem = |hash: &str| Request::RedeemToken { hash: TokenHash::from(hash) };
    let later = world.now.plus(1_000);
    assert_eq!(world.core.state().tokens.made, 0);
    assert_eq!(world.answer(create("a", later)), Reply::TokenCreated);
    assert_eq!(world.answer(create("b", later)), Reply::TokenCreated);
    assert_eq!(world.core.state().tokens.made, 2);
    assert_eq!(world.answer(redeem("a")), Reply::TokenRedeemed(subject.clone()));
    assert_eq!(rejected(world.answer(redeem("a"))).code(), "token-used");
    world.kill_controller();
    assert_eq!(rejected(world.answer(redeem("a"))).code(), "token-used");
    assert_eq!(rejected(world.answer(redeem("c"))).code(), "token-unknown");
    world.now = later;
    assert_eq!(rejected(world.answer(redeem("b"))).code(), "token-expired");
    assert_eq!(world.answer(create("d", Millis(later.0 + 9))), Reply::TokenCreated);
    assert_eq!(world.core.state().tokens.by_hash.len(), 1, "expired ones go");
}

#[test]
fn lists_show_clusters_volumes_and_migrations() {
    let mut world = attached(PLAIN);
    world.cross("east", "west", Order::HighestFirst);
    world.cross("west", "east", Order::HighestFirst);
    world.detach("west");
    let Reply::Clusters(clusters) = world.answer(Request::ListClusters) else { panic!() };
    let shown: Vec<(&str, bool, u32, u32)> =
        clusters.iter().map(|of| (of.name.as_str(), of.attached, of.workloads, of.volumes)).collect();
    assert_eq!(shown, [("east", true, 1, 3), ("north", true, 0, 0), ("west", false, 1, 0)]);
    let filter = MigrationFilter { namespace: Some("shop".to_owned()), workload: None };
    let Reply::Migrations(migrations) = world.answer(Request::ListMigrations(filter)) else { panic!() };
    let ids: Vec<&str> = migrations.iter().map(|of| of.id.as_str()).collect();
    assert_eq!(ids, ["db-2", "db-1"]);
    let filter = VolumeFilter { cluster: Some(name("east")), ..VolumeFilter::default() };
    let Reply::Volumes(volumes) = world.answer(Request::ListVolumes(filter)) else { panic!() };
    for volume in &volumes {
        assert_eq!((volume.state.as_str(), volume.epoch.0), ("owned", 3));
        assert_eq!(volume.cluster, Some(name("east")));
        assert_eq!(volume.pv_name, format!("ferry-{}", volume.id.handle));
    }
    assert_eq!(volumes.len(), 3);
    let filter = VolumeFilter { cluster: Some(name("west")), ..VolumeFilter::default() };
    assert_eq!(world.answer(Request::ListVolumes(filter)), Reply::Volumes(vec![]));
    let id = "db-2".into();
    assert!(matches!(world.answer(Request::GetMigration { id }), Reply::Migration(_)));
    let id = "db-9".into();
    assert_eq!(rejected(world.answer(Request::GetMigration { id })).code(), "migration-unknown");
}
