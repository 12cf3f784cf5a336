//! A world in miniature: clusters whose agents are honest, links that are not, and a referee.
//!
//! The model shares no logic with the core: a cluster is tables of objects, an agent carries commands out on them as
//! handoff.md says, in small writes between which it may die. Links keep order while they last and lose everything
//! when they break. After every write the referee looks at all clusters at once (I1 to I3); after every step the
//! folded entries must give the core's state to the byte.

mod agent;
mod cluster;
mod referee;
mod run;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::effect::{Decision, Effect};
use crate::facts::{EndpointsReport, MirrorApplied, Outcome, OutcomeResult, Resync};
use crate::{ClusterName, Core, Entry, Input, Millis, Reply, RequestId, Session};
use crate::{State, Workload};

pub(super) use agent::Mood;
pub(super) use cluster::Cluster;

/// How the moved StatefulSet looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) start: u32,
    pub(super) replicas: u32,
    pub(super) templates: u32,
    pub(super) service: bool,
}

pub(super) const PLAIN: Shape = Shape { start: 0, replicas: 3, templates: 1, service: true };

/// What a controller says to an agent.
type Down = Effect;
/// What an agent says to a controller; the session is filled in on the way.
type Up = Box<dyn Fn(ClusterName, Session) -> Input>;

/// One agent's process and its link.
#[derive(Default)]
pub(super) struct Link {
    pub(super) session: Option<Session>,
    pub(super) down: VecDeque<Down>,
    pub(super) up: VecDeque<Up>,
}

pub(super) struct World {
    pub(super) core: Core,
    pub(super) folded: State,
    pub(super) log: Vec<Entry>,
    /// State as JSON before the first entry, and after each step: (entries so far, bytes).
    pub(super) snapshots: Vec<(usize, Vec<u8>)>,
    pub(super) clusters: BTreeMap<ClusterName, Cluster>,
    pub(super) links: BTreeMap<ClusterName, Link>,
    pub(super) now: Millis,
    pub(super) wake_at: Option<Millis>,
    pub(super) replies: BTreeMap<RequestId, Reply>,
    pub(super) closed: Vec<(ClusterName, Session, String)>,
    pub(super) acked: Vec<(ClusterName, crate::CommandId)>,
    pub(super) sent: Vec<(ClusterName, crate::Command)>,
    pub(super) epochs_used: BTreeSet<(u32, u64)>,
    pub(super) keep_snapshots: bool,
    /// The highest epoch of each ordinal so far.
    highest: BTreeMap<u32, u64>,
    sessions: u64,
    requests: u64,
}

pub(super) fn db() -> Workload {
    Workload::new("shop", "db")
}

pub(super) fn name(text: &str) -> ClusterName {
    ClusterName::from(text)
}

impl World {
    /// Cluster east runs the workload, west and north are empty.
    pub(super) fn new(shape: Shape) -> Self {
        let clusters: BTreeMap<ClusterName, Cluster> = [("east", 1), ("west", 2), ("north", 3)]
            .into_iter()
            .map(|(of, net)| (name(of), Cluster::new(of, net)))
            .collect();
        let links = clusters.keys().map(|of| (of.clone(), Link::default())).collect();
        let mut world = Self {
            core: Core::new(State::default()),
            folded: State::default(),
            log: Vec::new(),
            snapshots: Vec::new(),
            clusters,
            links,
            now: Millis(1_000_000),
            wake_at: None,
            replies: BTreeMap::new(),
            closed: Vec::new(),
            acked: Vec::new(),
            sent: Vec::new(),
            epochs_used: BTreeSet::new(),
            keep_snapshots: false,
            highest: BTreeMap::new(),
            sessions: 0,
            requests: 0,
        };
        world.cluster("east").seed(shape);
        world
    }

    pub(super) fn cluster(&mut self, of: &str) -> &mut Cluster {
        self.clusters.get_mut(&name(of)).unwrap()
    }

    /// One step of the core, with everything that must hold after it.
    pub(super) fn step(&mut self, input: Input) {
        let told = format!("{input:?}");
        let Decision { entries, effects, wake_at } = self.core.step(input, self.now);
        for entry in &entries {
            self.folded.apply(entry);
            self.note_epoch(entry);
        }
        self.log.extend(entries);
        assert_eq!(self.core.state().check(), Ok(()), "after {told}");
        self.look_at_epochs();
        assert!(self.folded == *self.core.state(), "the fold of the entries is not the state after {told}");
        if self.keep_snapshots {
            self.snapshots.push((self.log.len(), serde_json::to_vec(self.core.state()).unwrap()));
        }
        self.wake_at = wake_at;
        assert!(wake_at.is_none_or(|at| at > self.now), "a timer in the past would spin");
        for effect in effects {
            self.route(effect);
        }
    }

    /// I5: an ordinal's epoch never falls, and a command never has one above its ordinal's.
    fn look_at_epochs(&mut self) {
        let record = self.core.state().ledger.workloads.get(&db());
        for (ordinal, known) in record.into_iter().flat_map(|record| &record.ordinals) {
            let before = self.highest.insert(*ordinal, known.epoch.0).unwrap_or_default();
            assert!(known.epoch.0 >= before, "the epoch of {ordinal} fell from {before} to {}", known.epoch);
        }
    }

    fn note_epoch(&mut self, entry: &Entry) {
        if let Entry::Moved { event, .. } = entry
            && let crate::migration::Event::HandoffBegan { ordinal, epoch } = &**event
        {
            let higher = self.epochs_used.iter().any(|(of, used)| of == ordinal && *used >= epoch.0);
            assert!(!higher, "epoch {epoch} of ordinal {ordinal} was used before");
            self.epochs_used.insert((*ordinal, epoch.0));
        }
    }

    fn route(&mut self, effect: Effect) {
        match &effect {
            Effect::Send { cluster, session, command } => {
                self.sent.push((cluster.clone(), (**command).clone()));
                self.push_down(&cluster.clone(), *session, effect);
            }
            Effect::AckOutcome { cluster, session, command_id } => {
                self.acked.push((cluster.clone(), command_id.clone()));
                self.push_down(&cluster.clone(), *session, effect);
            }
            Effect::SetGoverned { cluster, session, .. } | Effect::Mirror { cluster, session, .. } => {
                self.push_down(&cluster.clone(), *session, effect);
            }
            Effect::Reply { request, reply } => {
                let before = self.replies.insert(*request, (**reply).clone());
                assert!(before.is_none(), "two replies to one request");
            }
            Effect::MigrationChanged(_) => {}
            Effect::CloseSession { cluster, session, reason } => {
                self.closed.push((cluster.clone(), *session, reason.clone()));
                if self.links[cluster].session == Some(*session) {
                    let cluster = cluster.clone();
                    self.detach(cluster.as_str());
                }
            }
        }
    }

    fn push_down(&mut self, cluster: &ClusterName, session: Session, effect: Effect) {
        let link = self.links.get_mut(cluster).unwrap();
        assert_eq!(link.session, Some(session), "an effect for a stream that is gone: {effect:?}");
        link.down.push_back(effect);
    }

    pub(super) fn attach(&mut self, of: &str) {
        let cluster = name(of);
        self.sessions += 1;
        let session = Session(self.sessions);
        *self.links.get_mut(&cluster).unwrap() = Link { session: Some(session), ..Link::default() };
        let resync: Resync = self.clusters[&cluster].resync();
        self.step(Input::Attached { cluster: cluster.clone(), session, resync: Box::new(resync) });
        let unacked: Vec<Outcome> = self.clusters[&cluster].agent.unacked.values().cloned().collect();
        for outcome in unacked {
            self.say_outcome(&cluster, outcome);
        }
    }

    pub(super) fn detach(&mut self, of: &str) {
        let cluster = name(of);
        let link = std::mem::take(self.links.get_mut(&cluster).unwrap());
        if let Some(session) = link.session {
            self.step(Input::Detached { cluster, session });
        }
    }

    pub(super) fn attach_all(&mut self) {
        for of in ["east", "west", "north"] {
            if self.links[&name(of)].session.is_none() {
                self.attach(of);
            }
        }
    }

    /// The agent's process dies: what it had not said is lost, what it wrote stays.
    pub(super) fn kill_agent(&mut self, of: &str) {
        self.detach(of);
        self.cluster(of).restart_agent();
    }

    /// The controller dies after its last commit and replays.
    pub(super) fn kill_controller(&mut self) {
        let bytes = serde_json::to_vec(&self.folded).unwrap();
        let state: State = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_vec(&state).unwrap(), bytes, "a snapshot reads back to other bytes");
        self.core = Core::new(state);
        for link in self.links.values_mut() {
            *link = Link::default();
        }
        self.wake_at = None;
    }

    /// A controller goes on from an old copy of the ledger; what the clusters keep is of now.
    pub(super) fn restore(&mut self, copy: State) {
        self.folded = copy;
        self.highest.clear();
        self.kill_controller();
    }

    pub(super) fn say_outcome(&mut self, cluster: &ClusterName, outcome: Outcome) {
        let link = self.links.get_mut(cluster).unwrap();
        link.up.push_back(Box::new(move |cluster, session| Input::Outcome {
            cluster,
            session,
            outcome: Box::new(outcome.clone()),
        }));
    }

    pub(super) fn say_endpoints(&mut self, cluster: &ClusterName) {
        let of = self.clusters.get_mut(cluster).unwrap();
        if !of.governed {
            return;
        }
        let report: EndpointsReport = of.endpoints_report();
        let link = self.links.get_mut(cluster).unwrap();
        link.up.push_back(Box::new(move |cluster, session| Input::Endpoints {
            cluster,
            session,
            report: Box::new(report.clone()),
        }));
    }

    pub(super) fn say_inventory(&mut self, cluster: &ClusterName) {
        let inventory = self.clusters[cluster].inventory();
        let link = self.links.get_mut(cluster).unwrap();
        link.up.push_back(Box::new(move |cluster, session| Input::Inventory {
            cluster,
            session,
            inventory: Box::new(inventory.clone()),
        }));
    }

    /// The agent takes the next message. Whether there was one.
    pub(super) fn deliver_down(&mut self, of: &str) -> bool {
        let cluster = name(of);
        let Some(effect) = self.links.get_mut(&cluster).unwrap().down.pop_front() else {
            return false;
        };
        match effect {
            Effect::Send { command, .. } => self.carry_out(&cluster, &command),
            Effect::AckOutcome { command_id, .. } => {
                self.cluster(of).agent.unacked.remove(&command_id);
            }
            Effect::SetGoverned { services, .. } => {
                self.cluster(of).governed = !services.is_empty();
                self.say_endpoints(&cluster);
            }
            Effect::Mirror { mirror, .. } => {
                let error = self.cluster(of).take_mirror(&mirror);
                let applied = MirrorApplied {
                    service: mirror.report.service.clone(),
                    origin: mirror.origin.clone(),
                    revision: mirror.report.revision,
                    origin_instance_id: mirror.origin_instance_id.clone(),
                    error,
                };
                let link = self.links.get_mut(&cluster).unwrap();
                link.up.push_back(Box::new(move |cluster, session| Input::MirrorApplied {
                    cluster,
                    session,
                    applied: applied.clone(),
                }));
            }
            Effect::Reply { .. } | Effect::MigrationChanged(_) | Effect::CloseSession { .. } => {
                unreachable!()
            }
        }
        true
    }

    /// The controller takes the agent's next message. Whether there was one.
    pub(super) fn deliver_up(&mut self, of: &str) -> bool {
        let cluster = name(of);
        let link = self.links.get_mut(&cluster).unwrap();
        let (Some(session), Some(say)) = (link.session, link.up.pop_front()) else {
            return false;
        };
        let input = say(cluster, session);
        self.step(input);
        true
    }

    /// The agent carries the nth command from now out in that mood.
    pub(super) fn mood_on(&mut self, of: &str, nth: usize, mood: Mood) {
        self.cluster(of).agent.mood_on = Some((nth, mood));
    }

    /// A process that was paused wakes up and does what it was told long ago; nobody hears of it.
    pub(super) fn carry_out_late(&mut self, of: &str, nth: usize) {
        let told: Vec<crate::Command> = self
            .sent
            .iter()
            .filter(|(cluster, _)| cluster.as_str() == of)
            .map(|(_, command)| command.clone())
            .collect();
        if told.is_empty() {
            return;
        }
        let writes = agent::writes(self.cluster(of), &told[nth % told.len()]);
        for write in writes.unwrap_or_default() {
            write(self.cluster(of));
            referee::look(&self.clusters);
        }
    }

    fn mood_for(&mut self, cluster: &ClusterName) -> Mood {
        let agent = &mut self.clusters.get_mut(cluster).unwrap().agent;
        if let Some((nth, mood)) = agent.mood_on.take() {
            if nth <= 1 {
                return mood;
            }
            agent.mood_on = Some((nth - 1, mood));
        }
        std::mem::take(&mut agent.mood)
    }

    fn carry_out(&mut self, cluster: &ClusterName, command: &crate::Command) {
        let mood = self.mood_for(cluster);
        if let Some(known) = self.clusters[cluster].agent.unacked.get(&command.id).cloned() {
            return self.say_outcome(cluster, known);
        }
        let writes = agent::writes(&self.clusters[cluster], command);
        let stop_after = match mood {
            Mood::DieAfter(count) | Mood::UnknownAfter(count) => count,
            Mood::Honest => usize::MAX,
            Mood::Refuse(_) => 0,
        };
        let result = match (&mood, writes) {
            (Mood::Refuse(code), _) => OutcomeResult::Refusal(agent::refusal(*code, "as the test says")),
            (_, Err(refusal)) => OutcomeResult::Refusal(refusal),
            (_, Ok(writes)) => {
                if matches!(command.body, crate::CommandBody::Retire { .. }) {
                    referee::endpoints_converged(&self.clusters, cluster, &command.body);
                }
                for write in writes.into_iter().take(stop_after) {
                    write(self.clusters.get_mut(cluster).unwrap());
                    referee::look(&self.clusters);
                }
                match mood {
                    Mood::DieAfter(_) => return self.kill_agent(cluster.as_str()),
                    Mood::UnknownAfter(_) => OutcomeResult::Unknown(crate::facts::Unknown::default()),
                    Mood::Honest | Mood::Refuse(_) => agent::evidence(&self.clusters[cluster], command),
                }
            }
        };
        let outcome = Outcome { command_id: command.id.clone(), result };
        let agent = &mut self.cluster(cluster.as_str()).agent;
        agent.unacked.insert(command.id.clone(), outcome.clone());
        agent.said.push(outcome.clone());
        self.say_outcome(cluster, outcome);
        self.say_inventory(cluster);
        self.say_endpoints(cluster);
    }
}
