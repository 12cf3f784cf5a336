//! Answers and progress of commands.
//!
//! An answer counts for the one command that is pending in the cluster that gives it. Any other answer is an exact
//! retry of one that is durable already, and is acknowledged so that the agent forgets it; but an answer to a
//! command of another cluster is a lie, and ends the stream.

use crate::command::{Command, CommandBody};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::facts::{Outcome, Progress, StepState};
use crate::ids::{ClusterName, CommandId, MigrationId, ServiceName, Session};
use crate::limits;
use crate::migration::{Asked, judge};

use super::Step;
use super::control::is_undo;

impl Step<'_> {
    /// The migration and command that this id is pending for in that cluster.
    fn pending(&self, cluster: &ClusterName, id: &CommandId) -> Option<(MigrationId, Command)> {
        self.state.work.iter().find_map(|(migration, work)| {
            let command = work.slots.get(cluster)?.pending.as_ref()?;
            (command.id == *id).then(|| (migration.clone(), command.clone()))
        })
    }

    fn is_of_another_cluster(&self, cluster: &ClusterName, id: &CommandId) -> bool {
        let in_migrations = self.state.work.values().flat_map(|work| &work.slots).any(|(other, slot)| {
            other != cluster && slot.pending.as_ref().is_some_and(|command| command.id == *id)
        });
        let in_finishing = self
            .state
            .finishing
            .values()
            .any(|finishing| finishing.cluster != *cluster && finishing.command.id == *id);
        let in_inspections = self
            .observed
            .inspections
            .values()
            .any(|inspection| inspection.cluster != *cluster && inspection.command.id == *id);
        let in_probes = self.observed.probes.values();
        let in_probes = in_probes.clone().any(|probe| probe.cluster != *cluster && probe.command.id == *id);
        in_migrations || in_inspections || in_finishing || in_probes
    }

    pub(super) fn answered(&mut self, cluster: &ClusterName, session: Session, outcome: Outcome) {
        let Outcome { command_id, result } = outcome;
        if let Some((id, command)) = self.pending(cluster, &command_id) {
            self.judged(&id, cluster, &command, &result);
        } else if let Some(number) = self.inspection_of(cluster, &command_id) {
            self.inspected(number, result);
        } else if let Some(number) = self.probe_of(cluster, &command_id) {
            self.probed(number, result);
        } else if let Some(id) = self.finish_of(cluster, &command_id) {
            self.finish_answered(&id, result);
        } else if self.is_of_another_cluster(cluster, &command_id) {
            let reason =
                format!("cluster {cluster} answered command {command_id}, which another cluster was given");
            self.release(Effect::CloseSession { cluster: cluster.clone(), session, reason });
            return;
        }
        self.release(Effect::AckOutcome { cluster: cluster.clone(), session, command_id });
    }

    fn judged(
        &mut self,
        id: &MigrationId,
        cluster: &ClusterName,
        command: &Command,
        result: &crate::facts::OutcomeResult,
    ) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let asked = Asked { migration, work, cluster, command, now: self.now };
        let verdict = judge(&asked, result);
        let (migration, cluster, at) = (id.clone(), cluster.clone(), self.now);
        self.record(Entry::CommandAnswered {
            migration: migration.clone(),
            cluster: cluster.clone(),
            command_id: command.id.clone(),
        });
        if let Some(event) = verdict.event {
            let governs = matches!(event, crate::migration::Event::TargetPrepared { .. });
            self.record(Entry::Moved { migration: migration.clone(), event: Box::new(event), at });
            if governs {
                self.govern(&migration);
            }
        }
        if let Some(setback) = verdict.setback {
            self.record(Entry::SetBack { migration, cluster, setback });
        }
    }

    /// That cluster reports and imports the Service no longer; nor does another one that would be left alone with it.
    pub(super) fn ungovern(&mut self, service: ServiceName, cluster: &ClusterName) {
        let Some(known) = self.state.governed.get(&service).filter(|known| known.contains(cluster)).cloned()
        else {
            return;
        };
        self.record(Entry::ServiceUngoverned { service: service.clone(), clusters: vec![cluster.clone()] });
        for told in &known {
            let left = self.state.governed.get(&service).is_some_and(|left| left.contains(told));
            if let Some(observed) = self.observed.clusters.get_mut(told) {
                observed.mirrors.retain(|(of, origin), _| *of != service || (left && origin != cluster));
                if !left {
                    observed.endpoints.remove(&service);
                }
            }
            self.say_governed(told);
        }
    }

    /// From here on both clusters report and import the workload's Service.
    fn govern(&mut self, id: &MigrationId) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let Some(service) = work.service.clone() else {
            return;
        };
        let clusters = vec![migration.from.clone(), migration.to.clone()];
        let known = self.state.governed.get(&service);
        if clusters.iter().all(|cluster| known.is_some_and(|known| known.contains(cluster))) {
            return;
        }
        self.record(Entry::ServiceGoverned { service, clusters: clusters.clone() });
        for cluster in clusters {
            self.say_governed(&cluster);
            // Clusters that govern it already have reported, and do not again.
            self.mirror_into(&cluster);
        }
    }

    pub(super) fn progressed(&mut self, cluster: &ClusterName, progress: &Progress) {
        let Some((id, command)) = self.pending(cluster, &progress.command_id) else {
            return;
        };
        if !is_undo(&command.body) && !steps_of(&command.body).contains(&progress.step) {
            return;
        }
        let (Some(migration), Some(work)) = (self.state.migrations.get(&id), self.state.work.get(&id)) else {
            return;
        };
        let ordinal = work.handoff.as_ref().map(|handoff| handoff.ordinal);
        let message = limits::cut(&progress.message);
        let current = work.current().and_then(|index| migration.ordinals.get(index));
        let undoing = work.stage.is_undoing();
        let known = match current {
            Some(known) if undoing => (progress.step, known.message.as_str()),
            Some(known) if ordinal.is_some() => (known.step, known.message.as_str()),
            _ => (0, work.waits_for.as_str()),
        };
        if progress.state == StepState::Waiting && known == (progress.step, message.as_str()) {
            return;
        }
        let (step, state, at) = (progress.step, progress.state, self.now);
        self.record(Entry::StepReported { migration: id, ordinal, step, state, message, at });
    }
}

/// Steps of handoff.md section 5 that a command's agent can speak of.
fn steps_of(body: &CommandBody) -> &'static [u32] {
    match body {
        CommandBody::PrepareSource { .. } | CommandBody::PrepareTarget { .. } => &[0],
        CommandBody::Hold { .. } => &[2, 3],
        CommandBody::Release { .. } => &[5, 6, 7, 8],
        CommandBody::Adopt { .. } => &[9, 10],
        CommandBody::Retire { .. } => &[12],
        // Their migration's ordinal is done, or there is none.
        CommandBody::InspectSource { .. }
        | CommandBody::InspectTarget { .. }
        | CommandBody::Settle { .. } => &[],
        CommandBody::Fence { .. }
        | CommandBody::Reclaim { .. }
        | CommandBody::Unprepare { .. }
        | CommandBody::Finish { .. }
        | CommandBody::Probe(_) => &[],
    }
}
