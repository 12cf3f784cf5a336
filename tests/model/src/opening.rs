//! The first state: a migration whose preparation is done, and whose first handoff has begun.
//!
//! The core itself is asked for a plan and told to start it, and the model's agents answer, with nothing going wrong; so
//! the state that is explored from is one that the real controller comes to. The workload has no Service: endpoints are
//! proved elsewhere, and without one the gate of step 11 is passed at once.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use ferry_core::{
    Command, CommandBody, Core, Effect, Input, Reply, Request, RequestId, Session, State,
    facts::{
        Description, Inventory, InventoryWorkload, OrdinalVolumes, Outcome, OutcomeResult, SourcePrepared,
        SourceReport, TargetReport,
    },
    input::PlanRequest,
    migration::Stage,
};

use crate::{
    bounds::Bounds,
    brief,
    cluster::Cluster,
    ledger::{Heard, Ledger, NOW, Told, resync},
    names::{self, Side},
    task::Letter,
    world::{Link, World, put},
};

/// More messages than a preparation has.
const MESSAGES: usize = 100;

/// The state in which the first holds are on their way.
pub(crate) fn world(bounds: &Bounds) -> anyhow::Result<World> {
    let cluster = |runs| Cluster::new(bounds.ordinals, bounds.volumes, runs);
    let mut world = World {
        ledger: Arc::new(Ledger::new(State::default(), NOW)),
        heard: [Heard::default(), Heard::default()],
        clusters: [cluster(true), cluster(false)],
        links: [Link::default(), Link::default()],
        tasks: Vec::new(),
        backup: None,
        rewound: false,
        left: bounds.faults,
        broken: std::collections::BTreeSet::new(),
    };
    let mut core = Core::new(State::default());
    let mut sent = Vec::new();
    for side in Side::BOTH {
        let Told::Attached(_, said) = world.attaching(side) else { bail!("an agent attaches") };
        let workloads = world.clusters[side.index()].slice.map(|slice| InventoryWorkload {
            workload: names::workload(),
            uid: names::set_uid(side),
            slice,
            available: slice.replicas,
        });
        let inventory = Inventory { workloads: workloads.into_iter().collect(), ..said.inventory.clone() };
        let resync = Box::new(resync(side, &[], inventory));
        let input = Input::Attached { cluster: side.name(), session: Session(1), resync };
        sent.extend(core.step(input, NOW).effects);
    }
    let asked = PlanRequest {
        workload: names::workload(),
        from: Some(Side::East.name()),
        to: Side::West.name(),
        order: bounds.order,
        ..PlanRequest::default()
    };
    let effects = core.step(ask(1, Request::CreatePlan(asked)), NOW).effects;
    let reply = deliver(&mut core, &mut world, effects)?.context("no plan was made")?;
    let Reply::Planned(plan) = reply else { bail!("no plan: {reply:?}") };
    let hash = plan.hash.with_context(|| format!("the plan is refused: {:?}", plan.findings))?;
    let start = Request::StartMigration { hash, by: "somebody".to_owned() };
    let effects = core.step(ask(2, start), NOW).effects;
    deliver(&mut core, &mut world, effects)?.context("it did not start")?;
    for (heard, side) in world.heard.iter_mut().zip(Side::BOTH) {
        *heard = Heard { attached: true, epochs: Some(Vec::new()) };
        debug_assert!(core.state().clusters.contains_key(&side.name()), "{side} is attached");
    }
    world.ledger = Arc::new(Ledger::new(core.state().clone(), NOW));
    world.renumber();
    let stage = world.ledger.work().map(|work| work.stage);
    if stage != Some(Stage::Holding) {
        bail!("the first handoff has not begun: {stage:?}");
    }
    Ok(world)
}

fn ask(number: u64, body: Request) -> Input {
    Input::Request { request: RequestId(number), body }
}

/// Everything arrives, until holds are on their way; the last reply.
fn deliver(core: &mut Core, world: &mut World, effects: Vec<Effect>) -> anyhow::Result<Option<Reply>> {
    let (mut effects, mut last) = (std::collections::VecDeque::from(effects), None);
    for _ in 0..MESSAGES {
        let Some(effect) = effects.pop_front() else { return Ok(last) };
        match effect {
            Effect::Reply { reply, .. } => last = Some(*reply),
            Effect::Send { cluster, command, .. } => {
                let side = Side::of(&cluster);
                if matches!(command.body, CommandBody::Hold { .. }) {
                    put(&mut world.links[side.index()].down, Letter::new(*command));
                    continue;
                }
                let result = answer(world, side, &command);
                let outcome = Box::new(Outcome { command_id: command.id.clone(), result });
                let input = Input::Outcome { cluster, session: Session(1), outcome };
                effects.extend(core.step(input, NOW).effects);
            }
            _ => {}
        }
    }
    bail!("{MESSAGES} messages, and the first handoff has not begun")
}

fn answer(world: &mut World, side: Side, command: &Command) -> OutcomeResult {
    let cluster = &mut world.clusters[side.index()];
    let slice = cluster.slice();
    let set = names::manifest("StatefulSet", "db", &names::set_uid(side));
    let ordinals = slice.ordinals();
    let volumes = ordinals.map(|ordinal| OrdinalVolumes { ordinal, volumes: cluster.claimed(side, ordinal) });
    match &command.body {
        CommandBody::InspectSource { .. } => {
            let description = Description {
                uid: names::set_uid(side),
                slice,
                stateful_set: set,
                pod_management_policy: "Parallel".to_owned(),
                budget: 1,
                ordinals: volumes.collect(),
                ..Description::default()
            };
            let report = SourceReport { description: Some(description), findings: Vec::new() };
            OutcomeResult::SourceReport(Box::new(report))
        }
        CommandBody::InspectTarget { .. } => OutcomeResult::TargetReport(TargetReport::default()),
        CommandBody::PrepareSource { epochs, .. } => {
            let evidence = SourcePrepared { ordinals: volumes.collect(), stateful_set: set };
            for of in epochs {
                cluster.place_mut(of.ordinal).kept = of.epoch.0;
            }
            OutcomeResult::SourcePrepared(evidence)
        }
        _ => brief::run(world, side, command, None),
    }
}
