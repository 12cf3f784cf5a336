//! What people ask of a running migration, and what follows from it.
//!
//! A request is taken in as what is wanted; [`Step::wanted`] says what that means at the stage where the migration is,
//! after each input, so it does not matter when the request came. Before a replica stops everything can be withdrawn at
//! once. After that a pause waits for the ordinal, because a replica that is down is not a safe place to stop, and a
//! rollback goes by what was sent (handoff.md section 5): whatever may have reached the target is undone by the target
//! first, however long that takes.

use crate::command::CommandBody;
use crate::entry::Entry;
use crate::ids::{ClusterName, CommandId, Epoch, MigrationId};
use crate::migration::{Ask, Event, Handoff, Migration, Phase, Stage, Work};
use crate::rejection::Rejection;
use crate::reply::Reply;

use super::Step;

impl Step<'_> {
    /// What people wanted that can be done now.
    pub(super) fn wanted(&self, migration: &Migration, work: &Work) -> Option<Event> {
        let control = &migration.control;
        let paused = control.paused.is_some();
        let rollback = control.rollback.is_some();
        let undo = control.undo.is_some() || (rollback && !work.reversed);
        match work.stage {
            Stage::Holding | Stage::Releasing => {
                let handoff = work.handoff.as_ref()?;
                let epoch = self.fresh_epoch(migration, handoff);
                match (handoff.release_sent, handoff.adopt_sent) {
                    (false, _) => (undo || paused).then_some(Event::Withdrawn),
                    (true, false) => undo.then_some(Event::ReclaimBegan { epoch }),
                    (true, true) => undo.then_some(Event::FenceBegan { epoch }),
                }
            }
            Stage::Adopting | Stage::Gating | Stage::Resolving if undo => {
                let handoff = work.handoff.as_ref()?;
                let epoch = self.fresh_epoch(migration, handoff);
                Some(match handoff.adopt_sent {
                    true => Event::FenceBegan { epoch },
                    false => Event::ReclaimBegan { epoch },
                })
            }
            Stage::Between if rollback && !paused => match (work.moved, work.reversed) {
                (0, _) => Some(Event::UnprepareBegan),
                (_, false) => Some(Event::Turned),
                (_, true) => None,
            },
            // What was sent is waited for: it must not make anew what is being undone.
            stage if stage.is_preparing() && rollback && !paused => {
                let out = work.slots.values().any(|slot| slot.pending.is_some());
                (!out).then_some(Event::UnprepareBegan)
            }
            _ => None,
        }
    }

    /// Above the ordinal's own, and above whatever a cluster said that it keeps.
    fn fresh_epoch(&self, migration: &Migration, handoff: &Handoff) -> Epoch {
        let kept = self.observed.highest_kept(&migration.workload, handoff.ordinal).unwrap_or_default();
        handoff.epoch.max(kept).next()
    }

    /// Whether new commands may be sent at all: not where a pause has come to its safe point, and no preparation that
    /// is about to be undone.
    pub(super) fn may_issue(&self, migration: &Migration, work: &Work) -> bool {
        let control = &migration.control;
        let paused = control.paused.is_some() && work.stage.is_at_rest();
        let undone = control.rollback.is_some() && work.stage.is_preparing();
        !paused && !undone
    }

    /// Nothing that is out is waited for any more: its answer will be acknowledged and mean nothing.
    pub(super) fn supersede(&mut self, id: &MigrationId) {
        let Some(work) = self.state.work.get(id) else {
            return;
        };
        let out: Vec<(ClusterName, CommandId)> = work
            .slots
            .iter()
            .filter_map(|(cluster, slot)| Some((cluster.clone(), slot.pending.as_ref()?.id.clone())))
            .collect();
        for (cluster, command_id) in out {
            self.record(Entry::CommandAnswered { migration: id.clone(), cluster, command_id });
        }
    }

    /// The target is to forget the workload's Service, unless it had the workload before.
    pub(super) fn ungovern_target(&mut self, id: &MigrationId) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        if let Some(service) = work.service.clone().filter(|_| !work.target_existed) {
            let cluster = migration.to.clone();
            self.ungovern(service, &cluster);
        }
    }

    pub(super) fn control(&mut self, id: &MigrationId, asked: Ask, by: &str) -> Reply {
        if let Err(rejection) = self.may_control(id, asked) {
            return Reply::Rejected(rejection);
        }
        let at = self.now;
        let stale = asked == Ask::Resume && self.keeps_a_higher_epoch(id);
        self.record(Entry::Controlled { migration: id.clone(), asked, by: by.to_owned(), at });
        if stale {
            self.raise_epoch(id);
        }
        // What it says must be what it does now.
        self.drive(id);
        self.say_all();
        match self.state.migrations.get(id) {
            Some(migration) => Reply::Migration(Box::new(migration.clone())),
            None => panic!("{id} was there and is not"),
        }
    }

    fn keeps_a_higher_epoch(&self, id: &MigrationId) -> bool {
        let work = self.state.work.get(id).filter(|work| work.handoff.is_some());
        let mut slots = work.into_iter().flat_map(|work| work.slots.values());
        slots.any(|slot| slot.setback.as_ref().is_some_and(|setback| setback.stale))
    }

    pub(super) fn raise_epoch(&mut self, id: &MigrationId) {
        let (Some(migration), Some(work)) = (self.state.migrations.get(id), self.state.work.get(id)) else {
            return;
        };
        let Some(handoff) = &work.handoff else {
            return;
        };
        let event = Event::EpochRaised { epoch: self.fresh_epoch(migration, handoff) };
        if work.stage.after(&event).is_ok() {
            self.moved(id, event);
        }
    }

    pub(super) fn unknown_migration(id: &MigrationId) -> Rejection {
        Rejection::MigrationUnknown(format!(
            "no migration {id} is known: see `ferry get migrations`; the last {} ended ones are kept",
            crate::limits::ENDED_MIGRATIONS
        ))
    }

    pub(super) fn may_control(&self, id: &MigrationId, asked: Ask) -> Result<(), Rejection> {
        let migration = self.state.migrations.get(id).ok_or_else(|| Self::unknown_migration(id))?;
        let Some(work) = self.state.work.get(id) else {
            return Err(over(migration));
        };
        if work.stage == Stage::Finishing {
            return Err(Rejection::AlreadyOver(format!(
                "the last ordinal of migration {id} has moved, and it ends now: {}",
                reverse(migration)
            )));
        }
        match asked {
            Ask::Pause => may_pause(migration),
            Ask::Resume => may_resume(migration, work),
            Ask::Undo => may_undo(migration, work),
            Ask::Rollback => match &migration.control.rollback {
                Some(by) => Err(Rejection::AlreadyRollingBack(format!(
                    "{} asked for it already: {}",
                    by.by, migration.message
                ))),
                None => Ok(()),
            },
        }
    }
}

fn reverse(migration: &Migration) -> String {
    let Migration { workload, from, to, .. } = migration;
    format!("to move it back, plan the reverse migration: ferry plan {workload} --from {to} --to {from}")
}

fn over(migration: &Migration) -> Rejection {
    let (ended, remedy) = match migration.phase {
        Phase::Completed => ("completed", reverse(migration)),
        Phase::RolledBack => {
            ("ended rolled back", "everything is in its source; plan anew to move it".to_owned())
        }
        _ => ("was given up before anything moved", "plan anew to move it".to_owned()),
    };
    Rejection::AlreadyOver(format!("migration {} {ended}: {remedy}", migration.id))
}

fn may_pause(migration: &Migration) -> Result<(), Rejection> {
    let Some(paused) = &migration.control.paused else {
        return Ok(());
    };
    Err(Rejection::AlreadyPaused(format!(
        "{} paused migration {} already; it says: {}",
        paused.by, migration.id, migration.message
    )))
}

fn may_resume(migration: &Migration, work: &Work) -> Result<(), Rejection> {
    if migration.control.paused.is_some() || work.is_paused() {
        return Ok(());
    }
    Err(Rejection::NotPaused(format!(
        "nobody paused migration {}, and nothing in it waits for a person to ask again; it says: {}",
        migration.id,
        if migration.message.is_empty() { "nothing, it runs" } else { &migration.message }
    )))
}

fn may_undo(migration: &Migration, work: &Work) -> Result<(), Rejection> {
    let id = &migration.id;
    let Some(handoff) = &work.handoff else {
        return Err(Rejection::NothingInFlight(format!(
            "no ordinal of migration {id} is in between: to give back what has moved, ferry rollback {id} --all"
        )));
    };
    if migration.control.undo.is_some() || work.stage.is_undoing() {
        return Err(Rejection::AlreadyRollingBack(format!("it is under way: {}", migration.message)));
    }
    if work.stage == Stage::Retiring {
        return Err(Rejection::PastReturn(format!(
            "ordinal {} is at step 12: {} has what it needs and the last trace of it goes in {}; it completes, and \
             ferry rollback {id} --all moves it back",
            handoff.ordinal,
            work.target(migration),
            work.source(migration)
        )));
    }
    Ok(())
}

/// Steps that an agent speaks of while it undoes: for people, whichever it is at.
pub(super) fn is_undo(body: &CommandBody) -> bool {
    matches!(body, CommandBody::Fence { .. } | CommandBody::Reclaim { .. } | CommandBody::Unprepare { .. })
}
