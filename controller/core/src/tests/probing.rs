//! A probe of the storage between two clusters, part by part, failing in each of them.
//!
//! The agents' side is played by hand, because what matters is which cluster is told what after which answer: above all
//! that the disk is removed once the target has nothing of it, and never before. The ledger knows nothing of any of it.
//! What the agents do in their clusters is tested end to end.

use super::world::{PLAIN, World, name};
use crate::command::{Probe, ProbePart};
use crate::facts::{Manifest, Outcome, OutcomeResult, Probed, Refusal, RefusalCode, Unknown};
use crate::input::{ProbeRequest, Request};
use crate::{CommandBody, Input, Rejection, Reply, RequestId};

struct Trial {
    world: World,
    request: RequestId,
}

fn asked() -> ProbeRequest {
    ProbeRequest {
        from: name("east"),
        to: name("west"),
        namespace: "default".to_owned(),
        from_class: "fast".to_owned(),
        to_class: "premium".to_owned(),
        image: "tool:1".to_owned(),
    }
}

fn begun() -> Trial {
    let mut world = World::new(PLAIN);
    world.attach_all();
    world.settle();
    let request = world.ask(Request::ProbeStorage { asked: asked(), by: "alice".to_owned() });
    Trial { world, request }
}

impl Trial {
    /// The command that was sent last: to whom, and which part.
    fn told(&self) -> (String, Probe) {
        let (cluster, command) = self.world.sent.last().unwrap();
        let CommandBody::Probe(probe) = &command.body else { panic!("{command:?}") };
        assert!(!command.workload.name.rsplit('-').next().unwrap().bytes().all(|byte| byte.is_ascii_digit()));
        (cluster.as_str().to_owned(), (**probe).clone())
    }

    fn ends(&mut self, result: OutcomeResult) {
        let (cluster, command) = self.world.sent.last().unwrap().clone();
        let session = self.world.links[&cluster].session.unwrap();
        let outcome = Box::new(Outcome { command_id: command.id, result });
        self.world.step(Input::Outcome { cluster, session, outcome });
    }

    fn made(&mut self) {
        assert_eq!(self.told().1.part, ProbePart::Make);
        let volume = Manifest { name: "pv".to_owned(), ..Manifest::default() };
        self.ends(probed(Probed { volume, ..Probed::default() }));
        let (cluster, told) = self.told();
        assert_eq!((cluster.as_str(), told.part), ("west", ProbePart::Read));
        assert_eq!((told.storage_class.as_str(), told.volume.unwrap().name.as_str()), ("premium", "pv"));
    }

    fn read(&mut self) {
        let read = self.told().1.nonce;
        self.ends(probed(Probed { read, ..Probed::default() }));
        self.is_removing();
    }

    fn is_removing(&self) {
        let (cluster, told) = self.told();
        assert_eq!((cluster.as_str(), told.part), ("east", ProbePart::Remove));
    }

    /// The reply is a failure with these words, and nothing is out any more.
    fn failed(&mut self, words: &[&str]) {
        match self.world.replies.remove(&self.request) {
            Some(Reply::Rejected(Rejection::ProbeFailed(message))) => {
                for word in words {
                    assert!(message.contains(word), "{message}");
                }
            }
            other => panic!("{other:?}"),
        }
        assert!(self.world.core.observed().probes.is_empty());
    }
}

fn probed(found: Probed) -> OutcomeResult {
    OutcomeResult::Probed(Box::new(found))
}

fn problem(words: &str) -> OutcomeResult {
    probed(Probed { problem: words.to_owned(), ..Probed::default() })
}

#[test]
fn a_disk_crosses_and_is_removed_and_the_ledger_knows_nothing_of_it() {
    let mut trial = begun();
    let before = trial.world.core.state().ledger.clone();
    trial.made();
    trial.read();
    trial.ends(probed(Probed::default()));
    match trial.world.replies.remove(&trial.request) {
        Some(Reply::StorageProbed { steps, .. }) => assert_eq!(steps.len(), 3),
        other => panic!("{other:?}"),
    }
    assert_eq!(trial.world.core.state().ledger, before);
}

#[test]
fn a_disk_that_cannot_be_made_is_removed_where_it_was_begun() {
    let mut trial = begun();
    trial.ends(problem("no such class"));
    trial.is_removing();
    trial.ends(probed(Probed::default()));
    trial.failed(&["making the disk in east: no such class", "nothing of it is left"]);
}

#[test]
fn h22_a_disk_that_cannot_be_read_or_is_another_is_removed_once_the_target_let_go() {
    for (answer, words) in [
        (problem("no such handle"), "reading the disk in west: no such handle"),
        (probed(Probed { read: "else".to_owned(), ..Probed::default() }), "another disk"),
    ] {
        let mut trial = begun();
        trial.made();
        trial.ends(answer);
        trial.is_removing();
        trial.ends(probed(Probed::default()));
        trial.failed(&[words, "nothing of it is left"]);
    }
}

#[test]
fn nothing_is_removed_while_the_target_may_hold_the_disk() {
    let left =
        Probed { problem: "attached yet".to_owned(), left: vec!["Pod a/b".to_owned()], ..Probed::default() };
    let refusal = Refusal { code: RefusalCode::Denied, message: "may not".to_owned(), step: 0 };
    for (answer, words) in [
        (probed(left), ["attached yet", "left in west: Pod a/b"]),
        (OutcomeResult::Unknown(Unknown::default()), ["reading the disk in west", "ferry.dev/probe="]),
        (OutcomeResult::Refusal(refusal), ["may not", "Nothing was removed"]),
    ] {
        let mut trial = begun();
        trial.made();
        trial.ends(answer);
        assert_eq!(trial.told().1.part, ProbePart::Read, "the source was told to remove it");
        trial.failed(&words);
    }
}

#[test]
fn a_disk_that_cannot_be_removed_is_a_failure_that_names_it() {
    let mut trial = begun();
    trial.made();
    trial.read();
    let left = vec!["PersistentVolume pv".to_owned()];
    trial.ends(probed(Probed { problem: "its provisioner is away".to_owned(), left, ..Probed::default() }));
    trial.failed(&["read the same", "its provisioner is away", "left in east: PersistentVolume pv"]);
}

#[test]
fn an_agent_that_comes_back_is_told_again_and_one_that_does_not_is_given_up() {
    let mut trial = begun();
    trial.made();
    trial.world.detach("west");
    let sent = trial.world.sent.len();
    trial.world.attach("west");
    assert!(trial.world.sent.len() > sent, "the part is not told again");
    assert_eq!(trial.told().1.part, ProbePart::Read);
    trial.world.detach("west");
    while trial.world.core.observed().probes.len() == 1 && trial.world.advance() {}
    trial.failed(&["west did not answer", "Nothing was removed"]);
}

#[test]
fn a_probe_needs_both_clusters_and_names() {
    let mut world = World::new(PLAIN);
    world.attach_all();
    world.settle();
    let probe = |asked| Request::ProbeStorage { asked, by: "alice".to_owned() };
    let same = world.answer(probe(ProbeRequest { to: name("east"), ..asked() }));
    assert!(matches!(same, Reply::Rejected(Rejection::Invalid(_))), "{same:?}");
    world.detach("west");
    let away = world.answer(probe(asked()));
    assert!(matches!(away, Reply::Rejected(Rejection::ClusterNotAttached(_))), "{away:?}");
}
