//! What becomes due with time, and when the core is to be woken for it.
//!
//! There is one timer: the earliest of everything that waits. Whatever is due is done after any input, so a late or
//! lost wake-up delays and never loses anything.
//! Times come from the state and from what is observed; none is kept on its own.

use crate::entry::Entry;
use crate::ids::MigrationId;
use crate::migration::{Ask, Work, step_name};
use crate::plan::OnFailure;
use crate::time::Millis;

use super::Step;
use super::audit::policy_record;

/// Steps whose lateness the plan's policy may answer: the newcomer's, in the target.
const GIVEN_BACK_AT: std::ops::RangeInclusive<u32> = 9..=11;

impl Step<'_> {
    pub(super) fn time_out(&mut self) {
        self.expire_inspections();
        self.expire_probes();
        self.expire_finishers();
        self.retry_mirrors();
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        let now = self.now;
        let inspections = self.observed.inspections.values().map(|inspection| inspection.deadline);
        let probes = self.observed.probes.values().map(|probe| probe.deadline);
        let mirrors = self
            .observed
            .clusters
            .values()
            .filter(|cluster| cluster.session.is_some())
            .flat_map(|cluster| cluster.mirrors.values())
            .filter_map(|mirror| mirror.retry_at);
        let migrations = self.state.work.values().flat_map(timers);
        let deadlines = self.deadlines().map(|(_, at)| at);
        let finishers = self.observed.finishers.values().map(|finisher| finisher.deadline);
        let all =
            inspections.chain(probes).chain(mirrors).chain(migrations).chain(deadlines).chain(finishers);
        all.filter(|at| *at > now).min()
    }

    /// Deadlines of steps that are under way and have not passed.
    fn deadlines(&self) -> impl Iterator<Item = (&MigrationId, Millis)> {
        self.state.work.iter().filter(|(_, work)| !work.overdue).filter_map(|(id, work)| {
            let (_, at) = work.deadline(self.state.migrations.get(id)?)?;
            Some((id, at))
        })
    }

    /// Steps that take too long are said to, once; nothing is given up for it but what the plan says.
    pub(super) fn pass_deadlines(&mut self) {
        let now = self.now;
        let passed: Vec<MigrationId> =
            self.deadlines().filter(|(_, at)| *at <= now).map(|(id, _)| id.clone()).collect();
        for migration in passed {
            self.record(Entry::DeadlinePassed { migration: migration.clone() });
            self.give_back_by_policy(&migration);
        }
    }

    /// The source has let go of the ordinal and the target does not run it: where the plan says so, it goes back as if
    /// a person had asked. Not at other steps: until the source has proved that it let go, only a person can know
    /// whether the writer lives (H11). Not on the way back either: that is somebody's rollback.
    fn give_back_by_policy(&mut self, id: &MigrationId) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let Some((step, _)) = work.step_since.filter(|(step, _)| GIVEN_BACK_AT.contains(step)) else {
            return;
        };
        let wanted = migration.on_failure == OnFailure::Rollback && !work.reversed;
        if !wanted || self.may_control(id, Ask::Undo).is_err() {
            return;
        }
        let by = format!("the plan's policy (step {step}, {}, passed its deadline)", step_name(step));
        let at = self.now;
        let record = policy_record(migration, &by, at);
        self.record(Entry::Controlled { migration: id.clone(), asked: Ask::Undo, by, at });
        self.record(Entry::Audited(Box::new(record)));
    }
}

fn timers(work: &Work) -> impl Iterator<Item = Millis> {
    let resolvers = work.handoff.as_ref().and_then(|handoff| handoff.resolvers_until);
    let retries = work
        .slots
        .values()
        .filter(|slot| slot.pending.is_none())
        .filter_map(|slot| slot.setback.as_ref().and_then(|setback| setback.retry_at));
    resolvers.into_iter().chain(retries)
}
