//! What an answer to a command means: an event, a setback, or both.
//!
//! A refusal that waiting may help and an unknown are asked again, with growing pauses; one that only a person can
//! help is asked again every half minute, so that whoever repairs the cause need do nothing else; one that is final
//! stops the migration for good. Unknown is never taken for success or failure (I8). While nothing has moved, a
//! refusal that waiting cannot help ends the migration instead.

use crate::command::{Command, CommandBody};
use crate::facts::{OutcomeResult, Refusal, RefusalCode};
use crate::ids::ClusterName;
use crate::limits;
use crate::migration::display::Migration;
use crate::migration::event::Event;
use crate::migration::evidence::{self, Mismatch};
use crate::migration::stage::Stage;
use crate::migration::work::{Setback, Work, backoff_ms};
use crate::time::Millis;

/// The step that proves that the source's node let go of the disks.
const DETACH_STEP: u32 = 6;

/// What an answer means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) event: Option<Event>,
    pub(crate) setback: Option<Setback>,
}

impl Verdict {
    fn event(event: Event) -> Self {
        Self { event: Some(event), setback: None }
    }
}

/// A command's place: what is known of it when its answer comes.
pub(crate) struct Asked<'a> {
    pub(crate) migration: &'a Migration,
    pub(crate) work: &'a Work,
    pub(crate) cluster: &'a ClusterName,
    pub(crate) command: &'a Command,
    pub(crate) now: Millis,
}

/// Judges the answer to a pending command.
pub(crate) fn judge(asked: &Asked<'_>, result: &OutcomeResult) -> Verdict {
    match result {
        OutcomeResult::Refusal(refusal) => refused(asked, refusal),
        OutcomeResult::Unknown(unknown) => {
            let message = format!("it is not known whether it was done: {}", unknown.message);
            let setback = asked.setback(RefusalCode::NotReady, &message);
            // Whether the writer is gone is for a person to find out (handoff.md section 5, step 6; H11).
            let paused = unknown.step == DETACH_STEP;
            let unproven = unknown.unproven.clone();
            Verdict { event: None, setback: Some(Setback { paused, unknown: true, unproven, ..setback }) }
        }
        OutcomeResult::SourceReport(_)
        | OutcomeResult::TargetReport(_)
        | OutcomeResult::SourcePrepared(_)
        | OutcomeResult::TargetPrepared(_)
        | OutcomeResult::Held(_)
        | OutcomeResult::Released(_)
        | OutcomeResult::Adopted(_)
        | OutcomeResult::Retired(_)
        | OutcomeResult::Settled
        | OutcomeResult::Fenced(_)
        | OutcomeResult::Reclaimed(_)
        | OutcomeResult::Unprepared(_)
        | OutcomeResult::Probed(_)
        | OutcomeResult::Finished(_) => match believed(asked, result) {
            Ok(event) => Verdict::event(event),
            Err(mismatch) => asked.mismatched(&mismatch),
        },
    }
}

fn refused(asked: &Asked<'_>, refusal: &Refusal) -> Verdict {
    let waiting_helps = matches!(refusal.code, RefusalCode::NotReady | RefusalCode::Denied);
    if asked.gives_up() && !waiting_helps {
        return asked.give_up(&refusal.message);
    }
    let setback = asked.setback(refusal.code, &refusal.message);
    let conflict = refusal.code == RefusalCode::Conflict;
    let undecided = conflict || refusal.code == RefusalCode::NotReady;
    let recheck = asked.work.handoff.as_ref().is_some_and(|handoff| handoff.recheck.is_some());
    let source = asked.cluster == asked.work.source(asked.migration);
    let event = match asked.work.stage {
        // Perhaps the pod or its node is another one by now: then the hold must be made anew.
        Stage::Releasing if undecided && refusal.step <= 5 => Some(Event::ReleaseDeclined),
        // Another slice than the hold's is a conflict. A replica that is down is not, and no reason to stop one more (I4).
        Stage::Holding if conflict && recheck && source => Some(Event::RecheckDeclined),
        _ => None,
    };
    let setback = match &event {
        // The release was only asked for too long ago: there is nothing to wait for, and nobody to be told.
        Some(Event::RecheckDeclined) if asked.previous().is_none() => None,
        Some(event) => Some(asked.declined(event, setback)),
        None => Some(setback),
    };
    Verdict { event, setback }
}

impl Asked<'_> {
    /// Nothing has moved, and nobody asked for what was prepared to be undone.
    fn gives_up(&self) -> bool {
        self.work.stage.is_preparing() && self.migration.control.rollback.is_none()
    }

    fn previous(&self) -> Option<&Setback> {
        self.work.slots.get(self.cluster).and_then(|slot| slot.setback.as_ref())
    }

    fn setback(&self, code: RefusalCode, message: &str) -> Setback {
        let attempts = self.previous().map_or(0, |before| before.attempts).saturating_add(1);
        let (retry_at, paused) = match code {
            RefusalCode::NotReady => (Some(self.now.plus(backoff_ms(attempts))), false),
            RefusalCode::Conflict | RefusalCode::Denied => {
                (Some(self.now.plus(limits::RETRY_LONGEST_MS)), true)
            }
            RefusalCode::NotUnderstood | RefusalCode::StaleEpoch => (None, true),
        };
        let message = limits::cut(&format!("{} in {}: {message}", self.command.body.verb(), self.cluster));
        Setback {
            attempts,
            retry_at,
            message,
            paused,
            stale: code == RefusalCode::StaleEpoch,
            unknown: false,
            unproven: Vec::new(),
        }
    }

    /// The pause before the source is looked at again, or before its release is asked for again after that look
    /// failed; a failed look says little to people, why the release was declined says more.
    fn declined(&self, event: &Event, setback: Setback) -> Setback {
        let declines = self.work.handoff.as_ref().map_or(0, |handoff| handoff.declines);
        let (message, paused) = match (event, self.previous()) {
            (Event::RecheckDeclined, Some(before)) => (before.message.clone(), before.paused),
            (_, Some(_) | None) => (setback.message, setback.paused),
        };
        let retry_at = Some(self.now.plus(backoff_ms(declines.saturating_add(1))));
        Setback { retry_at, message, paused, ..setback }
    }

    fn give_up(&self, message: &str) -> Verdict {
        let message = limits::cut(&format!(
            "given up before any ordinal moved: {} in {}: {message}",
            self.command.body.verb(),
            self.cluster
        ));
        Verdict::event(Event::GivenUp { message })
    }

    fn mismatched(&self, mismatch: &Mismatch) -> Verdict {
        if self.gives_up() {
            return self.give_up(mismatch);
        }
        Verdict { event: None, setback: Some(self.setback(RefusalCode::Conflict, mismatch)) }
    }

    fn handoff(&self) -> Result<&crate::migration::work::Handoff, Mismatch> {
        self.work.handoff.as_ref().ok_or_else(|| "no ordinal is in between".to_owned())
    }
}

/// The event that the evidence stands for, if it is of the kind that was asked for and fits the ledger.
fn believed(asked: &Asked<'_>, result: &OutcomeResult) -> Result<Event, Mismatch> {
    let work = asked.work;
    match (&asked.command.body, result) {
        (CommandBody::PrepareSource { .. }, OutcomeResult::SourcePrepared(found)) => {
            evidence::source_prepared(work, found)?;
            Ok(Event::SourcePrepared { evidence: Box::new(found.clone()) })
        }
        (CommandBody::PrepareTarget { .. }, OutcomeResult::TargetPrepared(found)) => {
            evidence::target_prepared(&found.stateful_set_uid, found.slice, work.target_slice)?;
            Ok(Event::TargetPrepared { uid: found.stateful_set_uid.clone(), slice: found.slice })
        }
        (CommandBody::Hold { source, .. }, OutcomeResult::Held(found)) => {
            evidence::held(*source, found)?;
            Ok(Event::SideHeld { cluster: asked.cluster.clone(), held: found.clone() })
        }
        (CommandBody::Release { .. }, OutcomeResult::Released(found)) => {
            evidence::released(work, asked.handoff()?, found)?;
            Ok(Event::Released { evidence: Box::new(found.clone()) })
        }
        (CommandBody::Adopt { .. }, OutcomeResult::Adopted(found)) => {
            evidence::adopted(asked.handoff()?, work.service.is_some(), found)?;
            Ok(Event::Adopted { evidence: Box::new(found.clone()) })
        }
        (CommandBody::Retire { .. }, OutcomeResult::Retired(found)) => {
            evidence::retired(asked.handoff()?, found)?;
            // With a rollback wanted it is not the end but the turn.
            let ends = !work.reversed && asked.migration.control.rollback.is_none();
            let last = ends && work.moved + 1 == asked.migration.ordinals.len();
            Ok(Event::Retired { last })
        }
        (CommandBody::Settle { .. }, OutcomeResult::Settled) => {
            Ok(Event::SideSettled { cluster: asked.cluster.clone() })
        }
        (CommandBody::Fence { .. }, OutcomeResult::Fenced(found)) => {
            evidence::fenced(asked.handoff()?, found)?;
            Ok(Event::Fenced { evidence: Box::new(found.clone()) })
        }
        (CommandBody::Reclaim { .. }, OutcomeResult::Reclaimed(found)) => {
            evidence::reclaimed(work, asked.handoff()?, found)?;
            Ok(Event::Reclaimed { evidence: Box::new(found.clone()) })
        }
        (CommandBody::Unprepare { .. }, OutcomeResult::Unprepared(found)) => {
            let left = found.left.iter().take(limits::LEFT_LINES).map(|line| limits::cut(line)).collect();
            Ok(Event::SideUnprepared { cluster: asked.cluster.clone(), left })
        }
        (body, other) => Err(format!(
            "its agent answered {} with evidence of another kind ({}): run agents of the controller's version",
            body.verb(),
            other.name()
        )),
    }
}
