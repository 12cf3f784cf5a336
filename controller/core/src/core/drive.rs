//! Every running migration, as far as it goes now.
//!
//! First whatever the ledger and the observations allow to happen, then the commands that the new stage wants. It
//! runs after each input, so a migration goes on from wherever a restart left it, with no script to be resumed.
//! Loops end because every event moves a migration on or waits for something from outside.

use crate::command::{Command, CommandBody};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::ids::{ClusterName, CommandId, MigrationId};
use crate::limits;
use crate::migration::{
    Event, Handoff, Migration, Setback, Stage, Work, backoff_ms, converged, describe, desired,
    disk_in_the_way, holds_are_stale, holds_fit, old_addresses, ordinal_converged, timeout_ms,
};
use crate::time::Millis;
use crate::volume::WorkloadRecord;

use super::Step;

/// Two holds that do not fit: both are asked again.
struct Lapse {
    message: String,
    paused: bool,
}

/// What can happen by itself now.
enum Next {
    Event(Event),
    /// Holds too old to rely on.
    Stale(Vec<ClusterName>),
    Lapse(Lapse),
    Nothing,
}

/// A release that has still to be asked for is not, once the holds are too old.
fn releasing(migration: &Migration, work: &Work, now: Millis) -> Option<Event> {
    let is_out = work.slots.get(work.source(migration)).is_some_and(|slot| slot.pending.is_some());
    (!is_out && holds_are_stale(migration, work, now)).then_some(Event::ReleaseDeclined)
}

impl Step<'_> {
    pub(super) fn drive_all(&mut self) {
        let ids: Vec<MigrationId> = self.state.work.keys().cloned().collect();
        for id in ids {
            self.drive(&id);
        }
    }

    pub(super) fn drive(&mut self, id: &MigrationId) {
        loop {
            let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id))
            else {
                return;
            };
            let next = match self.wanted(migration, work) {
                Some(event) => Next::Event(event),
                None => self.next(migration, work),
            };
            match next {
                Next::Event(event) => self.moved(id, event),
                Next::Stale(clusters) => {
                    for cluster in clusters {
                        self.moved(id, Event::HoldLapsed { cluster });
                    }
                }
                Next::Lapse(lapse) => self.lapse(id, &lapse),
                Next::Nothing => break,
            }
        }
        let Some(migration) = self.state.migrations.get(id) else {
            return;
        };
        for cluster in [migration.from.clone(), migration.to.clone()] {
            self.issue(id, &cluster);
        }
    }

    pub(super) fn moved(&mut self, id: &MigrationId, event: Event) {
        let at = self.now;
        match &event {
            Event::Withdrawn
            | Event::FenceBegan { .. }
            | Event::ReclaimBegan { .. }
            | Event::EpochRaised { .. } => self.supersede(id),
            Event::UnprepareBegan => self.ungovern_target(id),
            _ => {}
        }
        self.record(Entry::Moved { migration: id.clone(), event: Box::new(event), at });
    }

    fn next(&self, migration: &Migration, work: &Work) -> Next {
        let governed =
            work.service.as_ref().and_then(|service| Some((service, self.state.governed.get(service)?)));
        let workload = &migration.workload;
        let paused = migration.control.paused.is_some();
        let all_converged = || {
            governed.is_none_or(|governed| {
                converged(self.observed, workload, work.all().into_iter(), governed).is_ok()
            })
        };
        let event = match work.stage {
            Stage::Converging | Stage::Between if paused => None,
            Stage::Converging => all_converged().then_some(Event::Converged),
            Stage::Between if work.reconverge && !all_converged() => None,
            Stage::Between => self.beginning(migration, work),
            Stage::Holding => return self.holding(migration, work),
            Stage::Gating => {
                let passes = match (governed, &work.handoff) {
                    (Some(governed), Some(handoff)) => ordinal_converged(
                        self.observed,
                        workload,
                        (handoff, work.target(migration)),
                        governed,
                    )
                    .is_ok(),
                    (None, _) | (_, None) => true,
                };
                let wait_ms = if governed.is_some() { work.resolvers_wait_ms } else { 0 };
                passes.then(|| Event::GatePassed { resolvers_until: self.now.plus(wait_ms) })
            }
            Stage::Resolving => {
                let until = work.handoff.as_ref().and_then(|handoff| handoff.resolvers_until);
                until.is_none_or(|until| until <= self.now).then_some(Event::ResolversWaited)
            }
            Stage::Settling | Stage::Finishing => {
                let both = [&migration.from, &migration.to].iter().all(|side| work.settled.contains(*side));
                both.then_some(Event::Settled)
            }
            Stage::Unpreparing => work.prepared.is_subset(&work.settled).then_some(Event::Unprepared),
            Stage::Releasing => releasing(migration, work, self.now),
            Stage::PreparingSource
            | Stage::PreparingTarget
            | Stage::Adopting
            | Stage::Retiring
            | Stage::Fencing
            | Stage::Reclaiming
            | Stage::Completed
            | Stage::Refused
            | Stage::RolledBack => None,
        };
        event.map_or(Next::Nothing, Next::Event)
    }

    /// Step 1 of the next ordinal, unless one of the workload's volumes is usable in two clusters.
    fn beginning(&self, migration: &Migration, work: &Work) -> Option<Event> {
        let ordinal = migration.ordinals.get(work.current()?)?.ordinal;
        if self.state.ledger.conflicts(&migration.workload).next().is_some() {
            return None;
        }
        let epoch = self.state.ledger.epoch(&migration.workload, ordinal).next();
        Some(Event::HandoffBegan { ordinal, epoch })
    }

    fn holding(&self, migration: &Migration, work: &Work) -> Next {
        let Some(Handoff { ordinal, source_held: Some(source), target_held: Some(target), .. }) =
            &work.handoff
        else {
            return Next::Nothing;
        };
        let sides = [(work.source(migration), source), (work.target(migration), target)];
        let stale: Vec<ClusterName> = sides
            .into_iter()
            .filter(|(_, held)| self.now.since(held.at) > limits::HELD_FRESH_MS)
            .map(|(cluster, _)| cluster.clone())
            .collect();
        if !stale.is_empty() {
            return Next::Stale(stale);
        }
        match holds_fit(work, &source.held, &target.held) {
            Ok(()) => {
                let pod = migration.workload.pod(*ordinal);
                let old_addresses = work.service.as_ref().map_or_else(Vec::new, |service| {
                    old_addresses(self.observed, work.source(migration), service, &pod)
                });
                Next::Event(Event::Held { old_addresses })
            }
            Err(differ) => Next::Lapse(Lapse { message: differ.message, paused: differ.paused }),
        }
    }

    fn lapse(&mut self, id: &MigrationId, lapse: &Lapse) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let attempts = work.handoff.as_ref().map_or(0, |handoff| handoff.lapses / 2).saturating_add(1);
        let pause = if lapse.paused { limits::RETRY_LONGEST_MS } else { backoff_ms(attempts) };
        let setback = Setback {
            attempts,
            retry_at: Some(self.now.plus(pause)),
            message: limits::cut(&lapse.message),
            paused: lapse.paused,
            stale: false,
            unknown: false,
            unproven: Vec::new(),
        };
        for cluster in [migration.from.clone(), migration.to.clone()] {
            self.moved(id, Event::HoldLapsed { cluster: cluster.clone() });
            self.record(Entry::SetBack { migration: id.clone(), cluster, setback: setback.clone() });
        }
    }

    /// Sends what that cluster should be doing, unless it is at it, or has to be given time first.
    fn issue(&mut self, id: &MigrationId, cluster: &ClusterName) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let slot = work.slots.get(cluster);
        if slot.is_some_and(|slot| slot.pending.is_some()) {
            return;
        }
        if !self.may_issue(migration, work) {
            return;
        }
        let setback = slot.and_then(|slot| slot.setback.as_ref());
        if setback.is_some_and(|setback| setback.is_early(self.now)) {
            return;
        }
        let none = WorkloadRecord::default();
        let record = self.state.ledger.workloads.get(&migration.workload).unwrap_or(&none);
        let Some(mut wanted) = desired(migration, work, record, cluster) else {
            return;
        };
        if let CommandBody::Settle { epochs, .. } = &mut wanted.body {
            // After the ledger was lost or restored a cluster keeps more than it knows (H18).
            for known in epochs {
                let kept = self.observed.highest_kept(&migration.workload, known.ordinal);
                known.epoch = known.epoch.max(kept.unwrap_or_default());
            }
        }
        if work.stage == Stage::Adopting && disk_in_the_way(self.state, migration, work).is_some() {
            return;
        }
        let place = work.handoff.as_ref().map_or("-".to_owned(), |handoff| handoff.ordinal.to_string());
        let number = work.commands + 1;
        let command = Command {
            id: CommandId(format!("{id}/{place}/{}/{number}", wanted.body.verb())),
            epoch: wanted.epoch,
            timeout_ms: timeout_ms(&wanted.body),
            workload: migration.workload.clone(),
            migration: Some(id.clone()),
            generation: self.state.generation(),
            body: wanted.body,
        };
        let command = Box::new(command);
        let cluster = cluster.clone();
        self.record(Entry::CommandIssued {
            migration: id.clone(),
            cluster: cluster.clone(),
            command: command.clone(),
        });
        if let Some(session) = self.observed.session(&cluster) {
            self.release(Effect::Send { cluster, session, command });
        }
    }

    /// What each running migration waits for, where it is not what it was.
    pub(super) fn say_all(&mut self) {
        let said: Vec<(MigrationId, String)> = self
            .state
            .work
            .iter()
            .filter_map(|(id, work)| {
                let migration = self.state.migrations.get(id)?;
                let message = describe(self.state, self.observed, migration, work);
                (message != migration.message).then(|| (id.clone(), message))
            })
            .collect();
        for (migration, message) in said {
            self.record(Entry::Said { migration, message });
        }
    }
}
