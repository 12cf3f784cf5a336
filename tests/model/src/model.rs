//! The model as the checker sees it: a first state, what can happen, and what must hold.
//!
//! Every state that the bounds allow is looked at, breadth first, so that what is found comes with a shortest way to it.
//! States are told apart by a digest of 64 bits; two that share one would be taken for the same. What a state is and what
//! can happen in it are the business of `world` and `action`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use ferry_core::Phase;
use serde::Serialize;
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::{
    action::{self, Action},
    bounds::Bounds,
    calm,
    ledger::Memory,
    opening, rules,
    world::World,
};

/// One exploration.
pub(crate) struct Protocol {
    bounds: Bounds,
    opening: World,
    memory: Memory,
    known: calm::Known,
    /// Properties that were seen broken: only the first sight counts, which is the one with a shortest way.
    seen: [AtomicBool; ALWAYS],
}

/// What an exploration found.
#[derive(Debug, Serialize)]
pub(crate) struct Explored {
    /// States that were come to, by whatever way.
    pub(crate) states: usize,
    /// Of those, different ones.
    pub(crate) unique_states: usize,
    /// Actions on the longest of the shortest ways.
    pub(crate) depth: usize,
    pub(crate) seconds: f64,
    /// What was broken, each with a way to it.
    pub(crate) broken: Vec<Broken>,
    /// Properties that hold.
    pub(crate) hold: Vec<&'static str>,
    /// Ends that were seen.
    pub(crate) ends: Vec<&'static str>,
}

/// A property that does not hold.
#[derive(Debug, Serialize)]
pub(crate) struct Broken {
    pub(crate) property: &'static str,
    pub(crate) way: Vec<String>,
}

impl Explored {
    /// Whether that property was found broken; none: whether all hold.
    pub(crate) fn is_expected(&self, finds: Option<&str>) -> bool {
        match finds {
            None => self.broken.is_empty(),
            Some(property) => self.broken.iter().any(|broken| broken.property == property),
        }
    }
}

impl Protocol {
    fn new(bounds: Bounds) -> anyhow::Result<Self> {
        let opening = opening::world(&bounds)?;
        Ok(Self {
            bounds,
            opening,
            memory: Memory::default(),
            known: calm::Known::default(),
            seen: Default::default(),
        })
    }
}

/// Properties that must always hold.
const ALWAYS: usize = 8;

impl Protocol {
    /// Whether it holds, or was seen broken before.
    fn holds(&self, property: usize, holds: bool) -> bool {
        holds || self.seen[property].swap(true, Ordering::Relaxed)
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.opening.clone()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend(action::all(world));
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        action::next(world, action, self.bounds.plant, &self.memory)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1", |of: &Self, world: &World| of.holds(0, rules::usable_once(world))),
            Property::always("I2", |of: &Self, world: &World| of.holds(1, rules::runs_once(world))),
            Property::always("I3", |of: &Self, world: &World| of.holds(2, rules::slices_fit(world))),
            Property::always("I4", |of: &Self, world: &World| of.holds(3, rules::budget_kept(world))),
            Property::always("I5", |of: &Self, world: &World| of.holds(4, rules::past_is_past(world))),
            Property::always("I8", |of: &Self, world: &World| of.holds(5, rules::unknown_is_unknown(world))),
            Property::always("core", |of: &Self, world: &World| of.holds(6, rules::core_agrees(world))),
            Property::eventually("I9", |_, world: &World| calm::is_end(world)),
            Property::always("I9 in calm", |of: &Self, world: &World| {
                of.holds(7, calm::ends(world, of.bounds.plant, &of.memory, &of.known).is_ok())
            }),
            Property::sometimes("completed", |_, world: &World| world.ledger.phase() == Phase::Completed),
            Property::sometimes("rolled back", |_, world: &World| world.ledger.phase() == Phase::RolledBack),
            Property::sometimes("paused", |_, world: &World| world.ledger.phase() == Phase::Paused),
        ]
    }
}

/// Explores everything within the bounds, or until one of the properties that must always hold is broken.
///
/// # Errors
/// The first state cannot be made.
pub(crate) fn explore(bounds: Bounds) -> anyhow::Result<Explored> {
    let began = Instant::now();
    let protocol = Protocol::new(bounds)?;
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let (mut broken, mut hold, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for property in checker.model().properties() {
        let found = discoveries.get(property.name);
        match (property.expectation.discovery_is_failure(), found) {
            (true, None) => hold.push(property.name),
            (false, Some(_)) => ends.push(property.name),
            (false, None) => {}
            (true, Some(path)) => {
                let mut way: Vec<String> = told(path.clone().into_vec());
                if property.name == "I9 in calm" {
                    let model = checker.model();
                    let known = calm::Known::default();
                    let last = path.last_state();
                    if let Err(circle) = calm::ends(last, bounds.plant, &model.memory, &known) {
                        way.push("then, in calm:".to_owned());
                        way.extend(circle.iter().map(|action| format!("{action:?}")));
                    }
                }
                broken.push(Broken { property: property.name, way });
            }
        }
    }
    Ok(Explored {
        states: checker.state_count(),
        unique_states: checker.unique_state_count(),
        depth: checker.max_depth(),
        seconds: began.elapsed().as_secs_f64(),
        broken,
        hold,
        ends,
    })
}

/// A way, one line an action, with what it is about.
fn told(path: Vec<(World, Option<Action>)>) -> Vec<String> {
    let line = |(world, action): (World, Option<Action>)| {
        let action = action?;
        let about = match action {
            Action::Run { task } | Action::TimeOut { task } | Action::Overdue { task } => {
                let task = &world.tasks[task];
                let stopped = if task.stopped { " (stopped before)" } else { "" };
                format!("{} {}{stopped}: {:?} disk {}", task.side, task.order.text.id, task.next, task.disk)
            }
            Action::Take { side, at, .. } | Action::LoseCommand { side, at } => {
                let command = &world.links[side.index()].down[at].text;
                format!("{} epoch {}", command.id, command.epoch)
            }
            Action::Hear { side, at, .. } | Action::LoseOutcome { side, at } => {
                let outcome = &world.links[side.index()].up[at].text;
                format!("{}: {}", outcome.command_id, outcome.result.name())
            }
            _ => format!("stage {:?}", world.ledger.work().map(|work| work.stage)),
        };
        Some(format!("{action:?}: {about}"))
    };
    path.into_iter().filter_map(line).collect()
}
