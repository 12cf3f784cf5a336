//! Nodes that cannot prove any more that they let go of a disk (handoff.md, H11).
//!
//! The migration pauses and names the node; nothing is adopted on anybody's guess. A person attests by name exactly what
//! is waited for, and only that is asked for anew. What an agent makes of an attested node is the agent's business, and
//! tested there.

use super::world::{PLAIN, World, name};
use crate::facts::{Outcome, OutcomeResult, Unknown};
use crate::{CommandBody, Order, Phase, Reply, Request};

fn begun() -> World {
    let mut world = World::new(PLAIN);
    world.begin("east", "west", Order::HighestFirst);
    world
}

fn completes(mut world: World) {
    world.run_until("the end", |world| world.migration().phase.is_over());
    assert_eq!(world.migration().phase, Phase::Completed, "{}", world.migration().message);
    assert_eq!(world.migration().unknown, []);
}

fn count(world: &World, verb: &str) -> usize {
    world.sent.iter().filter(|(_, command)| command.body.verb() == verb).count()
}

#[test]
fn h11_a_detach_that_cannot_be_proven_pauses_and_goes_on_once_it_is() {
    let mut world = begun();
    world.run_until_sent("release");
    let (cluster, command) = world.sent.last().cloned().unwrap();
    let unknown =
        Unknown { message: "node east-1 is gone".to_owned(), step: 6, unproven: vec!["east-1".to_owned()] };
    let result = OutcomeResult::Unknown(unknown);
    world.say_outcome(&cluster, Outcome { command_id: command.id, result });
    world.deliver_up("east");
    assert_eq!((world.migration().phase, count(&world, "adopt")), (Phase::Paused, 0));
    let shown = &world.migration().unknown;
    assert!(shown.len() == 1 && shown[0].unproven == ["east-1"], "it is neither well nor ill: {shown:?}");
    assert!(world.migration().message.contains("node east-1 is gone"));
    completes(world);
}

#[test]
fn h11_a_person_attests_the_node_that_is_waited_for_and_no_other() {
    let mut world = begun();
    let attests = |world: &mut World, node: &str, reason: &str| {
        let (node, reason) = (node.to_owned(), reason.to_owned());
        world.answer(Request::AttestFenced { node, reason, by: "ann".to_owned() })
    };
    let refused = |reply: Reply| match reply {
        Reply::Rejected(rejection) => (rejection.code(), rejection.to_string()),
        other => panic!("{other:?}"),
    };
    let (code, said) = refused(attests(&mut World::new(PLAIN), "east-1", "it is off"));
    assert_eq!(code, "nothing-to-attest", "{said}");
    world.run_until_sent("release");
    let (cluster, command) = world.sent.last().cloned().unwrap();
    let unproven = vec!["east-1".to_owned()];
    let unknown = Unknown { message: "node east-1 is gone".to_owned(), step: 6, unproven };
    world.say_outcome(
        &cluster,
        Outcome { command_id: command.id.clone(), result: OutcomeResult::Unknown(unknown) },
    );
    world.deliver_up("east");
    assert_eq!(world.migration().phase, Phase::Paused);
    let (code, said) = refused(attests(&mut world, "east-2", "it is off"));
    assert!(code == "nothing-to-attest" && said.contains("proof of east-1"), "{said}");
    let (_, said) = refused(attests(&mut world, "east", "it is off"));
    assert!(said.contains("east is a cluster"), "{said}");
    assert_eq!(refused(attests(&mut world, "east-1", " ")).0, "invalid");
    assert_eq!(world.sent.last().map(|(_, sent)| &sent.id), Some(&command.id), "nothing is asked before");
    let Reply::Migrations(now) = attests(&mut world, "east-1", "pulled its power") else { panic!() };
    assert_eq!(now.len(), 1);
    let again = world.sent.iter().rev().find(|(_, sent)| sent.body.verb() == "release").cloned();
    let (_, again) = again.unwrap();
    assert!(again.epoch > command.epoch, "what was commanded before ends nowhere");
    let CommandBody::Release { attested, .. } = again.body else { panic!("{again:?}") };
    assert_eq!(attested, ["east-1"]);
    let handoff = world.core.state().work.values().next().and_then(|work| work.handoff.clone()).unwrap();
    assert_eq!(handoff.attested_in(&name("west")), [""; 0], "a node of that name there is another machine");
    completes(world);
}
