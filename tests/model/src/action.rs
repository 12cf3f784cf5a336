//! What can happen next, and what becomes of it.
//!
//! Faults cost one of the bounds; everything else may happen whenever it can. An action that changes nothing is none, so
//! what is waited for needs no conditions of its own.
//! The order of actions is fixed: the checker replays a path by their numbers.

use std::sync::Arc;

use ferry_core::{
    CommandBody, Ordinal,
    facts::{Outcome, OutcomeResult, Refusal, RefusalCode, Unknown},
};

use crate::{
    bounds::{Faults, Plant},
    brief, executor,
    ledger::{Heard, Ledger, Memory, NOW, Told, Wish},
    names::Side,
    release, rules,
    task::{self, Hand, Letter, Next, Stepped, Task},
    world::{World, put},
};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// An agent takes a command; it comes again if it is kept.
    Take { side: Side, at: usize, kept: bool },
    /// The controller takes an outcome; it comes again if it is kept.
    Hear { side: Side, at: usize, kept: bool },
    /// A command is lost.
    LoseCommand { side: Side, at: usize },
    /// An outcome is lost.
    LoseOutcome { side: Side, at: usize },
    /// A process takes its next step.
    Run { task: usize },
    /// A command's time is over.
    TimeOut { task: usize },
    /// The time of a command is over that waits for what does not come.
    Overdue { task: usize },
    /// The cluster's controllers do what the slice asks for: a pod starts or ends, or its disks are detached.
    Cluster { side: Side, ordinal: Ordinal },
    /// A stream on which something was lost ends.
    Break { side: Side },
    /// An agent attaches.
    Attach { side: Side },
    /// An agent's process ends.
    CrashAgent { side: Side },
    /// An agent's process is stopped, and another takes its place.
    StopAgent { side: Side },
    /// The controller's process ends.
    CrashController,
    /// What is asked for again is due.
    Soon,
    /// Holds are too old to rely on.
    Late,
    /// A person asks.
    Ask { asked: Wish },
    /// A backup is made.
    Backup,
    /// It is restored.
    Restore,
}

/// What can happen in that state.
pub(crate) fn all(world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    let left = &world.left;
    for side in Side::BOTH {
        let (link, heard) = (&world.links[side.index()], &world.heard[side.index()]);
        for at in 0..link.up.len() {
            actions.push(Action::Hear { side, at, kept: false });
        }
        for at in 0..link.down.len() {
            actions.push(Action::Take { side, at, kept: false });
        }
        if !heard.attached {
            actions.push(Action::Attach { side });
        }
        if link.torn && heard.attached {
            actions.push(Action::Break { side });
        }
    }
    actions.extend((0..world.tasks.len()).map(|task| Action::Run { task }));
    for side in Side::BOTH {
        let ordinals = 0..world.clusters[side.index()].places.len() as Ordinal;
        actions.extend(ordinals.map(|ordinal| Action::Cluster { side, ordinal }));
    }
    if world.ledger.waits() {
        actions.push(Action::Soon);
    }
    let overdue = (0..world.tasks.len()).filter(|task| is_overdue(world, *task));
    actions.extend(overdue.map(|task| Action::Overdue { task }));
    faults(world, left, &mut actions);
    actions
}

/// Whether a process waits for what its cluster does not have in mind to do.
fn is_overdue(world: &World, at: usize) -> bool {
    let task = &world.tasks[at];
    let alone = world.tasks.iter().filter(|other| other.side == task.side).count() == 1;
    let waits =
        matches!(task.next, Next::Gone | Next::Detach | Next::Bound | Next::Started | Next::ForgetLook);
    let Some(ordinal) = task::ordinal(&task.order.text.body).filter(|_| alone && waits) else { return false };
    let (mut next, mut cluster) = (world.clone(), world.clone());
    !run(&mut next, at, None) && !controllers(&mut cluster, task.side, ordinal)
}

fn faults(world: &World, left: &Faults, actions: &mut Vec<Action>) {
    for side in Side::BOTH {
        let link = &world.links[side.index()];
        if left.duplicates > 0 {
            actions.extend((0..link.up.len()).map(|at| Action::Hear { side, at, kept: true }));
            actions.extend((0..link.down.len()).map(|at| Action::Take { side, at, kept: true }));
        }
        if left.losses > 0 {
            actions.extend((0..link.up.len()).map(|at| Action::LoseOutcome { side, at }));
            actions.extend((0..link.down.len()).map(|at| Action::LoseCommand { side, at }));
        }
        let alive = world.tasks.iter().any(|task| task.side == side && !task.stopped);
        if left.agent_crashes > 0 && (alive || !link.unacknowledged.is_empty()) {
            actions.push(Action::CrashAgent { side });
        }
        if left.agents_stopped > 0 && alive {
            actions.push(Action::StopAgent { side });
        }
    }
    if left.unknowns > 0 {
        let alive = world.tasks.iter().enumerate().filter(|(_, task)| !task.stopped);
        actions.extend(alive.map(|(task, _)| Action::TimeOut { task }));
    }
    if world.ledger.work().is_some() {
        if left.controller_crashes > 0 {
            actions.push(Action::CrashController);
        }
        if left.slow_holds > 0 && world.ledger.can_age() {
            actions.push(Action::Late);
        }
        let asks = [
            (left.pauses, Wish::Pause),
            (left.resumes, Wish::Resume),
            (left.undos, Wish::Undo),
            (left.rollbacks, Wish::Rollback),
        ];
        actions
            .extend(asks.into_iter().filter(|(left, _)| *left > 0).map(|(_, asked)| Action::Ask { asked }));
        if left.restores > 0 && world.backup.is_none() {
            actions.push(Action::Backup);
        }
    }
    if left.restores > 0 && world.backup.is_some() {
        actions.push(Action::Restore);
    }
}

/// What becomes of it; none if it changes nothing.
pub(crate) fn next(world: &World, action: Action, plant: Option<Plant>, memory: &Memory) -> Option<World> {
    let mut next = world.clone();
    let changed = act(&mut next, action, plant, memory);
    if !changed {
        return None;
    }
    next.tasks.sort_unstable();
    next.renumber();
    (next != *world).then_some(next)
}

fn act(world: &mut World, action: Action, plant: Option<Plant>, memory: &Memory) -> bool {
    match action {
        Action::Take { side, at, kept } => {
            let link = &mut world.links[side.index()];
            let order = link.down[at].clone();
            if kept {
                world.left.duplicates -= 1;
            } else {
                link.down.remove(at);
            }
            take(world, side, order, plant);
        }
        Action::Hear { side, at, kept } => {
            let outcome = world.links[side.index()].up[at].clone();
            if kept {
                world.left.duplicates -= 1;
            } else {
                world.links[side.index()].up.remove(at);
            }
            tell(world, memory, &Told::Outcome(side, (*outcome.text).clone()));
        }
        Action::LoseCommand { side, .. } | Action::LoseOutcome { side, .. } => {
            world.left.losses -= 1;
            let link = &mut world.links[side.index()];
            match action {
                Action::LoseCommand { at, .. } => drop(link.down.remove(at)),
                Action::LoseOutcome { at, .. } => drop(link.up.remove(at)),
                _ => {}
            }
            link.torn = true;
        }
        Action::Run { task } => return run(world, task, plant),
        Action::TimeOut { task } => {
            world.left.unknowns -= 1;
            time_out(world, task, plant);
        }
        Action::Overdue { task } => time_out(world, task, plant),
        Action::Cluster { side, ordinal } => return controllers(world, side, ordinal),
        Action::Break { side } => detach(world, side, memory),
        Action::Attach { side } => attach(world, side, memory),
        Action::CrashAgent { side } => {
            world.left.agent_crashes -= 1;
            world.tasks.retain(|task| task.side != side || task.stopped);
            world.links[side.index()].unacknowledged.clear();
            detach(world, side, memory);
        }
        Action::StopAgent { side } => {
            world.left.agents_stopped -= 1;
            world.tasks.iter_mut().filter(|task| task.side == side).for_each(|task| task.stopped = true);
            world.links[side.index()].unacknowledged.clear();
            detach(world, side, memory);
        }
        Action::CrashController => {
            world.left.controller_crashes -= 1;
            restart(world);
        }
        Action::Soon => tell(world, memory, &Told::Soon),
        Action::Late => {
            world.left.slow_holds -= 1;
            tell(world, memory, &Told::Late);
        }
        Action::Ask { asked } => return ask(world, memory, asked),
        Action::Backup => world.backup = Some(world.ledger.clone()),
        Action::Restore => {
            world.left.restores -= 1;
            restore(world);
        }
    }
    true
}

/// The core is told one thing, and what it decides is on its way.
fn tell(world: &mut World, memory: &Memory, told: &Told) {
    let stepped = memory.step(&world.ledger, &world.heard, told);
    if let Told::Outcome(_, outcome) = told {
        rules::note_unknown(world, outcome, &stepped.ledger);
    }
    world.ledger = stepped.ledger.clone();
    if stepped.panic.is_some() {
        world.broken.insert("the core contradicts itself");
    }
    world.take(&stepped.effects);
}

fn ask(world: &mut World, memory: &Memory, asked: Wish) -> bool {
    let before = world.ledger.clone();
    match asked {
        Wish::Pause => world.left.pauses -= 1,
        Wish::Resume => world.left.resumes -= 1,
        Wish::Undo => world.left.undos -= 1,
        Wish::Rollback => world.left.rollbacks -= 1,
    }
    tell(world, memory, &Told::Asked(asked));
    // What was refused was as good as not asked.
    before != world.ledger || !world.broken.is_empty()
}

fn detach(world: &mut World, side: Side, memory: &Memory) {
    if world.heard[side.index()].attached {
        tell(world, memory, &Told::Detached(side));
    }
    world.tear(side);
}

fn attach(world: &mut World, side: Side, memory: &Memory) {
    let told = world.attaching(side);
    tell(world, memory, &told);
    let epochs = Some(world.clusters[side.index()].kept());
    world.heard[side.index()] = Heard { attached: true, epochs };
    let link = &mut world.links[side.index()];
    link.up.clone_from(&link.unacknowledged);
}

/// As `ferry-controller restore` does it.
fn restore(world: &mut World) {
    let Some(backup) = world.backup.take() else { return };
    let mut state = backup.state.clone();
    state.restored();
    world.ledger = Arc::new(Ledger::new(state, NOW));
    world.rewound = true;
    restart(world);
}

/// Everything that was not durable is gone.
fn restart(world: &mut World) {
    for side in Side::BOTH {
        world.tear(side);
        world.heard[side.index()] = Heard::default();
    }
}

/// An agent is given a command: it joins the one that runs, repeats what it said, or begins.
fn take(world: &mut World, side: Side, order: Letter<ferry_core::Command>, plant: Option<Plant>) {
    let id = &order.text.id;
    let here = |task: &&Task| task.side == side && !task.stopped;
    if world.tasks.iter().filter(here).any(|task| task.order.text.id == *id) {
        return;
    }
    let link = &mut world.links[side.index()];
    if let Some(known) = link.unacknowledged.iter().find(|outcome| outcome.text.command_id == *id).cloned() {
        put(&mut link.up, known);
        return;
    }
    overtake(world, side, &order);
    if executor::work(&order.text.body).is_some() {
        world.tasks.push(Task::new(side, order));
        return;
    }
    let result = brief::run(world, side, &order.text, plant);
    world.say(side, Outcome { command_id: order.text.id.clone(), result });
}

/// Commands of lower epochs for the same ordinal end where they stand.
fn overtake(world: &mut World, side: Side, order: &Letter<ferry_core::Command>) {
    let Some(ordinal) = task::ordinal(&order.text.body) else { return };
    let older = |task: &Task| {
        task.side == side
            && !task.stopped
            && task::ordinal(&task.order.text.body) == Some(ordinal)
            && task.order.text.epoch < order.text.epoch
    };
    let (ended, kept): (Vec<Task>, Vec<Task>) = std::mem::take(&mut world.tasks).into_iter().partition(older);
    world.tasks = kept;
    for task in ended {
        let refusal = Refusal { code: RefusalCode::StaleEpoch, message: String::new(), step: task.step() };
        let result = OutcomeResult::Refusal(refusal);
        world.say(side, Outcome { command_id: task.order.text.id.clone(), result });
    }
}

/// One step of a process.
fn run(world: &mut World, at: usize, plant: Option<Plant>) -> bool {
    let mut task = world.tasks.remove(at);
    let Some(work) = executor::work(&task.order.text.body) else { return false };
    let mut hand = Hand { world, task: &mut task, work: &work, plant };
    match executor::step(&mut hand) {
        Stepped::Wait => return false,
        Stepped::Again => task.begin_again(),
        Stepped::To(next) => task.next = next,
        Stepped::End(result) => {
            end(world, &task, *result);
            return true;
        }
    }
    world.tasks.push(task);
    true
}

/// A process says how its command ended, if anybody listens.
fn end(world: &mut World, task: &Task, result: OutcomeResult) {
    let proves = !matches!(result, OutcomeResult::Refusal(_) | OutcomeResult::Unknown(_));
    if let Some(ordinal) = task::ordinal(&task.order.text.body).filter(|_| proves) {
        let place = world.clusters[task.side.index()].place_mut(ordinal);
        place.proved = place.proved.max(task.epoch());
    }
    if !task.stopped {
        world.say(task.side, Outcome { command_id: task.order.text.id.clone(), result });
    }
}

fn time_out(world: &mut World, at: usize, plant: Option<Plant>) {
    let mut task = world.tasks.remove(at);
    let unknown = Unknown { step: task.step(), ..Unknown::default() };
    let mut result = OutcomeResult::Unknown(unknown);
    if plant == Some(Plant::UnknownIsSuccess)
        && let CommandBody::Release { .. } = task.order.text.body
        && let Some(work) = executor::work(&task.order.text.body)
    {
        task.next = Next::Still;
        let hand = Hand { world, task: &mut task, work: &work, plant };
        if let Stepped::End(evidence) = release::evidence(&hand) {
            result = *evidence;
        }
    }
    end(world, &task, result);
}

/// The cluster's own controllers, one thing at a time.
fn controllers(world: &mut World, side: Side, ordinal: Ordinal) -> bool {
    let cluster = &mut world.clusters[side.index()];
    let wants = cluster.wants(ordinal);
    let place = cluster.place_mut(ordinal);
    match (wants, place.pod) {
        (true, None) if place.has_gap() => {
            world.broken.insert("H13: a pod gets an empty disk");
        }
        (true, None) if place.is_complete() => {
            place.pods += 1;
            place.pod = Some(place.pods);
            place.disks.iter_mut().for_each(|disk| disk.attached = true);
        }
        (false, Some(_)) => place.pod = None,
        (_, None) if place.disks.iter().any(|disk| disk.attached) => {
            place.disks.iter_mut().for_each(|disk| disk.attached = false);
        }
        _ => return false,
    }
    true
}
