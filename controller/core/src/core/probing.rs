//! K6 on request: a scratch disk is made in one cluster, read in another, and removed (handoff.md, H22).
//!
//! Three commands, one after the other. Whatever goes wrong while the disk is made, or while it is read, the source is
//! still told to remove it; but only once the target has said that nothing of it is left there. Where that is not known
//! nothing is removed: the answer names what is left. An agent that goes away is waited for until the probe's deadline,
//! and told again when it is back. None of it is in the ledger: the names are no StatefulSet's, and no inventory has them.

use crate::command::{Command, CommandBody, Probe, ProbePart};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::facts::{Manifest, OutcomeResult, Probed};
use crate::ids::{ClusterName, CommandId, Epoch, RequestId, Session, Workload};
use crate::input::ProbeRequest;
use crate::limits;
use crate::migration::timeout_ms;
use crate::probe::Probing;
use crate::rejection::Rejection;
use crate::reply::Reply;

use super::Step;

impl Step<'_> {
    /// Begins, and answers later; or says why not.
    pub(super) fn probe(&mut self, request: RequestId, asked: ProbeRequest) -> Option<Reply> {
        if let Err(rejection) = self.may_probe(&asked) {
            return Some(Reply::Rejected(rejection));
        }
        let number = self.state.inspections + 1;
        self.record(Entry::InspectionNumbered { number });
        // No StatefulSet's claim ends like this, so nothing takes it for a workload's.
        let name = format!("ferry-probe-{number}-t{}", self.now.0);
        let nonce = format!("{name} {} {}", asked.from, asked.to);
        let probing = Probing {
            request,
            cluster: asked.from.clone(),
            command: Command {
                id: CommandId(String::new()),
                epoch: Epoch(0),
                timeout_ms: 0,
                workload: Workload { namespace: asked.namespace.clone(), name },
                migration: None,
                generation: self.state.generation(),
                body: part(&asked, &nonce, ProbePart::Make, None),
            },
            asked,
            nonce,
            steps: Vec::new(),
            failure: None,
            deadline: self.now.plus(limits::PROBE_DEADLINE_MS),
        };
        self.go_on(number, probing, ProbePart::Make, None);
        None
    }

    fn may_probe(&self, asked: &ProbeRequest) -> Result<(), Rejection> {
        let ProbeRequest { from, to, namespace, from_class, to_class, image } = asked;
        if [from.as_str(), to.as_str(), namespace, from_class, to_class, image].contains(&"") || from == to {
            return Err(Rejection::Invalid(
                "a probe needs two clusters, a namespace, a StorageClass in each and an image".to_owned(),
            ));
        }
        if self.observed.probes.len() >= limits::PROBES {
            return Err(Rejection::Busy(format!("{} probes are under way: try again", limits::PROBES)));
        }
        match [from, to].into_iter().find(|of| self.observed.session(of).is_none()) {
            Some(away) => Err(Rejection::ClusterNotAttached(format!(
                "cluster {away} is not attached: see to its agent, then probe again"
            ))),
            None => Ok(()),
        }
    }

    /// Sends the next part.
    fn go_on(&mut self, number: u64, mut probing: Probing, next: ProbePart, volume: Option<Manifest>) {
        let body = part(&probing.asked, &probing.nonce, next, volume);
        let (cluster, verb) = match next {
            ProbePart::Make => (&probing.asked.from, 1),
            ProbePart::Read => (&probing.asked.to, 2),
            ProbePart::Remove => (&probing.asked.from, 3),
        };
        probing.cluster = cluster.clone();
        probing.command = Command {
            id: CommandId(format!("probe-{number}/-/{}/{verb}", body.verb())),
            timeout_ms: timeout_ms(&body),
            body,
            ..probing.command
        };
        let session = self.observed.session(&probing.cluster);
        if let Some(session) = session {
            self.release(send(&probing, session));
        }
        self.observed.probes.insert(number, probing);
    }

    pub(super) fn resend_probes(&mut self, cluster: &ClusterName, session: Session) {
        let all = self.observed.probes.values().filter(|probing| probing.cluster == *cluster);
        let sends: Vec<Effect> = all.map(|probing| send(probing, session)).collect();
        self.effects.extend(sends);
    }

    pub(super) fn probe_of(&self, cluster: &ClusterName, id: &CommandId) -> Option<u64> {
        let mut all = self.observed.probes.iter();
        let found = all.find(|(_, probing)| probing.cluster == *cluster && probing.command.id == *id);
        found.map(|(number, _)| *number)
    }

    /// A part has ended.
    pub(super) fn probed(&mut self, number: u64, result: OutcomeResult) {
        let Some(mut probing) = self.observed.probes.remove(&number) else { return };
        let CommandBody::Probe(told) = &probing.command.body else { return };
        let part = told.part;
        let found = match result {
            OutcomeResult::Probed(found) => *found,
            other => {
                let why = match other {
                    OutcomeResult::Refusal(refusal) => refusal.message,
                    OutcomeResult::Unknown(unknown) => unknown.message,
                    other => {
                        format!("it answered with {}: run agents of the controller's version", other.name())
                    }
                };
                let (cluster, doing) = (probing.cluster.clone(), doing(part));
                return self.probe_failed(probing, &format!("{doing} in {cluster}: {why}"), None);
            }
        };
        let cluster = probing.cluster.clone();
        let mut problem = found.problem.clone();
        if part == ProbePart::Read && problem.is_empty() && found.read != probing.nonce {
            problem = format!(
                "the disk holds {:?}, expected {:?}: the handle means another disk there. Set the clusters' storage \
                 domains apart (`ferry storage domain set`)",
                limits::cut(&found.read),
                probing.nonce
            );
        }
        if problem.is_empty() {
            probing.steps.push(done(part, &probing));
        } else {
            let failure = format!("{} in {cluster}: {}", doing(part), limits::cut(&problem));
            probing.failure.get_or_insert(failure);
        }
        match part {
            ProbePart::Make if problem.is_empty() => {
                self.go_on(number, probing, ProbePart::Read, Some(found.volume));
            }
            // What the target has may be attached there: nobody deletes the disk under it.
            ProbePart::Read if !found.left.is_empty() => {
                self.probe_failed(probing, "nothing was removed", Some(&found));
            }
            ProbePart::Make | ProbePart::Read => self.go_on(number, probing, ProbePart::Remove, None),
            ProbePart::Remove if probing.failure.is_none() && found.left.is_empty() => {
                let (name, steps) = (probing.command.workload.name, probing.steps);
                self.reply(probing.request, Reply::StorageProbed { name, steps });
            }
            ProbePart::Remove => self.probe_failed(probing, "", Some(&found)),
        }
    }

    /// Answers that the probe failed: where, why, and what is left.
    fn probe_failed(&mut self, probing: Probing, last: &str, found: Option<&Probed>) {
        let Probing { request, command, cluster, failure, steps, .. } = probing;
        let mut words: Vec<String> = steps;
        words.extend(failure.map(|failure| format!("failed: {failure}")));
        if !last.is_empty() {
            words.push(last.to_owned());
        }
        let Workload { namespace, name } = &command.workload;
        match found {
            Some(found) if found.left.is_empty() => words.push("nothing of it is left".to_owned()),
            Some(found) => words.push(format!(
                "left in {cluster}: {}. Look at them, then remove them by hand",
                limits::cut(&found.left.join(", "))
            )),
            None => words.push(format!(
                "what is left of it has the label ferry.dev/probe={name}: pods and claims in namespace {namespace}, \
                 PersistentVolumes, in both clusters. Nothing was removed; look at them, then remove them by hand"
            )),
        }
        self.reply(request, Reply::Rejected(Rejection::ProbeFailed(words.join("; "))));
    }

    pub(super) fn expire_probes(&mut self) {
        let now = self.now;
        let all = self.observed.probes.iter().filter(|(_, probing)| probing.deadline <= now);
        let expired: Vec<u64> = all.map(|(number, _)| *number).collect();
        for number in expired {
            if let Some(probing) = self.observed.probes.remove(&number) {
                let why = format!(
                    "cluster {} did not answer within {} s",
                    probing.cluster,
                    limits::PROBE_DEADLINE_MS / 1000
                );
                self.probe_failed(probing, &why, None);
            }
        }
    }
}

fn send(probing: &Probing, session: Session) -> Effect {
    Effect::Send { cluster: probing.cluster.clone(), session, command: Box::new(probing.command.clone()) }
}

fn part(asked: &ProbeRequest, nonce: &str, part: ProbePart, volume: Option<Manifest>) -> CommandBody {
    let storage_class = if part == ProbePart::Read { &asked.to_class } else { &asked.from_class };
    CommandBody::Probe(Box::new(Probe {
        part,
        storage_class: storage_class.clone(),
        image: asked.image.clone(),
        nonce: nonce.to_owned(),
        volume,
        patience_ms: limits::PROBE_PATIENCE_MS,
    }))
}

fn doing(part: ProbePart) -> &'static str {
    match part {
        ProbePart::Make => "making the disk",
        ProbePart::Read => "reading the disk",
        ProbePart::Remove => "removing the disk",
    }
}

fn done(part: ProbePart, probing: &Probing) -> String {
    let ProbeRequest { from, to, from_class, .. } = &probing.asked;
    match part {
        ProbePart::Make => format!("a disk of {from_class} was made in {from}, written, and detached"),
        ProbePart::Read => format!("it was attached in {to}, read the same, and let go of"),
        ProbePart::Remove => format!("it was deleted in {from}"),
    }
}
