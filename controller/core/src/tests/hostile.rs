//! Agents that lie, links that repeat, clusters that are not who they say.
//!
//! An agent can speak of its own cluster only, answer only what it was asked, and only once; evidence that does not
//! fit the ledger stops the ordinal where it is. What is refused leaves no entry. After each of these the honest
//! agent comes back and the migration completes, so that a refusal is never a trap.

use super::world::{Cluster, PLAIN, World, name};
use crate::facts::{
    Adopted, Fenced, Held, Outcome, OutcomeResult, Progress, Refusal, RefusalCode, Released, Retired,
    StepState, Unknown,
};
use crate::migration::Ask;
use crate::{Command, CommandId, Input, Order, Phase, Session, Slice};

fn session(world: &World, of: &str) -> Session {
    world.links[&name(of)].session.unwrap()
}

/// The command of that verb that is out, undelivered.
fn sent(world: &mut World, verb: &str) -> Command {
    world.run_until_sent(verb);
    let (_, command) = world.sent.iter().rfind(|(_, command)| command.body.verb() == verb).unwrap();
    command.clone()
}

fn answer(world: &mut World, of: &str, id: &CommandId, result: OutcomeResult) {
    let session = session(world, of);
    let outcome = Box::new(Outcome { command_id: id.clone(), result });
    world.step(Input::Outcome { cluster: name(of), session, outcome });
}

/// Everything is honest again; the cluster may have acted on nothing.
fn completes(mut world: World) {
    world.attach_all();
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed);
}

fn begun() -> World {
    let mut world = World::new(PLAIN);
    world.begin("east", "west", Order::HighestFirst);
    world
}

#[test]
fn an_answer_for_another_cluster_ends_the_stream_and_changes_nothing() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    let before = world.core.state().clone();
    let liar = session(&world, "west");
    answer(&mut world, "west", &release.id, OutcomeResult::Released(Released::default()));
    assert!(world.closed.iter().any(|(of, session, _)| of.as_str() == "west" && *session == liar));
    assert!(!world.acked.iter().any(|(_, id)| *id == release.id));
    assert_eq!(world.core.state().ledger, before.ledger);
    completes(world);
}

#[test]
fn evidence_of_another_kind_pauses_and_is_asked_again() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    answer(&mut world, "east", &release.id, OutcomeResult::Settled);
    let migration = world.migration();
    assert_eq!(migration.phase, Phase::Paused);
    assert!(
        migration.message.contains("release in east: its agent answered release"),
        "{}",
        migration.message
    );
    completes(world);
}

#[test]
fn evidence_that_does_not_fit_the_ledger_moves_nothing() {
    type Spoil = fn(&mut Released);
    let spoil: [(&str, Spoil); 6] = [
        ("handle", |of| of.volumes[0].handle = "other".to_owned()),
        ("claim", |of| of.volumes[0].claim.uid = "other".to_owned()),
        ("PersistentVolume", |of| of.volumes[0].volume.uid = "other".to_owned()),
        ("detach", |of| of.detached = false),
        ("epoch", |of| of.epoch_kept = crate::Epoch(9)),
        ("volumes", |of| of.volumes.clear()),
    ];
    for (what, spoil) in spoil {
        let mut world = begun();
        let release = sent(&mut world, "release");
        let crate::CommandBody::Release { volumes, node, pod_uid, .. } = release.body.clone() else {
            panic!()
        };
        let mut evidence =
            Released { pod_uid, volumes, node: Some(node), detached: true, epoch_kept: release.epoch };
        spoil(&mut evidence);
        answer(&mut world, "east", &release.id, OutcomeResult::Released(evidence));
        assert_eq!(world.migration().phase, Phase::Paused, "{what}");
        assert!(!world.sent.iter().any(|(_, command)| command.body.verb() == "adopt"), "{what}");
        completes(world);
    }
}

#[test]
fn a_fence_that_is_only_claimed_gives_nothing_back() {
    type Spoil = fn(&mut Fenced);
    let spoil: [(&str, Spoil); 3] = [
        ("epoch", |of| of.epoch_kept = crate::Epoch(2)),
        ("slice", |of| of.slice.replicas += 1),
        ("detach", |of| of.detached = false),
    ];
    for (what, spoil) in spoil {
        let mut world = begun();
        sent(&mut world, "adopt");
        assert_eq!(world.control(Ask::Undo), Ok(()));
        let fence = sent(&mut world, "fence");
        let slice = world.core.state().work.values().next().unwrap().handoff.as_ref().unwrap().target_from;
        let mut evidence = Fenced { epoch_kept: fence.epoch, slice, detached: true, ..Fenced::default() };
        spoil(&mut evidence);
        answer(&mut world, "west", &fence.id, OutcomeResult::Fenced(evidence));
        assert_eq!(world.migration().phase, Phase::Paused, "{what}");
        assert!(!world.sent.iter().any(|(_, command)| command.body.verb() == "reclaim"), "{what}");
        world.attach_all();
        world.run_until("a pause", |world| world.migration().control.stopped);
        assert_eq!(world.control(Ask::Resume), Ok(()));
        completes(world);
    }
}

/// Pods and disks of each cluster.
fn held(world: &World) -> Vec<(Vec<u32>, Vec<String>)> {
    let of = |of: &Cluster| (of.pods.keys().copied().collect(), of.pvs.keys().cloned().collect());
    world.clusters.values().map(of).collect()
}

#[test]
fn a_controller_on_an_old_copy_changes_nothing_and_is_told() {
    let mut world = begun();
    sent(&mut world, "adopt");
    let copy = world.folded.clone();
    assert_eq!(world.control(Ask::Undo), Ok(()));
    world.run_until("a pause", |world| world.migration().control.stopped);
    let before = held(&world);
    world.restore(copy);
    world.attach_all();
    for _ in 0..20 {
        world.settle();
        let Some(at) = world.wake_at else { break };
        world.now = at;
        world.step(Input::Timer);
    }
    assert_eq!(held(&world), before, "the ordinal is the source's since, and stays there (H18)");
    let told = world.migration();
    assert_eq!(told.phase, Phase::Paused);
    assert!(told.message.contains("adopt in west: the cluster keeps a higher one"), "{}", told.message);
    assert_eq!(world.control(Ask::Undo), Ok(()), "a person decides, above what the clusters keep");
    world.run_until("a pause", |world| world.migration().control.stopped);
    assert_eq!(held(&world), before);
    assert_eq!(world.control(Ask::Resume), Ok(()));
    completes(world);
}

#[test]
fn a_stale_epoch_stops_for_good() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    let refusal = Refusal { code: RefusalCode::StaleEpoch, message: "keeps 7".to_owned(), step: 5 };
    answer(&mut world, "east", &release.id, OutcomeResult::Refusal(refusal));
    assert_eq!(world.migration().phase, Phase::Paused);
    let sent = world.sent.len();
    world.links.get_mut(&name("east")).unwrap().down.clear();
    world.settle();
    world.now = world.now.plus(3_600_000);
    world.step(Input::Timer);
    world.settle();
    assert_eq!(world.sent.len(), sent);
    assert_eq!(world.migration().phase, Phase::Paused);
}

#[test]
fn a_repeated_answer_is_acknowledged_and_changes_nothing() {
    let mut world = begun();
    let hold = sent(&mut world, "release");
    let first = world.sent.iter().find(|(_, command)| command.body.verb() == "hold").unwrap().1.id.clone();
    let before = world.core.state().clone();
    let cluster = world.sent.iter().find(|(_, command)| command.id == first).unwrap().0.clone();
    let acks = world.acked.iter().filter(|(_, id)| *id == first).count();
    answer(&mut world, cluster.as_str(), &first, OutcomeResult::Held(Held::default()));
    answer(&mut world, cluster.as_str(), &CommandId::from("db-1/2/hold/99"), OutcomeResult::Settled);
    assert_eq!(world.acked.iter().filter(|(_, id)| *id == first).count(), acks + 1);
    assert_eq!(*world.core.state(), before);
    assert_ne!(hold.id, first);
    completes(world);
}

#[test]
fn h19_an_old_stream_is_not_heard() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    let old = session(&world, "east");
    world.attach("east");
    assert!(world.closed.iter().any(|(of, session, _)| of.as_str() == "east" && *session == old));
    let before = world.core.state().clone();
    let outcome = Box::new(Outcome { command_id: release.id.clone(), result: OutcomeResult::Settled });
    world.step(Input::Outcome { cluster: name("east"), session: old, outcome });
    world.step(Input::Detached { cluster: name("east"), session: old });
    assert_eq!(*world.core.state(), before);
    assert!(world.core.observed().session(&name("east")).is_some());
    completes(world);
}

#[test]
fn what_is_pending_is_sent_again_with_the_same_id() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    world.attach("east");
    world.kill_controller();
    world.attach_all();
    let again: Vec<_> = world.sent.iter().filter(|(_, command)| command.body.verb() == "release").collect();
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|(of, command)| of.as_str() == "east" && *command == release));
    completes(world);
}

#[test]
fn another_cluster_under_a_known_name_is_turned_away() {
    let mut world = begun();
    world.detach("east");
    let mut resync = world.clusters[&name("east")].resync();
    for uid in ["another", ""] {
        resync.cluster_uid = uid.to_owned();
        let before = world.core.state().clone();
        let session = Session(1_000);
        world.links.get_mut(&name("east")).unwrap().session = Some(session);
        world.step(Input::Attached { cluster: name("east"), session, resync: Box::new(resync.clone()) });
        let (_, _, reason) = world.closed.last().unwrap();
        assert!(reason.contains("kube-system"), "{reason}");
        assert_eq!(world.core.state().clusters, before.clusters);
    }
    completes(world);
}

#[test]
fn progress_is_believed_for_the_pending_command_and_its_steps_only() {
    let mut world = begun();
    let release = sent(&mut world, "release");
    let say = |world: &mut World, of: &str, id: &CommandId, step: u32, state: StepState| {
        let session = session(world, of);
        let message = "the node lets go".to_owned();
        let progress = Progress { command_id: id.clone(), step, state, message };
        world.step(Input::Progress { cluster: name(of), session, progress });
    };
    let entries = world.log.len();
    say(&mut world, "west", &release.id, 6, StepState::Waiting);
    say(&mut world, "east", &release.id, 12, StepState::Waiting);
    say(&mut world, "east", &CommandId::from("db-1/2/release/99"), 6, StepState::Waiting);
    assert_eq!(world.log.len(), entries);
    say(&mut world, "east", &release.id, 6, StepState::Waiting);
    let of = world.migration().ordinals[0].clone();
    assert_eq!((of.step, of.message.as_str()), (6, "the node lets go"));
    let entries = world.log.len();
    say(&mut world, "east", &release.id, 6, StepState::Waiting);
    assert_eq!(world.log.len(), entries, "the same again is not journalled");
    say(&mut world, "east", &release.id, 6, StepState::Done);
    assert_eq!(world.migration().ordinals[0].message, "");
    completes(world);
}

#[test]
fn preparation_that_finds_another_world_ends_refused_and_frees_the_workload() {
    for (code, ends) in [
        (RefusalCode::Conflict, true),
        (RefusalCode::NotUnderstood, true),
        (RefusalCode::StaleEpoch, true),
        (RefusalCode::NotReady, false),
        (RefusalCode::Denied, false),
    ] {
        let mut world = begun();
        let prepare = sent(&mut world, "prepare-target");
        world.links.get_mut(&name("west")).unwrap().down.clear();
        let refusal = Refusal { code, message: "a Service of that name is there".to_owned(), step: 0 };
        answer(&mut world, "west", &prepare.id, OutcomeResult::Refusal(refusal));
        if ends {
            assert_eq!(world.migration().phase, Phase::Refused);
            assert!(world.migration().message.contains("a Service of that name is there"));
            world.settle();
            world.cross("east", "west", Order::HighestFirst);
            assert_eq!(world.migrations().len(), 2, "a new plan has a new hash");
        } else {
            assert!(!world.migration().phase.is_over());
            completes(world);
        }
    }
}

#[test]
fn an_adoption_of_other_disks_is_not_believed() {
    let mut world = begun();
    let adopt = sent(&mut world, "adopt");
    let crate::CommandBody::Adopt { mut volumes, .. } = adopt.body.clone() else { panic!() };
    volumes[0].handle = "other".to_owned();
    let evidence = Adopted {
        pod_uid: "new".to_owned(),
        pod_address: "10.2.0.9".to_owned(),
        node: None,
        volumes,
        epoch_kept: adopt.epoch,
    };
    answer(&mut world, "west", &adopt.id, OutcomeResult::Adopted(evidence));
    assert_eq!(world.migration().phase, Phase::Paused);
    assert!(world.migration().message.contains("volumes of ordinal"), "{}", world.migration().message);
    completes(world);
}

#[test]
fn a_retirement_that_leaves_volumes_is_not_believed() {
    let mut world = begun();
    let retire = sent(&mut world, "retire");
    answer(&mut world, "east", &retire.id, OutcomeResult::Retired(Retired::default()));
    assert_eq!(world.migration().phase, Phase::Paused);
    assert!(world.migration().message.contains("PersistentVolumes in the source"));
    completes(world);
}

#[test]
fn the_source_takes_nothing_back_on_a_fence_that_is_unknown_or_does_not_fit() {
    type Spoil = fn(&Fenced, Slice) -> OutcomeResult;
    let spoil: [(&str, Spoil); 4] = [
        ("slice", |of, with| OutcomeResult::Fenced(Fenced { slice: with, ..of.clone() })),
        ("detach", |of, _| OutcomeResult::Fenced(Fenced { detached: false, ..of.clone() })),
        ("epoch", |of, _| OutcomeResult::Fenced(Fenced { epoch_kept: crate::Epoch(2), ..of.clone() })),
        ("unknown", |_, _| {
            OutcomeResult::Unknown(Unknown { message: "no answer".to_owned(), ..Unknown::default() })
        }),
    ];
    for (what, spoil) in spoil {
        let mut world = begun();
        sent(&mut world, "adopt");
        assert_eq!(world.control(Ask::Undo), Ok(()));
        let fence = sent(&mut world, "fence");
        let crate::CommandBody::Fence { from_slice, to_slice, .. } = fence.body.clone() else { panic!() };
        let right = Fenced { slice: to_slice, detached: true, epoch_kept: fence.epoch, ..Fenced::default() };
        answer(&mut world, "west", &fence.id, spoil(&right, from_slice));
        assert!(!world.sent.iter().any(|(_, command)| command.body.verb() == "reclaim"), "{what}");
        world.attach_all();
        world.run_until_sent("reclaim");
    }
}
