//! Letting the world run, and what people ask of it.
//!
//! Time passes only here, from timer to timer, so a test of minutes takes none. Every loop has an end: a migration that
//! waits for nothing that can come fails at once and says where it stands, which is how liveness is tested (I9).
//! Requests go the way of all inputs; a reply is an effect like any other.

use super::{World, db, name};
use crate::input::{PlanRequest, Request};
use crate::migration::Ask;
use crate::{Entry, Input, Migration, Order, Phase, PlanHash, Reply, RequestId, State};

impl World {
    /// Everything that is on its way arrives; time stands still.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for of in ["east", "west", "north"] {
                moved |= self.deliver_down(of);
                moved |= self.deliver_up(of);
            }
            if !moved {
                return;
            }
        }
        panic!("messages never stop");
    }

    /// Everything that one cluster is told and says arrives.
    pub(crate) fn deliver_all(&mut self, of: &str) {
        while self.deliver_down(of) {}
        while self.deliver_up(of) {}
    }

    /// Verbs of the commands that a cluster was sent after its first release.
    pub(crate) fn verbs(&self, of: &str) -> Vec<&'static str> {
        let verbs = self.sent.iter().filter(|(cluster, _)| cluster.as_str() == of);
        verbs.map(|(_, command)| command.body.verb()).skip_while(|verb| *verb != "release").collect()
    }

    /// Everything that one cluster says arrives.
    pub(crate) fn settle_only(&mut self, of: &str) {
        while self.deliver_up(of) {}
    }

    /// Lets time pass, to the next timer each time, until the condition holds.
    pub(crate) fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            self.settle();
            if done(self) {
                return;
            }
            let Some(at) = self.wake_at else {
                panic!("{what}: nothing is on its way and no timer is set: {:?}", self.migrations());
            };
            self.now = at;
            self.step(Input::Timer);
        }
        panic!("{what}: it never comes: {:?}", self.migrations());
    }

    /// Until a command of that verb is on its way.
    pub(crate) fn run_until_sent(&mut self, verb: &str) {
        for _ in 0..1_000 {
            if self.sent.iter().any(|(_, command)| command.body.verb() == verb) {
                return;
            }
            let moved =
                ["east", "west", "north"].iter().any(|of| self.deliver_down(of) || self.deliver_up(of));
            if !moved {
                self.now = self.wake_at.expect("a timer");
                self.step(Input::Timer);
            }
        }
        panic!("{verb} is never sent");
    }

    pub(crate) fn migrations(&self) -> Vec<&Migration> {
        self.core.state().migrations.values().collect()
    }

    pub(crate) fn migration(&self) -> &Migration {
        self.migrations().into_iter().max_by_key(|migration| migration.number).unwrap()
    }

    pub(crate) fn ask(&mut self, body: Request) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.step(Input::Request { request, body });
        request
    }

    pub(crate) fn answer(&mut self, body: Request) -> Reply {
        let request = self.ask(body);
        self.settle();
        self.replies.remove(&request).expect("a reply")
    }

    pub(crate) fn plan(&mut self, from: &str, to: &str, order: Order) -> crate::Plan {
        let asked = PlanRequest {
            workload: db(),
            from: Some(name(from)),
            to: name(to),
            order,
            ..PlanRequest::default()
        };
        match self.answer(Request::CreatePlan(asked)) {
            Reply::Planned(plan) => *plan,
            other => panic!("no plan: {other:?}"),
        }
    }

    pub(crate) fn start(&mut self, hash: &PlanHash) -> RequestId {
        self.ask(Request::StartMigration { hash: hash.clone(), by: "ann".to_owned() })
    }

    /// Plans and starts; the migration is on its way when this returns.
    pub(crate) fn begin(&mut self, from: &str, to: &str, order: Order) {
        self.attach_all();
        self.settle();
        let plan = self.plan(from, to, order);
        let hash = plan.hash.unwrap_or_else(|| panic!("refused: {:?}", plan.findings));
        let request = self.start(&hash);
        for _ in 0..100 {
            if self.replies.contains_key(&request) {
                break;
            }
            for of in ["east", "west", "north"] {
                self.deliver_down(of);
                self.deliver_up(of);
            }
        }
        assert!(
            matches!(self.replies.get(&request), Some(Reply::Started(_))),
            "{:?}",
            self.replies.get(&request)
        );
    }

    /// The next message arrives, or the next timer comes. Whether anything was to come.
    pub(crate) fn advance(&mut self) -> bool {
        if ["east", "west", "north"].iter().any(|of| self.deliver_down(of) || self.deliver_up(of)) {
            return true;
        }
        let Some(at) = self.wake_at else { return false };
        self.now = at;
        self.step(Input::Timer);
        true
    }

    /// Asks something of the migration; the refusal's code, if it is refused.
    pub(crate) fn control(&mut self, asked: Ask) -> Result<(), &'static str> {
        let (id, by) = (self.migration().id.clone(), "ann".to_owned());
        let body = match asked {
            Ask::Pause => Request::PauseMigration { id, by },
            Ask::Resume => Request::ResumeMigration { id, by },
            Ask::Undo => Request::RollbackMigration { id, all: false, by },
            Ask::Rollback => Request::RollbackMigration { id, all: true, by },
        };
        let request = self.ask(body);
        match self.replies.remove(&request) {
            Some(Reply::Migration(told)) => {
                assert_eq!(*told, *self.migration(), "what it says is not what it is");
                Ok(())
            }
            Some(Reply::Rejected(rejection)) => Err(rejection.code()),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// The whole crossing, without faults.
    pub(crate) fn cross(&mut self, from: &str, to: &str, order: Order) {
        self.begin(from, to, order);
        self.run_until("the end", |world| world.migration().phase.is_over());
        assert_eq!(self.migration().phase, Phase::Completed, "{:?}", self.migration());
    }

    /// Replays from every snapshot that was kept: the same bytes at the end.
    pub(crate) fn replay_from_every_snapshot(&self) {
        let end = serde_json::to_vec(self.core.state()).unwrap();
        assert!(!self.snapshots.is_empty());
        for (entries, bytes) in &self.snapshots {
            let mut state: State = serde_json::from_slice(bytes).unwrap();
            for entry in &self.log[*entries..] {
                // Through JSON, as the journal does.
                let entry: Entry = serde_json::from_slice(&serde_json::to_vec(entry).unwrap()).unwrap();
                state.apply(&entry);
            }
            assert!(serde_json::to_vec(&state).unwrap() == end, "replay from entry {entries} differs");
        }
    }
}
