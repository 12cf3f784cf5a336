//! The ending (handoff.md section 5): a completed migration is ended in its source, and what is left there certified.
//!
//! One command, asked for by a person, any number of times; durable while it is out, because it deletes a StatefulSet:
//! no migration of the workload starts until its answer has come. The request waits for that answer, within a bound; a
//! source that is silent longer is not given up, and the next request joins. What was found is kept with the
//! migration, also when somebody has made the StatefulSet anew: that is what a certificate is for.

use std::collections::BTreeMap;

use crate::command::{Command, CommandBody};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::facts::{ClaimedVolume, FinishedOrdinal, OutcomeResult};
use crate::ids::{ClusterName, CommandId, MigrationId, Ordinal, RequestId, Workload};
use crate::limits;
use crate::migration::{Certificate, Migration, Phase, timeout_ms};
use crate::observed::Finisher;
use crate::rejection::Rejection;
use crate::reply::Reply;
use crate::state::Finishing;
use crate::volume::{Custody, OrdinalRecord};

use super::Step;

impl Step<'_> {
    /// Asks the source, and answers later; or says why not.
    pub(super) fn finish(
        &mut self,
        request: RequestId,
        id: &MigrationId,
        accept: bool,
        by: &str,
    ) -> Option<Reply> {
        match self.may_finish(id, accept) {
            Err(rejection) => return Some(Reply::Rejected(rejection)),
            Ok(Some(finishing)) => {
                let (cluster, command) = (finishing.cluster.clone(), Box::new(finishing.command.clone()));
                let finishing = Box::new(Finishing { by: by.to_owned(), ..finishing });
                self.record(Entry::FinishAsked { migration: id.clone(), finishing });
                if let Some(session) = self.observed.session(&cluster) {
                    self.release(Effect::Send { cluster, session, command });
                }
            }
            Ok(None) => {}
        }
        let deadline = self.now.plus(limits::FINISH_DEADLINE_MS);
        self.observed.finishers.insert(request, Finisher { migration: id.clone(), deadline });
        None
    }

    /// What is to be asked; none if it is being asked already.
    fn may_finish(&self, id: &MigrationId, accept: bool) -> Result<Option<Finishing>, Rejection> {
        let migration = self.state.migrations.get(id).ok_or_else(|| Self::unknown_migration(id))?;
        if self.observed.finishers.len() >= limits::INSPECTIONS {
            return Err(Rejection::Busy(format!("{} finishes wait already: try again", limits::INSPECTIONS)));
        }
        if migration.phase != Phase::Completed {
            let found =
                if migration.phase.is_over() { "nothing of it is in its target" } else { "it runs yet" };
            return Err(Rejection::NotCompleted(format!(
                "migration {id} cannot be finished: {found}; only a completed one can"
            )));
        }
        if let Some(running) = self.state.running(&migration.workload) {
            return Err(Rejection::AlreadyMigrating(format!(
                "migration {} moves {} now: finish it when that has ended",
                running.id, migration.workload
            )));
        }
        let ordinals = self.moved_whole(migration)?;
        if self.observed.session(&migration.from).is_none() {
            return Err(Rejection::ClusterNotAttached(format!(
                "cluster {} is not attached: see to its agent, then finish again",
                migration.from
            )));
        }
        if let Some(known) = self.state.finishing.get(id) {
            let same =
                matches!(known.command.body, CommandBody::Finish { accept: asked, .. } if asked == accept);
            return if same {
                Ok(None)
            } else {
                Err(Rejection::Busy(format!("{} asked to finish {id} a moment ago: wait for that", known.by)))
            };
        }
        let body = CommandBody::Finish {
            stateful_set_uid: migration.source_uid.clone(),
            ordinals: ordinals.iter().map(|(ordinal, known)| moved(migration, *ordinal, known)).collect(),
            accept,
            watch_ms: limits::FINISH_WATCH_MS,
        };
        let number = migration.commands + self.state.finishes + 1;
        let command = Command {
            id: CommandId(format!("{id}/-/{}/{number}", body.verb())),
            epoch: ordinals.iter().map(|(_, known)| known.epoch).max().unwrap_or_default(),
            timeout_ms: timeout_ms(&body),
            workload: migration.workload.clone(),
            migration: Some(id.clone()),
            generation: self.state.generation(),
            body,
        };
        Ok(Some(Finishing { cluster: migration.from.clone(), command, by: String::new() }))
    }

    /// Every ordinal of the workload, if the source owns none of them and the target all that moved.
    fn moved_whole(&self, migration: &Migration) -> Result<Vec<(Ordinal, &OrdinalRecord)>, Rejection> {
        let Migration { id, workload, from, to, .. } = migration;
        let record = self.state.ledger.workloads.get(workload);
        let all: Vec<(Ordinal, &OrdinalRecord)> =
            record.into_iter().flat_map(|record| &record.ordinals).map(|(of, known)| (*of, known)).collect();
        let here = |known: &OrdinalRecord, cluster: &ClusterName| {
            known.custody == Custody::Owned { cluster: cluster.clone() }
        };
        let left: Vec<Ordinal> =
            all.iter().filter(|(_, known)| here(known, from)).map(|(of, _)| *of).collect();
        if !left.is_empty() {
            return Err(Rejection::NotCompleted(format!(
                "migration {id} cannot be finished: ordinals {left:?} of {workload} are in {from}; move them first"
            )));
        }
        let moved = |ordinal: Ordinal| migration.ordinals.iter().any(|of| of.ordinal == ordinal);
        let gone = all.iter().any(|(ordinal, known)| moved(*ordinal) && !here(known, to));
        if gone {
            return Err(Rejection::NotCompleted(format!(
                "migration {id} cannot be finished: a later one moved {workload} on from {to}; finish that one"
            )));
        }
        Ok(all)
    }

    pub(super) fn finish_of(&self, cluster: &ClusterName, id: &CommandId) -> Option<MigrationId> {
        let known = self.state.finishing.iter();
        let mut known = known.filter(|(_, of)| of.cluster == *cluster && of.command.id == *id);
        known.next().map(|(id, _)| id.clone())
    }

    /// Whether a finish of that workload is out: nothing of it may start until it is answered.
    pub(super) fn finishing(&self, workload: &Workload) -> Option<&MigrationId> {
        self.state.finishing.iter().find(|(_, of)| of.command.workload == *workload).map(|(id, _)| id)
    }

    pub(super) fn finish_answered(&mut self, id: &MigrationId, result: OutcomeResult) {
        let Some(Finishing { cluster, command, by }) = self.state.finishing.get(id).cloned() else {
            return;
        };
        let asked = matches!(command.body, CommandBody::Finish { accept: true, .. });
        let (certificate, rejection) = match result {
            OutcomeResult::Finished(found) if found.accepted && !asked => {
                (None, Some(Rejection::ClusterRefused(wrong_kind(&cluster, "acceptance that nobody gave"))))
            }
            OutcomeResult::Finished(found) => {
                let at = self.now;
                (Some(Box::new(Certificate { cluster: cluster.clone(), at, by, found })), None)
            }
            OutcomeResult::Refusal(refusal) => {
                let message = format!("cluster {cluster} could not be finished: {}", refusal.message);
                (None, Some(Rejection::ClusterRefused(limits::cut(&message))))
            }
            OutcomeResult::Unknown(unknown) => {
                let message =
                    format!("it is not known what became of {cluster}: {}; finish again", unknown.message);
                (None, Some(Rejection::ClusterSilent(limits::cut(&message))))
            }
            other => (None, Some(Rejection::ClusterRefused(wrong_kind(&cluster, other.name())))),
        };
        let over = certificate.as_ref().is_some_and(|of| of.found.accepted && of.found.stateful_set_gone);
        self.record(Entry::FinishAnswered { migration: id.clone(), certificate });
        if over {
            self.ungovern_all(&command.workload, &cluster);
        }
        let reply = match (rejection, self.state.migrations.get(id)) {
            (Some(rejection), _) => Reply::Rejected(rejection),
            (None, Some(migration)) => Reply::Migration(Box::new(migration.clone())),
            (None, None) => Reply::Rejected(Self::unknown_migration(id)),
        };
        self.answer_finishers(|finisher| finisher.migration == *id, &reply);
    }

    /// The source needs no mirror of a workload that has gone for good.
    fn ungovern_all(&mut self, workload: &Workload, cluster: &ClusterName) {
        let services: Vec<_> = self
            .state
            .migrations
            .values()
            .filter(|of| of.workload == *workload)
            .filter_map(|of| of.service.clone())
            .collect();
        for service in services {
            self.ungovern(service, cluster);
        }
    }

    fn answer_finishers(&mut self, waits: impl Fn(&Finisher) -> bool, reply: &Reply) {
        let waiting: Vec<RequestId> = self
            .observed
            .finishers
            .iter()
            .filter(|(_, finisher)| waits(finisher))
            .map(|(request, _)| *request)
            .collect();
        for request in waiting {
            self.observed.finishers.remove(&request);
            self.reply(request, reply.clone());
        }
    }

    pub(super) fn expire_finishers(&mut self) {
        let now = self.now;
        let message = format!(
            "the source did not answer within {} s; it goes on there: finish again to see how it ended",
            limits::FINISH_DEADLINE_MS / 1000
        );
        let reply = Reply::Rejected(Rejection::ClusterSilent(message));
        self.answer_finishers(|finisher| finisher.deadline <= now, &reply);
    }

    pub(super) fn fail_finishers_of(&mut self, cluster: &ClusterName) {
        let of: Vec<MigrationId> = self
            .state
            .finishing
            .iter()
            .filter(|(_, finishing)| finishing.cluster == *cluster)
            .map(|(id, _)| id.clone())
            .collect();
        let message = format!(
            "the agent of cluster {cluster} went away; it goes on when that is back: see to it, then finish again"
        );
        let reply = Reply::Rejected(Rejection::ClusterNotAttached(message));
        self.answer_finishers(|finisher| of.contains(&finisher.migration), &reply);
    }
}

fn wrong_kind(cluster: &ClusterName, found: &str) -> String {
    format!("the agent of {cluster} answered finish with {found}: run agents of the controller's version")
}

fn moved(migration: &Migration, ordinal: Ordinal, known: &OrdinalRecord) -> FinishedOrdinal {
    let claims = claim_names(&migration.claims, ordinal);
    FinishedOrdinal { ordinal, epoch: known.epoch, claims, volumes: known.volumes.clone() }
}

/// Names of an ordinal's claims. One that an earlier migration moved is not in this one's record; its claims are named
/// like its neighbours', but for the ordinal at the end (StatefulSets, stable storage).
fn claim_names(known: &BTreeMap<Ordinal, Vec<String>>, ordinal: Ordinal) -> Vec<String> {
    if let Some(names) = known.get(&ordinal).filter(|names| !names.is_empty()) {
        return names.clone();
    }
    let alike = |(neighbour, names): (&Ordinal, &Vec<String>)| -> Vec<String> {
        let bare = names.iter().filter_map(|name| name.strip_suffix(&format!("-{neighbour}")));
        bare.map(|name| format!("{name}-{ordinal}")).collect()
    };
    known.iter().map(alike).find(|names| !names.is_empty()).unwrap_or_default()
}

/// Names of an ordinal's claims.
pub(super) fn claims(volumes: &[ClaimedVolume]) -> Vec<String> {
    volumes.iter().map(|of| of.claim.name.clone()).collect()
}
